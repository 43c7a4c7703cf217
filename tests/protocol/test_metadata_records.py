"""Records of `__cluster_metadata`, with their frame version, type and version in front."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.errors import DecodeError, EncodeError
from kpy.protocol.metadata_records import (
    RECORD_TYPES,
    NoOpRecord,
    PartitionRecord,
    TopicRecord,
    decode_record,
    encode_record,
)
from tests.protocol.strategies import messages
from tests.sweeps import examples


def test_bytes() -> None:
    """The value begins with frame version 1, the record's type and its version."""
    record = TopicRecord(name="t", topic_id=UUID("00112233-4455-6677-8899-aabbccddeeff"))
    assert encode_record(record).hex(" ") == "01 02 00 02 74 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff 00"


@given(data=st.data())
@settings(max_examples=examples(100))
def test_any_record(data: st.DataObject) -> None:
    """Any record of any type is read as it was written, in any of its versions."""
    record_type = data.draw(st.sampled_from(list(RECORD_TYPES.values())))
    version = data.draw(st.sampled_from(list(record_type.versions)))
    record = data.draw(messages(record_type, version))
    assert decode_record(encode_record(record, version)) == record


def test_the_newest_version() -> None:
    """Unless a version is asked for, a record is written in the newest."""
    record = PartitionRecord(
        topic_id=UUID(int=1),
        replicas=[1],
        isr=[1],
        removing_replicas=[],
        adding_replicas=[],
        directories=[UUID(int=2)],
        eligible_leader_replicas=[2],
    )
    assert encode_record(record)[:3] == b"\x01\x03\x02"
    with pytest.raises(EncodeError):
        encode_record(record, 0)


def test_unknown_types() -> None:
    """A record of a type that is not declared is skipped."""
    assert decode_record(b"\x01\x1b\x00\x00") is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x01",
        b"\x01\x14",
        b"\x01\x14\x00",
        b"\x00\x14\x00\x00",
        b"\x02\x14\x00\x00",
        b"\x01\x14\x01\x00",
        b"\xff\xff\xff\xff\xff\xff",
        encode_record(NoOpRecord()) + b"\x00",
    ],
)
def test_broken_records(value: bytes) -> None:
    """What is cut short or goes on, or is of another frame version or a version not known, is a DecodeError."""
    with pytest.raises(DecodeError):
        decode_record(value)
