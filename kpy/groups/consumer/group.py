"""A consumer group: what its records tell, and what follows from that.

Nothing here changes but by `replay`, except for a few notes that may be lost: who was called to join again, and as of
which epoch the topics are known to be unchanged.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from uuid import UUID

from kpy.groups.consumer import records
from kpy.groups.consumer.member import NO_TARGET, ConsumerMember, MemberState, Target
from kpy.groups.consumer.patterns import PatternResolution
from kpy.groups.consumer.records import ResolvedPattern
from kpy.groups.group import GroupType
from kpy.protocol import consumer_group_records as declared
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.group_records import OffsetCommitValue
from kpy.protocol.messages.list_groups import ListedGroup
from kpy.protocol.schema import Data
from kpy.state_machine import Record, Timer

CONSUMER_PROTOCOL = "consumer"
EPOCHS_IN_COMMITS_SINCE = 9
FIRST_EPOCH = 1
NO_EPOCH = -1


class ConsumerGroupState(StrEnum):
    """The state of a consumer group, by the name that clients see. It follows from the epochs."""

    EMPTY = "Empty"
    """Nobody is in the group."""

    ASSIGNING = "Assigning"
    """The group has changed and there is no target for that yet; the next heartbeat makes one."""

    RECONCILING = "Reconciling"
    """There is a target, and some members are not there yet."""

    STABLE = "Stable"
    """Every member has its target."""


class ConsumerGroup:
    """Invariants, checked by `check_invariants`:

    - a partition is had, or being given up, by one member at the most, and in the target of one member at the most
    - `owners`, `static_members`, `subscribers` and the other counts are what the members say
    - no member and no target is of an epoch that the group has not come to
    """

    type = GroupType.CONSUMER

    def __init__(self, group_id: str) -> None:
        self.group_id = group_id
        self.epoch = FIRST_EPOCH
        self.metadata_hash = 0
        self.target_epoch = FIRST_EPOCH
        self.target_timestamp_ms = 0
        self.members: dict[str, ConsumerMember] = {}
        self.targets: dict[str, Target] = {}
        self.patterns: dict[str, ResolvedPattern] = {}
        self.has_topics_record = False
        # what follows from the members and patterns
        self.static_members: dict[str, str] = {}
        self.owners: dict[UUID, dict[int, str]] = {}
        self.subscribers: Counter[str] = Counter()
        self.pattern_members: Counter[str] = Counter()
        self.assignors: Counter[str] = Counter()
        self.classic_protocols: Counter[str] = Counter()
        self.classic_members = 0
        # notes
        self.called_to_join: set[str] = set()
        self.topics_checked_at_epoch: int | None = None
        self.resolution: PatternResolution | None = None

    # --- what is asked of any group ---

    @property
    def state(self) -> ConsumerGroupState:
        if not self.members:
            return ConsumerGroupState.EMPTY
        if self.epoch > self.target_epoch:
            return ConsumerGroupState.ASSIGNING
        if all(member.is_reconciled_to(self.target_epoch) for member in self.members.values()):
            return ConsumerGroupState.STABLE
        return ConsumerGroupState.RECONCILING

    @property
    def state_name(self) -> str:
        return self.state.value

    @property
    def is_empty(self) -> bool:
        return not self.members

    def check_commit(
        self,
        member_id: str,
        instance_id: str | None,
        generation_or_epoch: int,
        *,
        version: int,
        places: Iterable[tuple[UUID, int]],
    ) -> Timer | None:
        """ConsumerGroup.validateOffsetCommit: the member's epoch, or one since which it has had all the partitions.

        So a commit that was under way while the member moved on still counts (KIP-1251). It begins no session anew.
        """
        if generation_or_epoch < 0 and not self.members:
            return None
        member = self.member(member_id)
        if member.classic is None and version < EPOCHS_IN_COMMITS_SINCE:
            raise KafkaError(
                ErrorCode.UNSUPPORTED_VERSION,
                "OffsetCommit version 9 or above must be used by members using the consumer group protocol",
            )
        if generation_or_epoch == member.epoch:
            return None
        if generation_or_epoch > member.epoch:
            raise _stale(member)
        for topic_id, partition in places:
            since = member.epoch_of(topic_id, partition)
            if since is None or generation_or_epoch < since:
                raise _stale(member)
        return None

    def check_fetch(self, member_id: str | None, member_epoch: int) -> None:
        """ConsumerGroup.validateOffsetFetch: whoever says who it is has to be right."""
        if member_id is None and member_epoch < 0:
            return
        member = self.member(member_id or "")
        if member_epoch != member.epoch:
            raise _stale(member)

    def check_offset_delete(self) -> None:
        """Offsets may be deleted while there are members, of topics that none of them reads."""

    def check_delete(self) -> None:
        if self.members:
            raise KafkaError(ErrorCode.NON_EMPTY_GROUP)

    def tombstones(self) -> list[Record]:
        return self.tombstones_of(self.members)

    def tombstones_of(self, member_ids: Iterable[str]) -> list[Record]:
        """The records that delete the group and these members, in the order in which Kafka's replay wants them."""
        member_ids = list(member_ids)
        return [
            *(records.assignment_tombstone(self.group_id, member_id) for member_id in member_ids),
            *(records.target_tombstone(self.group_id, member_id) for member_id in member_ids),
            records.target_epoch_tombstone(self.group_id),
            *(records.member_tombstone(self.group_id, member_id) for member_id in member_ids),
            *(records.pattern_tombstone(self.group_id, pattern) for pattern in self.patterns),
            records.topics_tombstone(self.group_id),
            records.epoch_tombstone(self.group_id),
        ]

    def is_subscribed(self, topic: str) -> bool:
        return topic in self.subscribers

    def retention_start_ms(self, committed: OffsetCommitValue) -> int | None:
        """Whether there are members or not, an offset is kept from its commit on."""
        return committed.commit_timestamp

    def listed(self) -> ListedGroup:
        return ListedGroup(
            group_id=self.group_id,
            protocol_type=CONSUMER_PROTOCOL,
            group_state=self.state_name,
            group_type=self.type.value,
        )

    # --- questions ---

    def member(self, member_id: str) -> ConsumerMember:
        member = self.members.get(member_id)
        if member is None:
            raise KafkaError(
                ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {self.group_id}."
            )
        return member

    def static_member(self, instance_id: str | None) -> ConsumerMember | None:
        """The member that has an instance id."""
        member_id = self.static_members.get(instance_id) if instance_id is not None else None
        return self.members[member_id] if member_id is not None else None

    def is_free(self, topic_id: UUID, partition: int) -> bool:
        """Whether nobody has the partition, or was told to give it up and has not done so yet."""
        return partition not in self.owners.get(topic_id, {})

    def target_of(self, member: ConsumerMember) -> Target:
        """The target of a member, or of the one whose instance id it takes over."""
        holder = member.member_id
        if member.instance_id is not None:
            holder = self.static_members.get(member.instance_id, "")
        return self.targets.get(holder, NO_TARGET)

    def subscribed_names(self, old: Iterable[ConsumerMember], new: ConsumerMember | None) -> set[str]:
        """The topics subscribed to once these members are gone and this one is here.

        A pattern counts until its last member is gone.
        """
        counts = Counter(self.subscribers)
        pattern_members = Counter(self.pattern_members)
        for member in old:
            counts.subtract(member.topic_names)
            pattern_members.subtract([member.pattern] if member.pattern else [])
        if new is not None:
            counts.update(new.topic_names)
            pattern_members.update([new.pattern] if new.pattern else [])
        for pattern, resolved in self.patterns.items():
            if pattern_members[pattern] <= 0:
                counts.subtract(resolved.topics)
        return {name for name, count in counts.items() if count > 0}

    def names_read_by(self, member: ConsumerMember) -> frozenset[str]:
        """The topics that a member subscribes to, by name and by a pattern that is resolved."""
        resolved = self.patterns.get(member.pattern) if member.pattern else None
        return member.topic_names if resolved is None else member.topic_names | resolved.topics

    def preferred_assignor(self, old: ConsumerMember | None, new: ConsumerMember | None, default: str) -> str:
        """The one that most members ask for, with one member changed; of equals the last by name."""
        counts = Counter(self.assignors)
        if old is not None and old.assignor is not None:
            counts[old.assignor] -= 1
        if new is not None and new.assignor is not None:
            counts[new.assignor] += 1
        asked = [name for name, count in counts.items() if count > 0]
        return max(asked, key=lambda name: (counts[name], name), default=default)

    def supports_classic(self, protocol_type: str, protocols: Iterable[str]) -> bool:
        """Whether one with these strategies can join the classic members there are: all have one in common."""
        return protocol_type == CONSUMER_PROTOCOL and any(
            self.classic_protocols[name] == self.classic_members for name in protocols
        )

    def waits_for_others(self, member: ConsumerMember) -> bool:
        """Whether something of the member's target is still somebody else's."""
        return member.state is MemberState.UNRELEASED_PARTITIONS and any(
            partition not in member.assigned.get(topic_id, {}) and not self.is_free(topic_id, partition)
            for topic_id, partitions in self.targets.get(member.member_id, NO_TARGET).items()
            for partition in partitions
        )

    @property
    def topics_may_have_changed(self) -> bool:
        """Whether the topics were not looked at since the group came to its epoch, or have changed since."""
        return self.topics_checked_at_epoch is None or self.epoch < self.topics_checked_at_epoch

    # --- replay ---

    def replay(self, key: Data, value: Data | None) -> None:
        """Apply a record of this group, except the tombstone that ends it."""
        match key, value:
            case declared.ConsumerGroupMetadataKey(), declared.ConsumerGroupMetadataValue():
                self.epoch, self.metadata_hash = value.epoch, value.metadata_hash
            case declared.ConsumerGroupPartitionMetadataKey(), _:
                self.has_topics_record = value is not None
            case declared.ConsumerGroupMemberMetadataKey(), _:
                self._replay_member(key.member_id, value)
            case declared.ConsumerGroupTargetAssignmentMetadataKey(), _:
                self._replay_target_epoch(value)
            case declared.ConsumerGroupTargetAssignmentMemberKey(), _:
                self._replay_target(key.member_id, value)
            case declared.ConsumerGroupCurrentMemberAssignmentKey(), _:
                self._replay_assignment(key.member_id, value)
            case declared.ConsumerGroupRegularExpressionKey(), _:
                self._replay_pattern(key.regular_expression, value)
            case _:
                raise AssertionError(f"not a record of a consumer group: {key!r}")

    def _replay_member(self, member_id: str, value: Data | None) -> None:
        if value is None:
            self._forget(self.members.pop(member_id, None))
            self.called_to_join.discard(member_id)
            return
        assert isinstance(value, declared.ConsumerGroupMemberMetadataValue)
        self._put(self._known(member_id).with_metadata(value))

    def _replay_target_epoch(self, value: Data | None) -> None:
        if value is None:
            self.target_epoch, self.target_timestamp_ms = NO_EPOCH, 0
            return
        assert isinstance(value, declared.ConsumerGroupTargetAssignmentMetadataValue)
        self.target_epoch, self.target_timestamp_ms = value.assignment_epoch, value.assignment_timestamp

    def _replay_target(self, member_id: str, value: Data | None) -> None:
        if value is None:
            self.targets.pop(member_id, None)
            return
        assert isinstance(value, declared.ConsumerGroupTargetAssignmentMemberValue)
        self.targets[member_id] = {topic.topic_id: frozenset(topic.partitions) for topic in value.topic_partitions}

    def _replay_assignment(self, member_id: str, value: Data | None) -> None:
        if value is None:
            if member_id in self.members:
                self._put(self.members[member_id].without_assignment())
            return
        assert isinstance(value, declared.ConsumerGroupCurrentMemberAssignmentValue)
        self._put(self._known(member_id).with_assignment(value))

    def _replay_pattern(self, pattern: str, value: Data | None) -> None:
        known = self.patterns.pop(pattern, None)
        if known is not None:
            _subtract(self.subscribers, known.topics)
        if value is not None:
            assert isinstance(value, declared.ConsumerGroupRegularExpressionValue)
            self.patterns[pattern] = ResolvedPattern(frozenset(value.topics), value.version, value.timestamp)
            self.subscribers.update(value.topics)

    def _known(self, member_id: str) -> ConsumerMember:
        return self.members.get(member_id) or ConsumerMember(member_id=member_id)

    def _put(self, member: ConsumerMember) -> None:
        self._forget(self.members.get(member.member_id))
        self.members[member.member_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id
        self.subscribers.update(member.topic_names)
        self.pattern_members.update([member.pattern] if member.pattern else [])
        self.assignors.update([member.assignor] if member.assignor is not None else [])
        if member.classic is not None:
            self.classic_members += 1
            self.classic_protocols.update(name for name, _ in member.classic.protocols)
        for partitions in (member.assigned, member.revoking):
            for topic_id, epochs in partitions.items():
                self.owners.setdefault(topic_id, {}).update(dict.fromkeys(epochs, member.member_id))

    def _forget(self, member: ConsumerMember | None) -> None:
        if member is None:
            return
        if member.instance_id is not None and self.static_members.get(member.instance_id) == member.member_id:
            del self.static_members[member.instance_id]
        _subtract(self.subscribers, member.topic_names)
        _subtract(self.pattern_members, [member.pattern] if member.pattern else [])
        _subtract(self.assignors, [member.assignor] if member.assignor is not None else [])
        if member.classic is not None:
            self.classic_members -= 1
            _subtract(self.classic_protocols, (name for name, _ in member.classic.protocols))
        for partitions in (member.assigned, member.revoking):
            for topic_id, epochs in partitions.items():
                owners = self.owners.get(topic_id, {})
                for partition in epochs:
                    if owners.get(partition) == member.member_id:
                        del owners[partition]
                if not owners:
                    self.owners.pop(topic_id, None)

    # --- for tests ---

    def durable_state(self) -> object:
        """What a replay of the log must give again."""
        return (
            (self.epoch, self.metadata_hash, self.target_epoch, self.target_timestamp_ms, self.has_topics_record),
            (self.members, self.targets, self.patterns),
        )

    def check_invariants(self) -> None:
        """Raise if the group contradicts itself; tests call it after every step."""
        again = ConsumerGroup(self.group_id)
        again.patterns = self.patterns
        for resolved in self.patterns.values():
            again.subscribers.update(resolved.topics)
        for member_id, member in self.members.items():
            assert member.member_id == member_id
            assert member.epoch <= self.epoch
            for topic_id, epochs in (*member.assigned.items(), *member.revoking.items()):
                assert epochs
                assert all(again.is_free(topic_id, partition) for partition in epochs), "two owners"
                assert all(epoch <= max(member.epoch, self.epoch) for epoch in epochs.values())
            assert not any(member.assigned.get(t, {}).keys() & epochs for t, epochs in member.revoking.items())
            again._put(member)
        for derived in ("static_members", "owners", "subscribers", "pattern_members", "assignors", "classic_protocols"):
            assert getattr(again, derived) == getattr(self, derived), derived
        assert again.classic_members == self.classic_members
        assert self.patterns.keys() <= self.pattern_members.keys()
        assert self.target_epoch <= self.epoch
        assert self.targets.keys() <= self.members.keys()
        places = [(t, p) for target in self.targets.values() for t, ps in target.items() for p in ps]
        assert len(places) == len(set(places)), "a partition is in two targets"


def _subtract(counts: Counter[str], names: Iterable[str]) -> None:
    for name in names:
        if counts[name] <= 1:
            del counts[name]
        else:
            counts[name] -= 1


def _stale(member: ConsumerMember) -> KafkaError:
    """The epoch is not the member's; to the classic protocol it is a generation."""
    return KafkaError(ErrorCode.STALE_MEMBER_EPOCH if member.classic is None else ErrorCode.ILLEGAL_GENERATION)
