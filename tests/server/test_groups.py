"""Coordinators come and go with the partitions of `__consumer_offsets`."""

import struct
from pathlib import Path
from uuid import UUID

import pytest
from trio.testing import wait_all_tasks_blocked

from kpy.cluster.image import ResourceType
from kpy.groups.partitioning import partition_for
from kpy.groups.records import encode, offset_record
from kpy.protocol.errors import ErrorCode
from kpy.protocol.group_records import OffsetCommitValue
from kpy.protocol.messages.consumer_group_describe import ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse
from kpy.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from kpy.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
)
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse, DeleteTopicState
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from kpy.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kpy.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
)
from kpy.protocol.records import TRANSACTIONAL, ControlType, Record, build_batch, build_control_batch
from tests.server.client import Client, commit_offset, committed_offset, make_broker, running

NO_ID = UUID(int=0)


async def test_groups_begin_anew_when_their_topic_is_deleted(tmp_path: Path) -> None:
    """What was parked is answered, what was committed is gone, and what is committed then is kept as ever."""
    async with running(make_broker(tmp_path, group_initial_rebalance_delay_ms="100000")) as serving:
        client, joining = await serving.connect(), await serving.connect()
        await client.create_topic("t")
        assert await commit_offset(client, "g", "t", 1) == ErrorCode.NONE
        join = JoinGroupRequest(
            group_id="joined",
            session_timeout_ms=30_000,
            rebalance_timeout_ms=100_000,
            member_id="",
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
        )
        await joining.send(join, 3)
        await wait_all_tasks_blocked(0.01)
        doomed = DeleteTopicState(name="__consumer_offsets", topic_id=NO_ID)
        deleted = await client.ask(DeleteTopicsRequest(topics=[doomed], timeout_ms=1000), 6, DeleteTopicsResponse)
        assert deleted.responses[0].error_code == ErrorCode.NONE
        joined = await joining.receive(JoinGroupRequest, 3)
        assert isinstance(joined, JoinGroupResponse)
        assert joined.error_code == ErrorCode.NOT_COORDINATOR
        assert await committed_offset(client, "g", "t") == -1
        assert await commit_offset(client, "g", "t", 7) == ErrorCode.NONE
        assert await committed_offset(client, "g", "t") == 7
    async with running(make_broker(tmp_path)) as serving:
        assert await committed_offset(await serving.connect(), "g", "t") == 7


async def test_groups_are_sought_anew_when_their_topic_grows(tmp_path: Path) -> None:
    """Where a group was found before is forgotten: a start after it looks where this broker does."""
    assert partition_for("g", 50) != partition_for("g", 51)
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        assert await commit_offset(client, "g", "t", 1) == ErrorCode.NONE
        growing = CreatePartitionsTopic(name="__consumer_offsets", count=51, assignments=None)
        request = CreatePartitionsRequest(topics=[growing], timeout_ms=1000, validate_only=False)
        grown = await client.ask(request, 3, CreatePartitionsResponse)
        assert grown.results[0].error_code == ErrorCode.NONE
        assert await committed_offset(client, "g", "t") == -1
        assert await commit_offset(client, "g", "t", 2) == ErrorCode.NONE
    async with running(make_broker(tmp_path)) as serving:
        assert await committed_offset(await serving.connect(), "g", "t") == 2


async def test_settings_of_the_broker_hold_at_once(tmp_path: Path) -> None:
    """A group that was asked for before is assigned as the broker's dynamic configuration says now."""
    async with running(make_broker(tmp_path, group_consumer_assignment_interval_ms="0")) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        assert [await state_with(client, "a"), await state_with(client, "b")] == ["Stable", "Reconciling"]
        await client.alter_config(ResourceType.BROKER, "", "group.consumer.assignment.interval.ms", "10000")
        assert await state_with(client, "c") == "Assigning"


async def state_with(client: Client, member_id: str) -> str:
    """The state of group `g` when this member, too, has joined it by the consumer protocol."""
    joining = ConsumerGroupHeartbeatRequest(
        group_id="g",
        member_id=member_id,
        member_epoch=0,
        rebalance_timeout_ms=10_000,
        subscribed_topic_names=["t"],
        topic_partitions=[],
    )
    joined = await client.ask(joining, 1, ConsumerGroupHeartbeatResponse)
    assert joined.error_code == ErrorCode.NONE
    request = ConsumerGroupDescribeRequest(group_ids=["g"], include_authorized_operations=False)
    (group,) = (await client.ask(request, 1, ConsumerGroupDescribeResponse)).groups
    return group.group_state


async def test_groups_at_hand_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many groups there are, only so many are kept track of; the others are found as well."""
    monkeypatch.setattr("kpy.server.groups.CACHED_GROUPS_MAX", 3)
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        names = [f"g{number}" for number in range(10)]
        for offset, group in enumerate(names):
            assert await commit_offset(client, group, "t", offset) == ErrorCode.NONE
        assert [await committed_offset(client, group, "t") for group in names] == [*range(10)]
        assert len(serving.broker.services.groups._by_group) <= 3


def offset_99() -> tuple[bytes | None, bytes | None]:
    """The record of a commit of group `g`."""
    return encode(offset_record("g", "t", 0, OffsetCommitValue(offset=99, metadata="", commit_timestamp=1)))


async def restarted_with(tmp_path: Path, *batches: bytearray) -> list[int | ErrorCode]:
    """What `g` and another group have committed after a restart, with these batches behind a commit of 3 by both."""
    partition = partition_for("g", 50)
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        await client.create_topic("t")
        assert await commit_offset(client, "g", "t", 3) == ErrorCode.NONE
        assert await commit_offset(client, "other", "t", 3) == ErrorCode.NONE
    with (tmp_path / f"__consumer_offsets-{partition}" / "00000000000000000000.log").open("ab") as log:
        for batch in batches:
            log.write(batch)
    (tmp_path / ".kafka_cleanshutdown").unlink()
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        return [await offset_or_error(client, group) for group in ("g", "other")]


async def offset_or_error(client: Client, group: str) -> int | ErrorCode:
    topics = [OffsetFetchRequestTopics(name="t", partition_indexes=[0])]
    request = OffsetFetchRequest(groups=[OffsetFetchRequestGroup(group_id=group, topics=topics)])
    (found,) = (await client.ask(request, 9, OffsetFetchResponse)).groups
    return ErrorCode(found.error_code) if found.error_code else found.topics[0].partitions[0].committed_offset


def transactional(*, offset: int) -> bytearray:
    return build_batch(
        [offset_99()], base_offset=offset, leader_epoch=0, timestamp=1, attributes=TRANSACTIONAL, producer_id=7,
        producer_epoch=0, base_sequence=0,
    )  # fmt: skip


def marker(kind: ControlType, *, offset: int) -> bytearray:
    record = Record(struct.pack(">hh", 0, kind), struct.pack(">hi", 0, 0))
    return build_control_batch(
        record, timestamp=1, transactional=True, base_offset=offset, leader_epoch=0, producer_id=7, producer_epoch=0
    )


@pytest.mark.parametrize(
    ("ending", "committed"),
    [(ControlType.COMMIT, 99), (ControlType.ABORT, 3), (None, 3)],
    ids=["commit", "abort", "open"],
)
async def test_transactions_of_a_log_that_kafka_wrote(
    tmp_path: Path, ending: ControlType | None, committed: int
) -> None:
    """Offsets count once their transaction is committed; its marker is no record of a group."""
    batches = [transactional(offset=1), *([marker(ending, offset=2)] if ending is not None else [])]
    assert await restarted_with(tmp_path, *batches) == [committed, 3]


async def test_a_record_that_cannot_be_read(tmp_path: Path) -> None:
    """Its partition's groups have no coordinator until the next start; all others have theirs, and are listed."""
    key, value = offset_99()
    assert value is not None
    from_the_future = build_batch([(key, b"\0\x09" + value[2:])], base_offset=1, leader_epoch=0, timestamp=1)
    assert await restarted_with(tmp_path, from_the_future) == [ErrorCode.NOT_COORDINATOR, 3]
    async with running(make_broker(tmp_path)) as serving:
        client = await serving.connect()
        listed = await client.ask(ListGroupsRequest(), 5, ListGroupsResponse)
        assert (listed.error_code, [group.group_id for group in listed.groups]) == (ErrorCode.NONE, ["other"])
