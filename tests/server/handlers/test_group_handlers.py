"""The handlers of groups, on coordinators whose log is in memory: every version, and errors that are not theirs."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
import trio.testing

from kpy.cluster.topic_names import CONSUMER_OFFSETS
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.delete_groups import DeleteGroupsRequest
from kpy.protocol.messages.describe_groups import DescribeGroupsRequest
from kpy.protocol.messages.find_coordinator import FindCoordinatorRequest
from kpy.protocol.messages.heartbeat import HeartbeatRequest
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from kpy.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from kpy.protocol.messages.list_groups import ListGroupsRequest
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from kpy.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
)
from kpy.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse
from kpy.protocol.schema import Message, Request
from kpy.server import authorized_operations
from kpy.server.context import RequestContext
from kpy.server.groups import Groups
from kpy.server.handlers import all_handlers
from kpy.server.state_machine_runtime import KeyAndValue
from kpy.server.timers import Timers
from tests.cluster.controller_context import NODE
from tests.server.handlers.handler_context import UNKNOWN_ID, HandlerContext

NOW_MS = 1_700_000_000_000

R = TypeVar("R", bound=Message)


class FakePartition:
    """A partition of `__consumer_offsets` that can refuse to append."""

    def __init__(self) -> None:
        self.records: list[KeyAndValue] = []
        self.error: ErrorCode | None = None

    @property
    def end_offset(self) -> int:
        return len(self.records)

    @property
    def size_bytes(self) -> int:
        return sum(len(key or b"") + len(value or b"") for key, value in self.records)

    def append_records(self, records: Sequence[KeyAndValue]) -> None:
        if self.error is not None:
            raise KafkaError(self.error)
        self.records += records

    def when_durable(self, tell: Callable[[KafkaError | None], None]) -> None:
        tell(None)

    def read_records(self) -> Iterable[KeyAndValue]:
        return self.records


class FakePartitions:
    """All partitions of `__consumer_offsets`."""

    def __init__(self, broker: HandlerContext) -> None:
        self._broker = broker
        self.by_index: dict[int, FakePartition] = {}
        self.error: ErrorCode | None = None

    @property
    def image(self) -> object:
        return self._broker.image

    def log(self, topic: str, index: int) -> FakePartition | None:
        return self.by_index.get(index)

    def find(self, topic: str, index: int) -> FakePartition:
        assert topic == CONSUMER_OFFSETS
        if self.error is not None:
            raise KafkaError(self.error)
        return self.by_index.setdefault(index, FakePartition())


class GroupBroker(HandlerContext):
    """A broker as far as the handlers of groups know it."""

    def __init__(self) -> None:
        super().__init__(group_initial_rebalance_delay_ms="0")
        self.created("t")
        self.partitions = FakePartitions(self)
        self.timers = Timers()
        self.groups = self._new_groups(1)

    def _new_groups(self, seed: int) -> Groups:
        return Groups(
            self.state.config,
            cast("Any", self.partitions),
            clock=SimpleNamespace(now_ms=lambda: NOW_MS),
            timers=self.timers,
            random_source=Random(seed),
            create_offsets_topic=lambda: self.created(CONSUMER_OFFSETS),
        )

    def restart(self) -> None:
        """Coordinators of a new process, which has loaded nothing yet."""
        self.groups.unload()
        self.groups = self._new_groups(2)

    def request(self, version: int) -> RequestContext:
        context = super().request(version)
        context.services.groups = self.groups
        context.services.clock = SimpleNamespace(now_ms=lambda: NOW_MS)
        context.connection.may_answer_later = False
        return context

    async def ask(self, request: Request, version: int) -> Any:
        """The response as a client of that version sees it."""
        response = all_handlers()[request.api].function(request, self.request(version))
        if isinstance(response, Awaitable):
            response = await response
        assert response is not None
        return type(response).decode(response.encode(version), version)

    async def join(self, group: str, version: int = 9, member_id: str = "") -> JoinGroupResponse:
        request = JoinGroupRequest(
            group_id=group,
            session_timeout_ms=10_000,
            rebalance_timeout_ms=10_000,
            member_id=member_id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
        )
        response = await self.ask(request, version)
        assert isinstance(response, JoinGroupResponse)
        return response

    async def stable(self, group: str) -> str:
        """A group of one; its member id."""
        member_id = (await self.join(group, 3)).member_id
        given = SyncGroupRequestAssignment(member_id=member_id, assignment=b"all")
        sync = SyncGroupRequest(group_id=group, generation_id=1, member_id=member_id, assignments=[given])
        assert (await self.ask(sync, 3)).assignment == b"all"
        return member_id

    def commit_request(self, group: str, version: int, offset: int = 5) -> OffsetCommitRequest:
        partition = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset, committed_metadata="m")
        topic = OffsetCommitRequestTopic(partitions=[partition])
        if version >= 10:
            topic.topic_id = self.topic("t").topic_id
        else:
            topic.name = "t"
        return OffsetCommitRequest(group_id=group, member_id="", topics=[topic])

    async def commit(self, group: str, version: int = 9, offset: int = 5) -> ErrorCode:
        response = await self.ask(self.commit_request(group, version, offset), version)
        return ErrorCode(response.topics[0].partitions[0].error_code)


@pytest.fixture
async def broker(nursery: trio.Nursery) -> GroupBroker:
    broker = GroupBroker()
    nursery.start_soon(broker.timers.run)
    return broker


@pytest.mark.parametrize("version", range(10))
async def test_join_group(broker: GroupBroker, version: int) -> None:
    """In every version a member gets in, with the id it is asked to join with from 4 on."""
    response = await broker.join("g", version)
    if version >= 4:
        assert response.error_code == ErrorCode.MEMBER_ID_REQUIRED
        response = await broker.join("g", version, response.member_id)

    assert response.error_code == ErrorCode.NONE
    assert (response.generation_id, response.protocol_name, response.leader) == (1, "range", response.member_id)
    assert response.member_id.startswith("client-")


@pytest.mark.parametrize("version", range(6))
async def test_sync_group(broker: GroupBroker, version: int) -> None:
    """In every version a member of a stable group gets its assignment."""
    member_id = await broker.stable("g")
    request = SyncGroupRequest(group_id="g", generation_id=1, member_id=member_id, assignments=[])
    if version >= 5:
        request.protocol_type, request.protocol_name = "consumer", "range"
    response = await broker.ask(request, version)
    assert (response.error_code, response.assignment) == (ErrorCode.NONE, b"all")


@pytest.mark.parametrize("version", range(5))
async def test_heartbeat(broker: GroupBroker, version: int) -> None:
    """In every version a member is alive and a stranger unknown."""
    member_id = await broker.stable("g")
    for name, code in ((member_id, ErrorCode.NONE), ("nobody", ErrorCode.UNKNOWN_MEMBER_ID)):
        response = await broker.ask(HeartbeatRequest(group_id="g", generation_id=1, member_id=name), version)
        assert response.error_code == code


async def test_a_session_ends_without_heartbeats(broker: GroupBroker, autojump_clock: trio.testing.MockClock) -> None:
    """The broker's timers drive the coordinators'."""
    member_id = await broker.stable("g")
    await trio.sleep(9.9)
    assert (await broker.ask(HeartbeatRequest(group_id="g", generation_id=1, member_id=member_id), 4)).error_code == 0
    await trio.sleep(10.1)
    response = await broker.ask(HeartbeatRequest(group_id="g", generation_id=1, member_id=member_id), 4)
    assert response.error_code == ErrorCode.UNKNOWN_MEMBER_ID


@pytest.mark.parametrize("version", range(6))
async def test_leave_group(broker: GroupBroker, version: int) -> None:
    """One member before version 3, a list from then on."""
    member_id = await broker.stable("g")
    if version < 3:
        assert (await broker.ask(LeaveGroupRequest(group_id="g", member_id=member_id), version)).error_code == 0
    else:
        request = LeaveGroupRequest(group_id="g", members=[MemberIdentity(member_id=member_id)])
        (member,) = (await broker.ask(request, version)).members
        assert (member.member_id, member.error_code) == (member_id, ErrorCode.NONE)
    described = await broker.ask(DescribeGroupsRequest(groups=["g"]), 0)
    assert described.groups[0].group_state == "Empty"


@pytest.mark.parametrize("version", range(2, 11))
async def test_offset_commit(broker: GroupBroker, version: int) -> None:
    """In every version an offset can be committed, by the topic's name or, from 10 on, its id."""
    assert await broker.commit("g", version) is ErrorCode.NONE
    request = broker.commit_request("g", version)
    request.topics[0].name, request.topics[0].topic_id = ("nope", UNKNOWN_ID) if version < 10 else ("", UNKNOWN_ID)
    response = await broker.ask(request, version)
    expected = ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert response.topics[0].partitions[0].error_code == expected


@pytest.mark.parametrize(
    ("version", "everything"), [(1, False), *((version, each) for version in range(2, 11) for each in (True, False))]
)
async def test_offset_fetch(broker: GroupBroker, version: int, everything: bool) -> None:
    """In every version an offset can be fetched; of all topics from 2 on, of several groups from 8 on."""
    await broker.commit("g")
    if version < 8:
        topics = None if everything else [OffsetFetchRequestTopic(name="t", partition_indexes=[0])]
        found = await broker.ask(OffsetFetchRequest(group_id="g", topics=topics), version)
    else:
        asked = OffsetFetchRequestTopics(partition_indexes=[0])
        if version >= 10:
            asked.topic_id = broker.topic("t").topic_id
        else:
            asked.name = "t"
        groups = [
            OffsetFetchRequestGroup(group_id=group, topics=None if everything else [asked]) for group in ("g", "none")
        ]
        found, none = (await broker.ask(OffsetFetchRequest(groups=groups), version)).groups
        assert none.group_id == "none"
        assert [p.committed_offset for topic in none.topics for p in topic.partitions] == ([] if everything else [-1])
    (partition,) = found.topics[0].partitions
    assert (partition.committed_offset, partition.metadata, partition.error_code) == (5, "m", 0)


async def test_offset_delete(broker: GroupBroker) -> None:
    """There is one version of it."""
    await broker.commit("g")
    topic = OffsetDeleteRequestTopic(name="t", partitions=[OffsetDeleteRequestPartition(partition_index=0)])
    response = await broker.ask(OffsetDeleteRequest(group_id="g", topics=[topic]), 0)
    assert (response.error_code, response.topics[0].partitions[0].error_code) == (0, 0)


@pytest.mark.parametrize("version", range(7))
async def test_describe_groups(broker: GroupBroker, version: int) -> None:
    """Groups in the order asked for; from version 3 on with what the client may do, if it asks."""
    member_id = await broker.stable("g")
    request = DescribeGroupsRequest(groups=["g", "nope"], include_authorized_operations=version >= 3)
    found, missing = (await broker.ask(request, version)).groups

    assert (found.group_state, found.members[0].member_id, missing.group_state) == ("Stable", member_id, "Dead")
    assert found.members[0].client_host == "/127.0.0.1"
    if version >= 3:
        assert found.authorized_operations == authorized_operations.GROUP
        assert (missing.authorized_operations == authorized_operations.GROUP) is (version < 6)


@pytest.mark.parametrize("version", range(6))
async def test_list_groups(broker: GroupBroker, version: int) -> None:
    """Groups of every partition; filters count from the version that has them."""
    await broker.stable("g")
    await broker.commit("offsets")
    request = ListGroupsRequest()
    if version >= 4:
        request.states_filter = ["stable"]
    response = await broker.ask(request, version)
    assert {group.group_id for group in response.groups} == ({"g"} if version >= 4 else {"g", "offsets"})


@pytest.mark.parametrize("version", range(3))
async def test_delete_groups(broker: GroupBroker, version: int) -> None:
    """In the order of the request, each group once."""
    await broker.stable("g")
    await broker.commit("empty")
    request = DeleteGroupsRequest(groups_names=["empty", "g", "nope", "empty"])
    response = await broker.ask(request, version)
    assert [(result.group_id, result.error_code) for result in response.results] == [
        ("empty", ErrorCode.NONE),
        ("g", ErrorCode.NON_EMPTY_GROUP),
        ("nope", ErrorCode.GROUP_ID_NOT_FOUND),
    ]


@pytest.mark.parametrize("version", range(7))
async def test_find_coordinator(broker: GroupBroker, version: int) -> None:
    """This broker, on the listener that the client came by; the topic comes to be with the first question."""
    request = FindCoordinatorRequest(key="g") if version < 4 else FindCoordinatorRequest(coordinator_keys=["g", "g"])
    response = await broker.ask(request, version)
    for found in [response] if version < 4 else response.coordinators:
        assert (found.error_code, found.node_id, found.host, found.port) == (0, NODE, "localhost", 9092)
        if version >= 1:
            assert found.error_message == ("NONE" if version < 4 else "")
    assert broker.image.topic(CONSUMER_OFFSETS) is not None


@pytest.mark.parametrize(("key_type", "code"), [(1, 0), (2, 42), (9, 42), (-1, 42)])
@pytest.mark.parametrize("version", [1, 6])
async def test_find_other_coordinators(broker: GroupBroker, version: int, key_type: int, code: int) -> None:
    """Of transactional ids this broker; of share groups and unknown types none."""
    request = FindCoordinatorRequest(key_type=key_type)
    if version >= 4:
        request.coordinator_keys = ["x"]
    response = await broker.ask(request, version)
    found = response if version < 4 else response.coordinators[0]
    assert (found.error_code, found.node_id) == (code, NODE if code == 0 else -1)


async def test_what_cannot_be_appended_is_an_error_of_the_coordinator(broker: GroupBroker) -> None:
    """Clients hear of a coordinator that is not available, not of the partition's trouble."""
    assert await broker.commit("g") is ErrorCode.NONE
    for partition in broker.partitions.by_index.values():
        partition.error = ErrorCode.NOT_ENOUGH_REPLICAS
    assert await broker.commit("g", offset=6) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    (result,) = (await broker.ask(DeleteGroupsRequest(groups_names=["g"]), 2)).results
    assert result.error_code == ErrorCode.COORDINATOR_NOT_AVAILABLE


async def test_a_coordinator_that_is_elsewhere(broker: GroupBroker) -> None:
    """Every API has a place for NOT_COORDINATOR, so that clients look for it again."""
    broker.partitions.error = ErrorCode.NOT_LEADER_OR_FOLLOWER
    expected = ErrorCode.NOT_COORDINATOR
    joined = await broker.join("g")
    assert joined.error_code == expected
    sync = SyncGroupRequest(group_id="g", generation_id=1, member_id="m", assignments=[])
    assert await broker.ask(sync, 0) == SyncGroupResponse(error_code=expected, assignment=b"")
    heartbeat = HeartbeatRequest(group_id="g", generation_id=1, member_id="m")
    assert (await broker.ask(heartbeat, 0)).error_code == expected
    assert (await broker.ask(LeaveGroupRequest(group_id="g", member_id="m"), 0)).error_code == expected
    assert await broker.commit("g") is expected
    assert (await broker.ask(OffsetDeleteRequest(group_id="g", topics=[]), 0)).error_code == expected
    assert (await broker.ask(DeleteGroupsRequest(groups_names=["g"]), 0)).results[0].error_code == expected
    assert (await broker.ask(DescribeGroupsRequest(groups=["g"]), 0)).groups[0].error_code == expected
    assert (await broker.ask(OffsetFetchRequest(group_id="g", topics=None), 2)).error_code == expected
    asked = OffsetFetchRequestTopic(name="t", partition_indexes=[0])
    found = await broker.ask(OffsetFetchRequest(group_id="g", topics=[asked]), 1)
    assert found.topics[0].partitions[0].error_code == expected


async def test_offsets_of_a_coordinator_that_is_not_available(broker: GroupBroker) -> None:
    """No consumer before 3.9 asks again for the offsets then, so that it hears of a coordinator that is elsewhere."""
    broker.partitions.error = ErrorCode.REQUEST_TIMED_OUT
    assert await broker.commit("g") is ErrorCode.COORDINATOR_NOT_AVAILABLE
    found = await broker.ask(OffsetFetchRequest(group_id="g", topics=None), 2)
    assert found.error_code == ErrorCode.NOT_COORDINATOR


async def test_groups_are_there_after_a_restart(broker: GroupBroker) -> None:
    """A new process reads the log: the group, its member and its offsets."""
    member_id = await broker.stable("g")
    await broker.commit("offsets")
    broker.restart()
    await broker.groups.load_in_background()
    response = await broker.ask(ListGroupsRequest(), 5)
    assert {group.group_id for group in response.groups} == {"g", "offsets"}
    heartbeat = HeartbeatRequest(group_id="g", generation_id=1, member_id=member_id)
    assert (await broker.ask(heartbeat, 4)).error_code == ErrorCode.NONE


async def test_a_large_partition_holds_up_nobody(broker: GroupBroker) -> None:
    """It is loaded bit by bit, and whoever asks for its groups meanwhile is told COORDINATOR_LOAD_IN_PROGRESS.

    A heartbeat is taken as given: its member cannot do anything about it.
    """
    assert await broker.commit("g") is ErrorCode.NONE
    (partition,) = broker.partitions.by_index.values()
    partition.records *= 20_000
    broker.restart()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(broker.groups.load_in_background)
        for _ in range(20):
            assert await broker.commit("g") is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            beat = await broker.ask(HeartbeatRequest(group_id="g", generation_id=1, member_id="m"), 4)
            assert beat.error_code == ErrorCode.NONE
            await trio.lowlevel.checkpoint()
    assert await broker.commit("g") is ErrorCode.NONE
