"""The records of a coordinator, byte for byte, and those of old brokers and of other kinds of groups."""

from kpy.groups import records
from kpy.groups.records import empty_group, group_record, offset_record
from kpy.protocol.group_records import GroupMetadataValue, MemberMetadata, OffsetCommitValue
from tests.groups.group_context import GroupContext


def test_records_are_written_in_kafkas_versions() -> None:
    """Keys of type 1 and 2; values of version 4, null for a tombstone."""
    key, value = records.encode(
        offset_record("g", "t", 3, OffsetCommitValue(offset=5, metadata="m", commit_timestamp=7))
    )
    assert key == b"\x00\x01" + b"\x00\x01g" + b"\x00\x01t" + b"\x00\x00\x00\x03"
    assert value == (
        b"\x00\x04" + (5).to_bytes(8, "big") + b"\xff\xff\xff\xff" + b"\x02m" + (7).to_bytes(8, "big") + b"\x00"
    )

    key, value = records.encode(group_record("g", empty_group("consumer", 3, 7)))
    assert key == b"\x00\x02" + b"\x00\x01g"
    assert value == (b"\x00\x04\x09consumer\x00\x00\x00\x03\x00\x00" + (7).to_bytes(8, "big") + b"\x01" + b"\x00")
    assert records.encode(group_record("g", None)) == (b"\x00\x02\x00\x01g", None)


def test_commits_of_the_first_brokers_are_read(groups: GroupContext) -> None:
    """Keys of type 0 mean what those of type 1 do, in values as in tombstones."""
    key = b"\x00\x00" + b"\x00\x01g" + b"\x00\x01t" + b"\x00\x00\x00\x03"
    value = b"\x00\x00" + (5).to_bytes(8, "big") + b"\x00\x01m" + (7).to_bytes(8, "big")

    assert records.decode(key, value) == offset_record(
        "g", "t", 3, OffsetCommitValue(offset=5, metadata="m", commit_timestamp=7)
    )
    assert records.decode(key, None) == offset_record("g", "t", 3, None)


def test_records_of_other_groups_are_skipped() -> None:
    """A log with share groups (key type 11) can be loaded."""
    assert records.decode(b"\x00\x0b\x00\x01g", b"\x00\x00\x00\x00\x00\x01") is None
    assert records.decode(None, b"") is None


def test_an_old_member_has_one_timeout(groups: GroupContext) -> None:
    """A record without a rebalance timeout means the session timeout."""
    member = MemberMetadata(
        member_id="a", client_id="c", client_host="/::1", session_timeout=700, subscription=b"", assignment=b"x"
    )
    value = GroupMetadataValue(protocol_type="consumer", generation=4, protocol="range", leader="a", members=[member])
    groups.log.append(records.encode(group_record("g", value)))
    groups.machine = groups.replayed()
    groups.restart()
    joined = groups.client("b", version=3, rebalance_ms=1).ask_join()
    groups.advance(699)
    assert joined.is_parked
    groups.advance(1)
    assert joined.message.generation_id == 5
