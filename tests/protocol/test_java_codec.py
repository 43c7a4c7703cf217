"""Apache Kafka's own generated classes read what we write, see the same values in it, and write the same bytes."""

import base64
from typing import Any

import pytest
from construct import Construct
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.primitives import ArrayType, BytesType, NullableStructType, RecordsType, UuidType
from kpy.protocol.schema import Data, Layout, Message, layout
from tests.protocol.declarations import (
    COORDINATOR_RECORDS,
    DECLARATIONS,
    EMBEDDED,
    HEADERS,
    METADATA_RECORDS,
    REQUESTS,
    RESPONSES,
    every_version,
    name_of,
)
from tests.protocol.java_codec import JavaCodec, to_base64
from tests.protocol.strategies import full_message, messages
from tests.sweeps import examples

JAVA_CLASSES: dict[type[Data], str] = {
    **{message: f"common.message.{message.__name__}Data" for message in [*REQUESTS, *RESPONSES, *HEADERS]},
    **{message: f"common.message.{message.__name__}" for message in EMBEDDED},
    **{
        message: f"coordinator.{coordinator}.generated.{message.__name__}"
        for coordinator, messages in COORDINATOR_RECORDS.items()
        for message in messages
    },
    **{message: f"common.metadata.{message.__name__}" for message in METADATA_RECORDS},
}
EVERY_VERSION = list(every_version(DECLARATIONS))


@pytest.mark.parametrize("unknown_tags", [False, True], ids=["known", "unknown"])
@pytest.mark.parametrize(("declaration", "version"), EVERY_VERSION, ids=name_of)
def test_full_messages(java: JavaCodec, declaration: type[Data], version: int, unknown_tags: bool) -> None:
    """A message that uses all its fields is the same bytes and the same values to both codecs, and tagged fields that
    nobody knows are kept.
    """
    compare(java, declaration, version, full_message(declaration, version, unknown_tags=unknown_tags))


@pytest.mark.parametrize(("declaration", "version"), EVERY_VERSION, ids=name_of)
@given(data=st.data())
@settings(max_examples=examples(3))
def test_random_messages(java: JavaCodec, declaration: type[Data], version: int, data: st.DataObject) -> None:
    """So is any message, with nulls, defaults and extremes."""
    compare(java, declaration, version, data.draw(messages(declaration, version)))


def compare(java: JavaCodec, declaration: type[Data], version: int, message: Any) -> None:
    encoded = message.encode(version)
    described, written = java.message(f"org.apache.kafka.{JAVA_CLASSES[declaration]}", version, encoded)
    assert written == encoded
    assert lower(described) == described_message(layout(declaration, version), message)
    assert declaration.decode(written, version) == message


def lower(described: Any) -> Any:
    """Kafka's JSON with names that camel case and snake case share."""
    if isinstance(described, dict):
        return {name.lower(): lower(value) for name, value in described.items()}
    return [lower(element) for element in described] if isinstance(described, list) else described


def described_message(tree: Layout, message: Message) -> dict[str, Any]:
    """Our message as Kafka's JSON has it: the fields of that version, and tagged ones unless they are the default."""
    fields = list(tree.fields)
    for declared, construct in tree.tagged.values():
        if getattr(message, declared.name) != declared.default_value():
            fields.append((declared, construct))
    described = {}
    for declared, construct in fields:
        name, value = declared.name.replace("_", ""), getattr(message, declared.name)
        if isinstance(construct, RecordsType) and value is not None:
            described[f"{name}sizeinbytes"] = len(value)
        else:
            described[name] = described_value(construct, value)
    return described


def described_value(construct: Construct, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(construct, NullableStructType):
        return described_message(construct.struct, value)
    if isinstance(construct, Layout):
        return described_message(construct, value)
    if isinstance(construct, ArrayType):
        return [described_value(construct.element, element) for element in value]
    if isinstance(construct, BytesType):
        return to_base64(value)
    if isinstance(construct, UuidType):
        return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()
    return value
