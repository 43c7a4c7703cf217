"""Conversations about one group of the consumer protocol, with members of the classic one in it, that a seed makes up.

Nothing is held there, so that each request has its reply at once; after each the transcript has the group as
ConsumerGroupDescribe, or DescribeGroups, shows it. What Apache Kafka leaves to chance is left out: members choose the
assignor `range`, which sorts them, patterns are resolved when it pleases, and ids that brokers make are not shown.
"""

from collections.abc import Mapping
from itertools import count
from random import Random
from typing import Any

from interop_tests.brokers import Broker
from interop_tests.eventually import eventually
from interop_tests.wire import Dialogue
from kpy.groups.partitioning import partition_for
from kpy.protocol.embedded import (
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    TopicPartition,
    decode_blob,
    encode_blob,
)
from kpy.protocol.errors import DecodeError, ErrorCode
from kpy.protocol.messages import consumer_group_describe as described
from kpy.protocol.messages import consumer_group_heartbeat as modern
from kpy.protocol.messages import describe_groups as classic
from kpy.protocol.messages import find_coordinator, heartbeat, join_group, leave_group, offset_commit, sync_group

STEPS = 60
LONG_MS = 40_000
OFFSETS_PARTITIONS = 50


class ConsumerTalk:
    """What is said by everybody; `text` is the transcript so far."""

    def __init__(self, broker: Broker, group: str, topics: Mapping[str, str], seed: int) -> None:
        self.lines: list[str] = []
        self._dialogue = Dialogue(broker)
        self._group = group
        self._topics = dict(topics)
        self._random = Random(seed)
        self._ids: dict[Any, str] = {}
        self._members: list[_Modern | _Classic] = [
            *(_Modern(f"m{number}", None) for number in range(3)),
            _Modern("s1", "one"),
            _Modern("s2", "one"),
            _Modern("s3", "two"),
            *(_Classic(f"x{number}", None) for number in range(2)),
            _Classic("y", "two"),
        ]

    def close(self) -> None:
        self._dialogue.close()

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def run(self) -> None:
        """One conversation, begun by a member of the consumer protocol so that all ids are the clients' own."""
        eventually(self._has_coordinator, "a coordinator of the group")
        eventually(self._knows_topics, "the coordinator has heard of the topics")
        self._step(self._members[0])
        for _ in range(STEPS):
            self._step(self._random.choice(self._members))
        for party in self._members:
            if isinstance(party, _Modern):
                self._leave(party)
                self._describe()

    def _has_coordinator(self) -> bool:
        """Asking for it makes a fresh broker create its topic."""
        request = find_coordinator.FindCoordinatorRequest(key_type=0, coordinator_keys=[self._group])
        self._dialogue.ask(request, find_coordinator.FindCoordinatorResponse, 4)
        return self._described().error_code == ErrorCode.GROUP_ID_NOT_FOUND

    def _knows_topics(self) -> bool:
        """In a group of the same coordinator; a broker may hear of new topics late."""
        numbers = count()
        other = next(
            name
            for name in (f"{self._group}-{number}" for number in numbers)
            if partition_for(name, OFFSETS_PARTITIONS) == partition_for(self._group, OFFSETS_PARTITIONS)
        )
        scout = _Modern("scout", None)
        scout.topics = list(self._topics)
        request = modern.ConsumerGroupHeartbeatRequest(
            group_id=other, member_id="scout", member_epoch=0, topic_partitions=[], **self._everything(scout)
        )
        reply = self._dialogue.ask(request, modern.ConsumerGroupHeartbeatResponse, 1)
        return reply.assignment is not None and len(reply.assignment.topic_partitions) == len(self._topics)

    # --- steps ---

    def _step(self, party: "_Modern | _Classic") -> None:
        if isinstance(party, _Modern):
            self._modern(party)
        else:
            self._classic(party)
        self._describe()

    def _modern(self, party: "_Modern") -> None:
        random, roll = self._random, self._random.random()
        fields: dict[str, Any] = {"member_epoch": party.epoch}
        what = "beat"
        if not party.is_in or roll < 0.06:
            what = "join"
            party.topics = random.choice([["t"], ["t", "u"], ["u"], []])
            fields = {"member_epoch": 0, "topic_partitions": [], **self._everything(party)}
        elif roll < 0.5:
            what, fields["topic_partitions"] = "own", party.owned
        elif roll < 0.6:
            what, party.topics = "subscribe", random.choice([["t"], ["u"], ["t", "u"]])
            fields["subscribed_topic_names"] = [self._topics[name] for name in party.topics]
        elif roll < 0.66:
            what, fields = "all", {**fields, "topic_partitions": party.owned, **self._everything(party)}
        elif roll < 0.74:
            what, fields["member_epoch"] = "leave", -1
        elif roll < 0.8 and party.instance is not None:
            what, fields["member_epoch"] = "pause", -2
        elif roll < 0.86:
            self._commit(party, party.epoch + random.choice([0, 0, -1, 1]), 9)
            return
        elif roll < 0.9:
            what, fields["member_epoch"] = "slip", max(party.epoch + random.choice([-1, 1]), 1)
        request = modern.ConsumerGroupHeartbeatRequest(
            group_id=self._group, member_id=party.name, instance_id=party.instance, **fields
        )
        reply = self._dialogue.ask(request, modern.ConsumerGroupHeartbeatResponse, 1)
        code = ErrorCode(reply.error_code)
        if code is ErrorCode.NONE:
            party.is_in = what not in ("leave", "pause")
            party.epoch = reply.member_epoch
            if reply.assignment is not None:
                party.owned = reply.assignment.topic_partitions
        elif code is not ErrorCode.UNRELEASED_INSTANCE_ID:
            party.is_in = what == "slip"
        shown = self._places(reply.assignment.topic_partitions) if reply.assignment is not None else "-"
        self._note(f"{party.name} {what} {party.topics} -> {code.name} {reply.member_epoch} {shown}")

    def _leave(self, party: "_Modern") -> None:
        """At the end those of the consumer protocol go, and what is left of the group becomes a classic one."""
        request = modern.ConsumerGroupHeartbeatRequest(
            group_id=self._group, member_id=party.name, instance_id=party.instance, member_epoch=-1
        )
        reply = self._dialogue.ask(request, modern.ConsumerGroupHeartbeatResponse, 1)
        self._note(f"{party.name} leave at the end -> {ErrorCode(reply.error_code).name}")

    def _everything(self, party: "_Modern") -> dict[str, Any]:
        return {
            "rebalance_timeout_ms": LONG_MS,
            "subscribed_topic_names": [self._topics[name] for name in party.topics],
            "server_assignor": "range",
        }

    def _classic(self, party: "_Classic") -> None:
        random, roll = self._random, self._random.random()
        if not self._is_consumer_group():
            return  # ids would be the broker's
        if not party.is_in or roll < 0.3:
            self._join(party)
        elif roll < 0.5:
            self._sync(party)
        elif roll < 0.75:
            beat = heartbeat.HeartbeatRequest(
                group_id=self._group,
                generation_id=party.generation,
                member_id=party.name,
                group_instance_id=party.instance,
            )
            code = ErrorCode(self._dialogue.ask(beat, heartbeat.HeartbeatResponse, 4).error_code)
            party.is_in = code in (ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS)
            self._note(f"{party.name} heartbeat -> {code.name}")
            if code is ErrorCode.REBALANCE_IN_PROGRESS:
                self._join(party)
                self._sync(party)
        elif roll < 0.85:
            self._commit(party, party.generation + random.choice([0, 0, -1, 1]), random.choice([7, 9]))
        elif self._count() > 2:
            identity = leave_group.MemberIdentity(member_id=party.name, group_instance_id=party.instance)
            request = leave_group.LeaveGroupRequest(group_id=self._group, members=[identity])
            left = self._dialogue.ask(request, leave_group.LeaveGroupResponse, 5)
            party.is_in = False
            self._note(f"{party.name} leave -> {[ErrorCode(m.error_code).name for m in left.members]}")

    def _join(self, party: "_Classic") -> None:
        if self._random.random() < 0.2:
            party.topics = self._random.choice([["t"], ["t", "u"]])
        subscription = ConsumerProtocolSubscription(
            topics=[self._topics[name] for name in party.topics],
            owned_partitions=[TopicPartition(topic=name, partitions=ps) for name, ps in party.owned.items()],
        )
        request = join_group.JoinGroupRequest(
            group_id=self._group,
            session_timeout_ms=LONG_MS,
            rebalance_timeout_ms=LONG_MS,
            member_id=party.name,
            group_instance_id=None,
            protocol_type="consumer",
            protocols=[join_group.JoinGroupRequestProtocol(name="range", metadata=encode_blob(subscription, 1))],
        )
        reply = self._dialogue.ask(request, join_group.JoinGroupResponse, 9)
        code = ErrorCode(reply.error_code)
        party.is_in = code is ErrorCode.NONE
        party.generation = reply.generation_id
        self._note(f"{party.name} join {party.topics} -> {code.name} {reply.generation_id} {reply.protocol_name}")

    def _sync(self, party: "_Classic") -> None:
        request = sync_group.SyncGroupRequest(
            group_id=self._group,
            generation_id=party.generation,
            member_id=party.name,
            protocol_type="consumer",
            protocol_name="range",
            assignments=[],
        )
        reply = self._dialogue.ask(request, sync_group.SyncGroupResponse, 5)
        code = ErrorCode(reply.error_code)
        if code is ErrorCode.NONE:
            party.owned = {t.topic: sorted(t.partitions) for t in self._blob(reply.assignment)}
        shown = sorted((self._name(name), partitions) for name, partitions in party.owned.items())
        self._note(f"{party.name} sync -> {code.name} {shown if code is ErrorCode.NONE else ''}")

    def _commit(self, party: "_Modern | _Classic", epoch: int, version: int) -> None:
        partition = self._random.randrange(3)
        committed = offset_commit.OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=1, committed_metadata=""
        )
        request = offset_commit.OffsetCommitRequest(
            group_id=self._group,
            generation_id_or_member_epoch=epoch,
            member_id=party.name,
            topics=[offset_commit.OffsetCommitRequestTopic(name=self._topics["t"], partitions=[committed])],
        )
        reply = self._dialogue.ask(request, offset_commit.OffsetCommitResponse, version)
        code = ErrorCode(reply.topics[0].partitions[0].error_code)
        self._note(f"{party.name} commit v{version} t-{partition} in {epoch} -> {code.name}")

    # --- the group from outside ---

    def _describe(self) -> None:
        group = self._described()
        if group.error_code:
            request = classic.DescribeGroupsRequest(groups=[self._group], include_authorized_operations=False)
            [old] = self._dialogue.ask(request, classic.DescribeGroupsResponse, 5).groups
            members = sorted(
                f"{m.member_id} {sorted((self._name(t.topic), t.partitions) for t in self._blob(m.member_assignment))}"
                for m in old.members
            )
            self._note(f"  = {ErrorCode(group.error_code).name}, classic {old.group_state} {members}")
            return
        self._note(f"  = {group.group_state} {group.group_epoch} {group.assignment_epoch} {group.assignor_name}")
        for member in sorted(group.members, key=lambda member: member.member_id):
            self._note(
                f"    {member.member_id} {member.instance_id} {member.member_epoch} type {member.member_type}"
                f" {sorted(map(self._name, member.subscribed_topic_names))}"
                f" has {self._places(member.assignment.topic_partitions)}"
                f" shall have {self._places(member.target_assignment.topic_partitions)}"
            )

    def _described(self) -> described.DescribedGroup:
        request = described.ConsumerGroupDescribeRequest(group_ids=[self._group], include_authorized_operations=False)
        [group] = self._dialogue.ask(request, described.ConsumerGroupDescribeResponse, 1).groups
        for member in group.members:
            for topic in (*member.assignment.topic_partitions, *member.target_assignment.topic_partitions):
                self._ids[topic.topic_id] = self._name(topic.topic_name)
        return group

    def _is_consumer_group(self) -> bool:
        group = self._described()
        return not group.error_code and bool(group.members)

    def _count(self) -> int:
        return len(self._described().members)

    def _name(self, topic: str) -> str:
        return next((name for name, real in self._topics.items() if real == topic), topic)

    def _places(self, topics: list[Any]) -> str:
        self_described = [(topic.topic_id, partition) for topic in topics for partition in topic.partitions]
        if any(topic_id not in self._ids for topic_id, _ in self_described):
            self._described()
        return "[" + " ".join(sorted(f"{self._ids.get(t, '?')}-{p}" for t, p in self_described)) + "]"

    @staticmethod
    def _blob(assignment: bytes) -> list[TopicPartition]:
        try:
            return decode_blob(ConsumerProtocolAssignment, assignment).assigned_partitions if assignment else []
        except DecodeError:
            return []

    # --- the wire ---

    def _note(self, line: str) -> None:
        self.lines.append(line)


class _Modern:
    """What a member of the consumer protocol knows of itself."""

    def __init__(self, name: str, instance: str | None) -> None:
        self.name = name
        self.instance = instance
        self.topics: list[str] = ["t"]
        self.epoch = 0
        self.owned: list[modern.TopicPartitions] = []
        self.is_in = False


class _Classic:
    """What a member of the classic protocol knows of itself. It gives its own id, which consumer groups take."""

    def __init__(self, name: str, instance: str | None) -> None:
        self.name = name
        self.instance = instance
        self.topics: list[str] = ["t"]
        self.generation = -1
        self.owned: dict[str, list[int]] = {}
        self.is_in = False
