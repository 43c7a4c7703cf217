"""A group coordinator with its log in memory and a clock that tests move, driven as the runtime drives it.

Every step checks the machine's invariants. `transcript` collects what was asked and answered, in lines short enough to
be compared with a text in a test.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar, cast
from uuid import UUID

from kpy.groups.config import GroupConfig
from kpy.groups.coordinator import GroupCoordinator
from kpy.protocol.embedded import ConsumerProtocolSubscription, encode_blob
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.group_records import GroupMetadataValue, OffsetCommitKey
from kpy.protocol.messages.delete_groups import DeleteGroupsResponse
from kpy.protocol.messages.describe_groups import DescribedGroup
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse
from kpy.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
)
from kpy.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
)
from kpy.protocol.messages.offset_fetch import OffsetFetchRequestGroup, OffsetFetchRequestTopics
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse
from kpy.protocol.schema import Message
from kpy.state_machine import Decision, Record, ReplyTo

RETRY_MS = 500
START_MS = 1_700_000_000_000
NO_ID = UUID(int=0)

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class FakeTopic:
    name: str
    topic_id: UUID
    partitions: Sequence[object]


class FakeTopics:
    """The topics that exist; tests add and remove them."""

    def __init__(self) -> None:
        self.by_name: dict[str, FakeTopic] = {}
        self.racks: dict[str, list[str]] = {}
        self.offset = 0

    @property
    def topics(self) -> Mapping[str, FakeTopic]:
        return self.by_name

    def add(self, name: str, partitions: int = 4, *, number: int | None = None) -> UUID:
        topic_id = UUID(int=len(self.by_name) + 1 if number is None else number)
        self.by_name[name] = FakeTopic(name, topic_id, range(partitions))
        self.offset += 1
        return topic_id

    def partition_racks(self, topic: str, index: int) -> list[str]:
        return self.racks.get(topic, [])

    def topic(self, name: str) -> FakeTopic | None:
        return self.by_name.get(name)

    def topic_by_id(self, topic_id: UUID) -> FakeTopic | None:
        return next((topic for topic in self.by_name.values() if topic.topic_id == topic_id), None)


class Answer:
    """Where the reply to one request goes."""

    def __init__(self, on_reply: Callable[[Message], None] = lambda message: None) -> None:
        self.message: Message | None = None
        self.error: KafkaError | None = None
        self._on_reply = on_reply

    @property
    def is_parked(self) -> bool:
        return self.message is None and self.error is None

    def resolve(self, message: Message) -> None:
        assert self.is_parked, "answered twice"
        self.message = message
        self._on_reply(message)

    def fail(self, error: KafkaError) -> None:
        assert self.is_parked, "answered twice"
        self.error = error

    @property
    def code(self) -> ErrorCode:
        return ErrorCode(cast("Any", self.message).error_code)


class GroupContext:
    """Appends, replays, sets timers and answers; `restart` loads a new machine from what was appended.

    A second machine reads along what is appended, and after each step knows what the first does.
    """

    def __init__(self, **config: Any) -> None:
        self.config = GroupConfig(**{"initial_rebalance_delay_ms": 0, "min_session_timeout_ms": 100, **config})
        self.random = Random(1)
        self.topics = FakeTopics()
        self.topics.add("t")
        self.now_ms = START_MS
        self.log: list[tuple[bytes | None, bytes | None]] = []
        self.records: list[Record] = []
        self.timers: dict[Hashable, int] = {}
        self.appends_fail = False
        self.transcript: list[str] = []
        self.parked: list[Answer] = []
        self.machine = self.new_machine()
        self.reader = self.new_machine()
        self.execute(self.machine.loaded(now_ms=self.now_ms))

    def new_machine(self) -> GroupCoordinator:
        machine = GroupCoordinator(self.config, self.random)
        machine.topics_changed(self.topics, (), has_new=True)
        return machine

    # --- the runtime ---

    def execute(self, decision: Decision) -> bool:
        """As `StateMachineRuntime.execute`, with what was appended read back from its bytes."""
        self.records = list(decision.records)
        if decision.records:
            if self.appends_fail:
                for reply in decision.replies:
                    reply.to.fail(KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS))
                return False
            for record in decision.records:
                encoded = self.machine.encode(record)
                self.log.append(encoded)
                read = self.reader.decode(*encoded)
                assert read == record
                self.machine.replay(record)
                self.reader.replay(read)
                self._note_record(record)
        self.machine.check_invariants()
        self._compare(decision.records)
        for timer in decision.timers:
            self.timers.pop(timer.key, None)
            if timer.delay_ms is not None:
                assert timer.delay_ms >= 0
                self.timers[timer.key] = self.now_ms + timer.delay_ms
        for reply in decision.replies:
            reply.to.resolve(reply.message)
        return True

    def _compare(self, appended: Sequence[Record]) -> None:
        """Who reads along knows the same; of offsets alone, those that were appended."""
        offsets = [record for record in appended if isinstance(record.key, OffsetCommitKey)]
        if len(offsets) < len(appended):
            assert self.reader.durable_state() == self.machine.durable_state()
        for key in (cast("OffsetCommitKey", record.key) for record in offsets):
            place = (key.group, key.topic, key.partition)
            assert self.reader._offsets.get(*place) == self.machine._offsets.get(*place)

    def ask(self, decide: Callable[[ReplyTo], Decision], on_reply: Callable[[Message], None] | None = None) -> Answer:
        answer = Answer(on_reply) if on_reply is not None else Answer()
        self.parked.append(answer)
        self.execute(decide(answer))
        self.parked = [waiting for waiting in self.parked if waiting.is_parked]
        return answer

    def reply(self, response: type[M], decide: Callable[[ReplyTo], Decision]) -> M:
        """The response of a request that is never held."""
        message = self.ask(decide).message
        assert isinstance(message, response)
        return message

    def advance(self, ms: int) -> list[Record]:
        """Let time pass: timers fire when they are due. The records of all that."""
        end_ms = self.now_ms + ms
        appended: list[Record] = []
        while self.timers:
            key = min(self.timers, key=lambda key: self.timers[key])
            if self.timers[key] > end_ms:
                break
            self.now_ms = max(self.now_ms, self.timers.pop(key))
            if self.execute(self.machine.expire(key, now_ms=self.now_ms)):
                appended += self.records
            else:
                self.timers[key] = self.now_ms + RETRY_MS
        self.now_ms = end_ms
        self.records = appended
        return appended

    def replayed(self) -> GroupCoordinator:
        """A machine that has only read the log."""
        machine = self.new_machine()
        for key, value in self.log:
            record = machine.decode(key, value)
            assert record is not None
            machine.replay(record)
        return machine

    def check_replay(self) -> None:
        """Reading the log gives what is durable in the live machine."""
        assert self.replayed().durable_state() == self.machine.durable_state()

    def restart(self, **config: Any) -> None:
        """A new process: what was held and every timer is gone."""
        self.check_replay()
        if config:
            self.config = GroupConfig(**{"initial_rebalance_delay_ms": 0, "min_session_timeout_ms": 100, **config})
        self.machine, self.reader = self.replayed(), self.replayed()
        self.machine.check_invariants()
        self.timers.clear()
        self.parked.clear()
        self.execute(self.machine.loaded(now_ms=self.now_ms))

    # --- requests that no member makes ---

    def commit(
        self,
        group: str,
        *offsets: tuple[str, int, int],
        generation: int = -1,
        member: str = "",
        instance: str | None = None,
        version: int = 9,
        metadata: str | None = "",
        retention_ms: int = -1,
        epoch: int = -1,
    ) -> list[ErrorCode]:
        """Commit (topic, partition, offset)s; the codes in their order."""
        request = OffsetCommitRequest(
            group_id=group,
            generation_id_or_member_epoch=generation,
            member_id=member,
            group_instance_id=instance,
            retention_time_ms=retention_ms,
            topics=[
                OffsetCommitRequestTopic(
                    name=topic if version < 10 else "",
                    topic_id=self.topic_id(topic) if version >= 10 else NO_ID,
                    partitions=[
                        OffsetCommitRequestPartition(
                            partition_index=partition,
                            committed_offset=offset,
                            committed_leader_epoch=epoch,
                            committed_metadata=metadata,
                        )
                    ],
                )
                for topic, partition, offset in offsets
            ],
        )
        response = self.reply(
            OffsetCommitResponse,
            lambda to: self.machine.offset_commit(
                request, version=version, topics=self.topics, reply_to=to, now_ms=self.now_ms
            ),
        )
        return [ErrorCode(partition.error_code) for topic in response.topics for partition in topic.partitions]

    def topic_id(self, name: str) -> UUID:
        topic = self.topics.topic(name)
        return topic.topic_id if topic is not None else UUID(int=0xDEAD)

    def committed(self, group: str, *, version: int = 9) -> dict[tuple[str, int], int]:
        """Every offset of a group."""
        request = OffsetFetchRequestGroup(group_id=group, topics=None)
        found = self.machine.offset_fetch(request, version=version, topics=self.topics)
        return {
            (topic.name, partition.partition_index): partition.committed_offset
            for topic in found.topics
            for partition in topic.partitions
        }

    def fetch(self, group: str, topic: str, *partitions: int, version: int = 9) -> list[tuple[int, int, str, int]]:
        """(offset, leader epoch, metadata, error) of each partition."""
        request = OffsetFetchRequestGroup(
            group_id=group,
            topics=[
                OffsetFetchRequestTopics(
                    name=topic if version < 10 else "",
                    topic_id=self.topic_id(topic) if version >= 10 else NO_ID,
                    partition_indexes=list(partitions),
                )
            ],
        )
        (found,) = self.machine.offset_fetch(request, version=version, topics=self.topics).topics
        return [
            (p.committed_offset, p.committed_leader_epoch, p.metadata or "", p.error_code) for p in found.partitions
        ]

    def delete_offsets(self, group: str, *places: tuple[str, int]) -> tuple[ErrorCode, list[ErrorCode]]:
        request = OffsetDeleteRequest(
            group_id=group,
            topics=[
                OffsetDeleteRequestTopic(
                    name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=partition)]
                )
                for topic, partition in places
            ],
        )
        response = self.reply(
            OffsetDeleteResponse,
            lambda to: self.machine.offset_delete(request, topics=self.topics, reply_to=to),
        )
        codes = [ErrorCode(partition.error_code) for topic in response.topics for partition in topic.partitions]
        return ErrorCode(response.error_code), codes

    def delete_groups(self, *group_ids: str) -> dict[str, ErrorCode]:
        response = self.reply(DeleteGroupsResponse, lambda to: self.machine.delete_groups(group_ids, reply_to=to))
        return {result.group_id: ErrorCode(result.error_code) for result in response.results}

    def leave(
        self, group: str, *members: tuple[str, str | None], version: int = 5, reason: str | None = None
    ) -> LeaveGroupResponse:
        """Several at once, by (member id, instance id)."""
        request = LeaveGroupRequest(
            group_id=group,
            members=[
                MemberIdentity(member_id=member, group_instance_id=instance, reason=reason)
                for member, instance in members
            ],
        )
        return self.reply(
            LeaveGroupResponse,
            lambda to: self.machine.leave_group(request, version=version, reply_to=to, now_ms=self.now_ms),
        )

    def describe(self, group: str, *, version: int = 6) -> DescribedGroup:
        return self.machine.describe_group(group, version=version)

    def state(self, group: str) -> str:
        return self.describe(group).group_state

    # --- members ---

    def client(self, name: str, group: str = "g", **options: Any) -> "Client":
        return Client(self, name, group, **options)

    def stable(self, *names: str, group: str = "g", **options: Any) -> list["Client"]:
        """Clients that form a group, the first of them leading; each is assigned its own name."""
        clients = [self.client(name, group, **options) for name in names]
        settle(self, clients)
        return clients

    def _note_record(self, record: Record) -> None:
        key, value = record.key, record.value
        if isinstance(key, OffsetCommitKey):
            offset = "none" if value is None else cast("Any", value).offset
            self.transcript.append(f"log: {key.group} {key.topic}-{key.partition} at {offset}")
        elif isinstance(value, GroupMetadataValue):
            members = ", ".join(f"{_name(m.member_id)}={m.assignment.decode()!r}" for m in value.members)
            self.transcript.append(f"log: generation {value.generation} {value.protocol} [{members}]")
        else:
            self.transcript.append("log: group deleted")


def _name(member_id: str) -> str:
    """The client's name in a member id, or the instance id."""
    return member_id[:-37]


class Client:
    """One member as it sees itself: it learns its id and generation from the answers."""

    def __init__(
        self,
        context: GroupContext,
        name: str,
        group: str,
        *,
        instance: str | None = None,
        version: int = 9,
        session_ms: int = 10_000,
        rebalance_ms: int = 30_000,
        protocols: Mapping[str, bytes] | Sequence[str] = ("range",),
        protocol_type: str = "consumer",
    ) -> None:
        self.context = context
        self.name = name
        self.group = group
        self.instance = instance
        self.version = version
        self.session_ms = session_ms
        self.rebalance_ms = rebalance_ms
        if not isinstance(protocols, Mapping):
            protocols = dict.fromkeys(protocols, subscription("t"))
        self.protocols = dict(protocols)
        self.protocol_type = protocol_type
        self.id = ""
        self.generation = -1
        self.leads = False
        self.peers: list[str] = []

    def ask_join(self, reason: str | None = None) -> Answer:
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=self.session_ms,
            rebalance_timeout_ms=self.rebalance_ms,
            member_id=self.id,
            group_instance_id=self.instance,
            protocol_type=self.protocol_type,
            protocols=[JoinGroupRequestProtocol(name=n, metadata=m) for n, m in self.protocols.items()],
            reason=reason,
        )
        context = self.context
        context.transcript.append(f"{self.name}: join")
        return context.ask(
            lambda to: context.machine.join_group(
                request,
                version=self.version,
                client_id=self.name,
                client_host="/127.0.0.1",
                reply_to=to,
                now_ms=context.now_ms,
            ),
            self._joined,
        )

    def join(self) -> Answer:
        """Join, with the id that the coordinator asks for."""
        answer = self.ask_join()
        if not answer.is_parked and answer.code is ErrorCode.MEMBER_ID_REQUIRED:
            answer = self.ask_join()
        return answer

    def _joined(self, message: Message) -> None:
        assert isinstance(message, JoinGroupResponse)
        code = ErrorCode(message.error_code)
        if code is ErrorCode.NONE:
            self.generation = message.generation_id
            self.leads = message.leader == message.member_id
            self.peers = [member.member_id for member in message.members]
        elif code is ErrorCode.UNKNOWN_MEMBER_ID:
            self.generation = -1
        if code in (ErrorCode.NONE, ErrorCode.MEMBER_ID_REQUIRED):
            self.id = message.member_id
        what = code.name
        if code is ErrorCode.NONE:
            what = f"generation {message.generation_id} {message.protocol_name}"
            if self.leads:
                what += f", leads [{', '.join(_name(peer) for peer in self.peers)}]"
            if message.skip_assignment:
                what += ", no assignment needed"
        self.context.transcript.append(f"{self.name} <- {what}")

    def sync(self, assignment: Mapping[str, bytes] | None = None, **changes: Any) -> Answer:
        """With what each member id is assigned, from the leader."""
        request = SyncGroupRequest(
            **{
                **self._identity(),
                "protocol_type": self.protocol_type,
                "protocol_name": next(iter(self.protocols)),
                "assignments": [
                    SyncGroupRequestAssignment(member_id=member, assignment=given)
                    for member, given in (assignment or {}).items()
                ],
                **changes,
            }
        )
        context = self.context
        context.transcript.append(f"{self.name}: sync")
        return context.ask(
            lambda to: context.machine.sync_group(request, version=5, reply_to=to, now_ms=context.now_ms),
            self._synced,
        )

    def assign(self) -> Answer:
        """Sync as the leader: each member gets the name it has in its id."""
        return self.sync({peer: _name(peer).encode() for peer in self.peers})

    def _synced(self, message: Message) -> None:
        assert isinstance(message, SyncGroupResponse)
        code = ErrorCode(message.error_code)
        what = f"assigned {message.assignment.decode()!r}" if code is ErrorCode.NONE else code.name
        self.context.transcript.append(f"{self.name} <- {what}")

    def _identity(self) -> dict[str, Any]:
        return {
            "group_id": self.group,
            "generation_id": self.generation,
            "member_id": self.id,
            "group_instance_id": self.instance,
        }

    def beat(self, **changes: Any) -> ErrorCode:
        request = HeartbeatRequest(**{**self._identity(), **changes})
        context = self.context
        response = context.reply(HeartbeatResponse, lambda to: context.machine.heartbeat(request, reply_to=to))
        code = ErrorCode(response.error_code)
        context.transcript.append(f"{self.name}: heartbeat <- {code.name}")
        return code

    def leave(self) -> ErrorCode:
        self.context.transcript.append(f"{self.name}: leave")
        response = self.context.leave(self.group, (self.id, self.instance))
        return ErrorCode(response.members[0].error_code)

    def commit(self, *offsets: tuple[str, int, int], **options: Any) -> list[ErrorCode]:
        options = {"generation": self.generation, "member": self.id, "instance": self.instance, **options}
        return self.context.commit(self.group, *offsets, **options)


def settle(context: GroupContext, clients: Sequence[Client]) -> None:
    """Have the clients join and sync until all of them are in one stable generation."""
    for client in clients:
        client.join()
        context.advance(0)
    for client in clients:
        if client.beat() is ErrorCode.REBALANCE_IN_PROGRESS:
            client.ask_join()
    context.advance(0)
    for client in sorted(clients, key=lambda client: client.leads):
        client.assign() if client.leads else client.sync()
    assert context.state(clients[0].group) == "Stable"


def subscription(*topics: str) -> bytes:
    """The metadata of a consumer."""
    return encode_blob(ConsumerProtocolSubscription(topics=list(topics)), 0)
