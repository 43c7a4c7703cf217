"""Records of every coordinator's topic, with the type and version in front."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.coordinator_records import CoordinatorRecords
from kpy.protocol.errors import DecodeError, EncodeError
from kpy.protocol.transaction_records import RECORDS, TransactionLogKey, TransactionLogValue
from tests.protocol.declarations import COORDINATORS
from tests.protocol.strategies import messages
from tests.sweeps import examples

TABLES = [table for tables in COORDINATORS.values() for table in tables]
KEY = TransactionLogKey(transactional_id="x")
VALUE = TransactionLogValue(
    producer_id=1,
    producer_epoch=2,
    transaction_timeout_ms=3,
    transaction_status=0,
    transaction_partitions=[],
    transaction_last_update_timestamp_ms=4,
    transaction_start_timestamp_ms=5,
)


def test_bytes() -> None:
    """The key begins with its type, the value with its version; a null value stays one."""
    key, value = RECORDS.encode(KEY, VALUE)
    assert key.hex(" ") == "00 00 00 01 78"
    assert value is not None
    assert value[:10] == b"\x00\x01" + VALUE.producer_id.to_bytes(8, "big")
    assert RECORDS.encode(KEY, None) == (key, None)
    assert RECORDS.decode(key, None) == (KEY, None)


def test_older_versions() -> None:
    """A value may be written in an older version, as far as it fits; whichever it is, it is read."""
    for version in TransactionLogValue.versions:
        older = CoordinatorRecords(RECORDS.types, version_of=lambda value, version=version: version)
        key, value = older.encode(KEY, VALUE)
        assert value is not None
        assert value[:2] == version.to_bytes(2, "big")
        assert RECORDS.decode(key, value) == (KEY, VALUE)
    newer = TransactionLogValue.decode(VALUE.encode(1), 1)
    newer.client_transaction_version = 2
    with pytest.raises(EncodeError):
        CoordinatorRecords(RECORDS.types, version_of=lambda value: 0).encode(KEY, newer)


@given(data=st.data())
@settings(max_examples=examples(100))
def test_any_record(data: st.DataObject) -> None:
    """Any record of any type of any topic is read as it was written."""
    table = data.draw(st.sampled_from(TABLES))
    key_type, value_type = data.draw(st.sampled_from(list(table.types.values())))
    key, value = data.draw(messages(key_type, 0)), data.draw(messages(value_type, value_type.versions.maximum))
    assert table.decode(*table.encode(key, value)) == (key, value)


@pytest.mark.parametrize("coordinator", COORDINATORS)
def test_types_of_one_topic(coordinator: str) -> None:
    """Each type of a topic is in one table."""
    types = [number for table in COORDINATORS[coordinator] for number in table.types]
    assert len(types) == len(set(types))


def test_unknown_types() -> None:
    """A key of a type that the table does not have is nothing to it, whatever its value is."""
    assert RECORDS.decode(b"\x00\x01\x00\x01x", b"") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", None),
        (b"\x00", None),
        (b"\x00\x00\x00\x05x", None),
        (b"\x00\x00\x00\x01x", b"\x00"),
        (b"\x00\x00\x00\x01x", b"\x00\x01"),
        (b"\x00\x00\x00\x01x", b"\x00\x02\x00"),
        (b"\x00\x00\x00\x01x", b"\xff\xff\x00"),
    ],
)
def test_broken_records(key: bytes, value: bytes | None) -> None:
    """What is cut short, or is of a version that is not known, is a DecodeError."""
    with pytest.raises(DecodeError):
        RECORDS.decode(key, value)
