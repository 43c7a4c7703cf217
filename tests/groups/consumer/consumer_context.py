"""The context of the group coordinator's tests, with members of the consumer protocol and topics that change."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from kpy.groups.consumer.member import MemberState
from kpy.groups.consumer.settings import ConsumerConfig, GroupSettings
from kpy.groups.coordinator import GroupCoordinator
from kpy.protocol import consumer_group_records as declared
from kpy.protocol.embedded import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartition,
    decode_blob,
    encode_blob,
)
from kpy.protocol.errors import DecodeError, ErrorCode
from kpy.protocol.group_records import GroupMetadataValue
from kpy.protocol.messages.consumer_group_describe import DescribedGroup
from kpy.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)
from kpy.state_machine import Record
from tests.groups.group_context import Answer, Client, FakeTopic, GroupContext

Place = tuple[str, int]
UUID_LENGTH = 36


class ConsumerContext(GroupContext):
    """`settings` are those of every group. The interval between assignments is 0 unless a test says otherwise."""

    def __init__(
        self,
        *,
        settings: Mapping[str, int] | None = None,
        consumer: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> None:
        self.settings = GroupSettings(**{"assignment_interval_ms": 0, **(settings or {})})
        super().__init__(consumer=ConsumerConfig(**(consumer or {})), **config)

    def new_machine(self) -> GroupCoordinator:
        machine = GroupCoordinator(self.config, self.random, lambda _: self.settings)
        machine.topics_changed(self.topics, (), has_new=True)
        return machine

    # --- topics ---

    def add_topic(self, name: str, partitions: int = 4) -> UUID:
        topic_id = self.topics.add(name, partitions)
        self.machine.topics_changed(self.topics, [name], has_new=True)
        return topic_id

    def grow_topic(self, name: str, partitions: int) -> None:
        topic = self.topics.by_name[name]
        self.topics.by_name[name] = FakeTopic(name, topic.topic_id, range(partitions))
        self.topics.offset += 1
        self.machine.topics_changed(self.topics, [name], has_new=False)

    def delete_topic(self, name: str) -> None:
        topic = self.topics.by_name.pop(name)
        self.topics.offset += 1
        self.execute(self.machine.topics_deleted({name: topic.topic_id}))
        self.machine.topics_changed(self.topics, [name], has_new=False)

    def move_topic(self, name: str, *racks: str) -> None:
        """The replicas of the topic stand in these racks now."""
        self.topics.racks[name] = list(racks)
        self.machine.topics_changed(self.topics, [name], has_new=False)

    # --- requests ---

    def member(self, name: str, group: str = "g", **options: Any) -> "Member":
        return Member(self, name, group, **options)

    def ask_heartbeat(self, request: ConsumerGroupHeartbeatRequest, *, version: int = 1, client: str = "c") -> Answer:
        return self.ask(
            lambda to: self.machine.consumer_group_heartbeat(
                request, version=version, client_id=client, client_host="/::1", reply_to=to, now_ms=self.now_ms
            )
        )

    def described(self, group: str = "g") -> DescribedGroup:
        return self.machine.describe_consumer_group(group)

    def assignments(self, group: str = "g") -> dict[str, list[Place]]:
        """What each member has, or was told to give up, by its id."""
        return {
            member.member_id: sorted(
                (t.topic_name, p) for t in member.assignment.topic_partitions for p in t.partitions
            )
            for member in self.described(group).members
        }

    def places(self, topics: Sequence[Any]) -> list[Place]:
        """Topics by id and partitions, as names and numbers. A topic that is gone is its id."""
        found = []
        for topic in topics:
            known = self.topics.topic_by_id(topic.topic_id)
            name = known.name if known is not None else str(topic.topic_id)
            found += [(name, partition) for partition in topic.partitions]
        return sorted(found)

    def classic(self, name: str, topics: Sequence[str] = ("t",), group: str = "g", **options: Any) -> "ClassicMember":
        return ClassicMember(self, name, topics, group, **options)

    def _note_record(self, record: Record) -> None:
        key, value = record.key, record.value
        if isinstance(value, GroupMetadataValue):
            members = ", ".join(f"{name_in(m.member_id)} {read(m.assignment)}" for m in value.members)
            self.transcript.append(f"log: generation {value.generation} {value.protocol} ({members})")
        elif isinstance(key, tuple(key for key, _ in declared.RECORDS.types.values())):
            self.transcript.append(f"log: {self._described_record(key, value)}")
        else:
            super()._note_record(record)

    def _described_record(self, key: Any, value: Any) -> str:
        match key, value:
            case declared.ConsumerGroupMetadataKey(), None:
                return "consumer group deleted"
            case declared.ConsumerGroupMetadataKey(), _:
                return f"epoch {value.epoch}"
            case declared.ConsumerGroupMemberMetadataKey(), _:
                name = name_in(key.member_id)
                return f"{name} removed" if value is None else f"{name} is a member"
            case declared.ConsumerGroupTargetAssignmentMetadataKey(), _:
                return "no target" if value is None else f"target for epoch {value.assignment_epoch}"
            case declared.ConsumerGroupTargetAssignmentMemberKey(), _:
                what = "nothing" if value is None else shown(self.places(value.topic_partitions))
                return f"{name_in(key.member_id)} shall have {what}"
            case declared.ConsumerGroupCurrentMemberAssignmentKey(), None:
                return f"{name_in(key.member_id)} has nothing"
            case declared.ConsumerGroupCurrentMemberAssignmentKey(), _:
                said = f"{name_in(key.member_id)} at {value.member_epoch} {MemberState(value.state).name}"
                said += f" has {shown(self.places(value.assigned_partitions))}"
                revoking = self.places(value.partitions_pending_revocation)
                return said + (f", gives up {shown(revoking)}" if revoking else "")
            case declared.ConsumerGroupRegularExpressionKey(), _:
                return f"{key.regular_expression!r} is {'forgotten' if value is None else value.topics}"
        return "topics forgotten"


def name_in(member_id: str) -> str:
    """Member ids that the coordinator made begin with the client's name; in a consumer group they are random."""
    return member_id[:-37] if len(member_id) > UUID_LENGTH else "?" if len(member_id) == UUID_LENGTH else member_id


def read(blob: bytes) -> str:
    """What a consumer of the classic protocol is assigned."""
    try:
        found = decode_blob(ConsumerProtocolAssignment, blob).assigned_partitions if blob else []
    except DecodeError:
        return repr(blob)
    return shown(sorted((topic.topic, partition) for topic in found for partition in topic.partitions))


def shown(places: Sequence[Place]) -> str:
    return "[" + " ".join(f"{topic}-{partition}" for topic, partition in places) + "]"


class Member:
    """One member of the consumer protocol as it sees itself: it owns what it was last told that it has."""

    def __init__(
        self,
        context: ConsumerContext,
        name: str,
        group: str,
        *,
        topics: Sequence[str] | None = ("t",),
        pattern: str | None = None,
        instance: str | None = None,
        rack: str | None = None,
        assignor: str | None = None,
        rebalance_ms: int = 30_000,
        version: int = 1,
    ) -> None:
        self.context = context
        self.id = name
        self.group = group
        self.topics = topics
        self.pattern = pattern
        self.instance = instance
        self.rack = rack
        self.assignor = assignor
        self.rebalance_ms = rebalance_ms
        self.version = version
        self.epoch = 0
        self.has: list[Place] = []
        self.owned: list[TopicPartitions] = []
        self.code = ErrorCode.NONE
        self.response: ConsumerGroupHeartbeatResponse | None = None

    def ask(self, what: str, **fields: Any) -> ErrorCode:
        request = ConsumerGroupHeartbeatRequest(
            **{
                "group_id": self.group,
                "member_id": self.id,
                "member_epoch": self.epoch,
                "instance_id": self.instance,
                **fields,
            }
        )
        self.context.transcript.append(f"{self.id}: {what}")
        answer = self.context.ask_heartbeat(request, version=self.version, client=self.id)
        if answer.error is not None:  # nothing was appended: the request did not happen
            self.code = answer.error.code
            return self.code
        response = answer.message
        assert isinstance(response, ConsumerGroupHeartbeatResponse)
        self.response = response
        self.code = ErrorCode(response.error_code)
        heard = self.code.name
        if self.code is ErrorCode.NONE:
            self.epoch = response.member_epoch
            heard = f"epoch {self.epoch}"
            if response.assignment is not None:
                self.owned = response.assignment.topic_partitions
                self.has = self.context.places(self.owned)
                heard += f" {shown(self.has)}"
        self.context.transcript.append(f"{self.id} <- {heard}")
        return self.code

    def join(self, **fields: Any) -> ErrorCode:
        """From nothing, with everything that there is to say."""
        self.epoch, self.has, self.owned = 0, [], []
        return self.ask("join", **{**self.everything(), "topic_partitions": [], **fields})

    def everything(self) -> dict[str, Any]:
        return {
            "rack_id": self.rack,
            "rebalance_timeout_ms": self.rebalance_ms,
            "server_assignor": self.assignor,
            "subscribed_topic_names": list(self.topics) if self.topics is not None else None,
            "subscribed_topic_regex": self.pattern if self.version >= 1 else None,
        }

    def beat(self, **fields: Any) -> ErrorCode:
        """Nothing new."""
        return self.ask("heartbeat", **fields)

    def own(self, **fields: Any) -> ErrorCode:
        """Say what it owns: all that it was told, and nothing else any more."""
        return self.ask("owns", topic_partitions=self.owned, **fields)

    def subscribe(self, *topics: str) -> ErrorCode:
        self.topics = topics
        return self.ask(f"subscribes to {' '.join(topics)}", subscribed_topic_names=list(topics))

    def leave(self) -> ErrorCode:
        return self.ask("leave", member_epoch=-1)

    def pause(self) -> ErrorCode:
        """Leave as a static member that will be back."""
        return self.ask("leave for a while", member_epoch=-2)

    def commit(self, *offsets: tuple[str, int, int], **options: Any) -> list[ErrorCode]:
        options = {"generation": self.epoch, "member": self.id, "instance": self.instance, **options}
        return self.context.commit(self.group, *offsets, **options)


class ClassicMember(Client):
    """A member of the classic protocol that reads its assignment, and says what it owns when it joins again."""

    def __init__(self, context: ConsumerContext, name: str, topics: Sequence[str], group: str, **options: Any) -> None:
        super().__init__(context, name, group, protocols={"range": b""}, **options)
        self.consumers = context
        self.topics = topics
        self.has: list[Place] = []
        self.owned: set[tuple[UUID, int]] = set()
        """The same, of the topics that had these names then."""

    def ask_join(self) -> Answer:
        owned: dict[str, list[int]] = {}
        for topic, partition in self.has:
            owned.setdefault(topic, []).append(partition)
        subscription = ConsumerProtocolSubscription(
            topics=list(self.topics),
            owned_partitions=[TopicPartition(topic=name, partitions=found) for name, found in owned.items()],
        )
        self.protocols = {"range": encode_blob(subscription, 1)}
        return super().ask_join()

    def sync(self, assignment: Mapping[str, bytes] | None = None, **changes: Any) -> Answer:
        answer = super().sync(assignment, **changes)
        if answer.message is not None and answer.code is ErrorCode.NONE:
            self.read(answer)
        return answer

    def read(self, answer: Answer) -> None:
        """Take on what a sync was answered."""
        assert answer.message is not None
        blob = answer.message.assignment  # type: ignore[attr-defined]
        found = decode_blob(ConsumerProtocolAssignment, blob).assigned_partitions if blob else []
        self.has = sorted((topic.topic, partition) for topic in found for partition in topic.partitions)
        topics = self.context.topics.by_name
        self.owned = {(topics[name].topic_id, partition) for name, partition in self.has if name in topics}

    def _synced(self, message: Any) -> None:
        code = ErrorCode(message.error_code)
        self.context.transcript.append(f"{self.name} <- {'synced' if code is ErrorCode.NONE else code.name}")


def assigned(**topics: Sequence[int]) -> bytes:
    """What a leader gives to one consumer."""
    partitions = [TopicPartition(topic=name, partitions=list(found)) for name, found in topics.items()]
    return encode_blob(ConsumerProtocolAssignment(assigned_partitions=partitions), 1)
