"""Records of `__consumer_offsets`, with the type and version in front."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.errors import DecodeError
from kpy.protocol.group_records import (
    RECORDS,
    GroupMetadataKey,
    OffsetCommitKey,
    OffsetCommitValue,
    value_version,
)
from tests.protocol.strategies import messages
from tests.sweeps import examples

KEY = OffsetCommitKey(group="g", topic="t", partition=1)
VALUE = OffsetCommitValue(offset=258, leader_epoch=3, metadata="", commit_timestamp=1)


def test_bytes() -> None:
    """The key begins with its type, the value with its version."""
    key, value = RECORDS.encode(KEY, VALUE)
    assert key.hex(" ") == "00 01 00 01 67 00 01 74 00 00 00 01"
    assert value is not None
    assert value.hex(" ") == "00 04 00 00 00 00 00 00 01 02 00 00 00 03 01 00 00 00 00 00 00 00 01 00"


@given(data=st.data())
@settings(max_examples=examples(50))
def test_any_record(data: st.DataObject) -> None:
    """Any record of any type is read as it was written, in the version that is chosen for it."""
    key_type, value_type = data.draw(st.sampled_from(list(RECORDS.types.values())))
    key = data.draw(messages(key_type, 0))
    value = data.draw(messages(value_type, value_type.versions.maximum))
    assert RECORDS.decode(*RECORDS.encode(key, value)) == (key, value)


def test_tombstones() -> None:
    """A record without a value is a tombstone, and stays one."""
    key, value = RECORDS.encode(GroupMetadataKey(group="g"), None)
    assert value is None
    assert RECORDS.decode(key, value) == (GroupMetadataKey(group="g"), None)


def test_expiry() -> None:
    """A commit with an expiry of its own is written in version 1, which alone has room for it and none for an epoch."""
    expiring = OffsetCommitValue(offset=258, leader_epoch=3, metadata="", commit_timestamp=1, expire_timestamp=2)
    assert value_version(expiring) == 1
    expiring_without_epoch = OffsetCommitValue(offset=258, metadata="", commit_timestamp=1, expire_timestamp=2)
    assert RECORDS.decode(*RECORDS.encode(KEY, expiring)) == (KEY, expiring_without_epoch)


@pytest.mark.parametrize("version", list(OffsetCommitValue.versions))
def test_older_values(version: int) -> None:
    """Values of every older version are read."""
    key, _ = RECORDS.encode(KEY, None)
    value = version.to_bytes(2, "big") + VALUE.encode(version)
    decoded = RECORDS.decode(key, value)
    assert decoded is not None
    assert isinstance(decoded[1], OffsetCommitValue)
    assert decoded[1].offset == 258


def test_unknown_types() -> None:
    """A key of a type that is not declared is skipped: a log may hold other kinds of groups."""
    assert RECORDS.decode(b"\x00\x05\x00\x01g", b"") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", None),
        (b"\x00", None),
        (b"\x00\x02\x00\x05g", None),
        (b"\x00\x02\x00\x01g", b"\x00"),
        (b"\x00\x02\x00\x01g", b"\x00\x04"),
        (b"\x00\x02\x00\x01g", b"\x00\x05\x00"),
        (b"\x00\x02\x00\x01g", b"\xff\xff\x00"),
    ],
)
def test_broken_records(key: bytes, value: bytes | None) -> None:
    """What is cut short, or is of a version that is not known, is a DecodeError."""
    with pytest.raises(DecodeError):
        RECORDS.decode(key, value)
