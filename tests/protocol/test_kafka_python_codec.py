"""kafka-python 3.0.12's codec, which is not made from our declarations, reads and writes the same bytes as ours."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.messages.api_versions import ApiVersionsResponse
from kpy.protocol.schema import Data
from tests.protocol import kafka_python_codec
from tests.protocol.declarations import EMBEDDED, REQUESTS, RESPONSES, every_version, name_of
from tests.protocol.strategies import full_message, messages
from tests.sweeps import examples

EVERY_VERSION = list(
    every_version([message for message in [*REQUESTS, *RESPONSES, *EMBEDDED] if kafka_python_codec.has_codec(message)])
)


def test_what_is_not_compared() -> None:
    """What is left out, kafka-python does not have; all else it has up to our newest version."""
    for declaration in [*REQUESTS, *RESPONSES]:
        if kafka_python_codec.has_codec(declaration):
            assert kafka_python_codec.codec_of(declaration).max_version == declaration.versions.maximum
        else:
            with pytest.raises(LookupError):
                kafka_python_codec.codec_of(declaration)


@pytest.mark.parametrize(("declaration", "version"), EVERY_VERSION, ids=name_of)
def test_full_messages(declaration: type[Data], version: int) -> None:
    """A message that uses all its fields is the same bytes to both codecs, in both directions."""
    compare(declaration, version, full_message(declaration, version))


@pytest.mark.parametrize(("declaration", "version"), EVERY_VERSION, ids=name_of)
@given(data=st.data())
@settings(max_examples=examples(3))
def test_random_messages(declaration: type[Data], version: int, data: st.DataObject) -> None:
    """So is any message, with nulls, defaults and extremes."""
    compare(declaration, version, data.draw(messages(declaration, version)))


def compare(declaration: type[Data], version: int, message: Any) -> None:
    if declaration is ApiVersionsResponse:
        message.error_code = 0  # kafka-python reads any other as version 0
    codec = kafka_python_codec.codec_of(declaration)
    encoded = message.encode(version)
    assert kafka_python_codec.decode(codec, declaration, encoded, version) == message
    assert kafka_python_codec.encode(codec, message, version) == encoded
    assert declaration.decode(encoded, version) == message
