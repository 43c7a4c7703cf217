"""The blobs of consumer groups, against kafka-python, which every member of a group must agree with."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment as TheirAssignment
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription as TheirSubscription

from kpy.protocol.embedded import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartition,
    decode_blob,
    encode_blob,
)
from kpy.protocol.errors import DecodeError
from kpy.protocol.schema import Data
from tests.protocol.declarations import EMBEDDED, name_of
from tests.protocol.strategies import messages
from tests.sweeps import examples


@pytest.mark.parametrize("declaration", EMBEDDED, ids=name_of)
@given(data=st.data())
@settings(max_examples=examples(50))
def test_any_blob(declaration: type[Data], data: st.DataObject) -> None:
    """Any blob is read as it was written, in any version."""
    version = data.draw(st.sampled_from(list(declaration.versions)))
    message = data.draw(messages(declaration, version))
    assert decode_blob(declaration, encode_blob(message, version)) == message


def test_blobs_of_kafka_python() -> None:
    """A subscription and an assignment that kafka-python wrote are understood."""
    subscription = TheirSubscription(version=1, topics=["t"], user_data=b"u", owned_partitions=[("t", [0, 1])])
    assert decode_blob(ConsumerProtocolSubscription, subscription.encode()) == ConsumerProtocolSubscription(
        topics=["t"], user_data=b"u", owned_partitions=[TopicPartition(topic="t", partitions=[0, 1])]
    )
    assignment = TheirAssignment(version=0, assigned_partitions=[("t", [5])], user_data=b"")
    assert decode_blob(ConsumerProtocolAssignment, assignment.encode()) == ConsumerProtocolAssignment(
        assigned_partitions=[TopicPartition(topic="t", partitions=[5])], user_data=b""
    )


def test_newer_blobs() -> None:
    """A blob of a version to come is read by the newest that is known, and what follows is left alone."""
    subscription = ConsumerProtocolSubscription(topics=["t"], rack_id="r")
    blob = b"\x00\x09" + subscription.encode(3) + b"more"
    assert decode_blob(ConsumerProtocolSubscription, blob) == subscription


@pytest.mark.parametrize("blob", [b"", b"\x00", b"\x00\x00", b"\xff\xff\x00\x00\x00\x00", b"\x00\x00\x00\x00\x00\x01"])
def test_broken_blobs(blob: bytes) -> None:
    """A blob that is cut short, or has a negative version, is a DecodeError."""
    with pytest.raises(DecodeError):
        decode_blob(ConsumerProtocolSubscription, blob)
