"""A classic group: its members and what the rebalance under way has gathered of them.

Two kinds of state live here. What the last record told (`apply`) is durable: generation, protocol, leader, assignments.
What came after it is soft: who has joined the round under way, whose answers are held. A group that is loaded from the
log is as it was when its last generation was complete, or when it became empty.

What a record is about to change waits for its replay: `arriving` is the member that takes an instance id over,
`settled` are those whose sync the record answers. Without the record they mean nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from kpy.groups.group import GroupType
from kpy.groups.java import hash_map_order
from kpy.groups.member import NO_ASSIGNMENT, Member, ParkedJoin
from kpy.groups.records import empty_group, group_record
from kpy.groups.states import RECORDED, GroupState, check_move, check_recorded_move
from kpy.protocol.embedded import ConsumerProtocolSubscription
from kpy.protocol.errors import DecodeError, ErrorCode, KafkaError
from kpy.protocol.group_records import GroupMetadataValue, OffsetCommitValue
from kpy.protocol.messages.join_group import JoinGroupResponse, JoinGroupResponseMember
from kpy.protocol.messages.list_groups import ListedGroup
from kpy.state_machine import Record, ReplyTo, Timer

CONSUMER_PROTOCOL = "consumer"


class InitialDelay(NamedTuple):
    """How long a first round waits for more members now, and how long it may at most after that."""

    delay_ms: int
    remaining_ms: int


class ClassicGroup:
    """Invariants, checked by `check_invariants`:

    - `members` is in order of arrival; `static_members` maps the instance ids of exactly its static ones
    - an id in `pending_joins` has been given out but has not joined with it, so it is no member
    - only members have parked requests; joins are parked in PreparingRebalance, syncs in CompletingRebalance
    - `pending_syncs` are the members without an answer to their sync, parked or not sent yet
    - with members there is a leader, which is one of them
    """

    type = GroupType.CLASSIC

    def __init__(self, group_id: str, now_ms: int) -> None:
        self.group_id = group_id
        self.state = GroupState.EMPTY
        self.state_timestamp_ms = now_ms
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.leader: str | None = None
        self.members: dict[str, Member] = {}
        self.static_members: dict[str, str] = {}
        self.subscribed_topics: frozenset[str] | None = None
        self.pending_joins: set[str] = set()
        self.pending_syncs: set[str] = set()
        self.parked_joins: dict[str, ParkedJoin] = {}
        self.parked_syncs: dict[str, ReplyTo] = {}
        self.initial_delay: InitialDelay | None = None
        self.new_member_added = False
        self.arriving: Member | None = None
        self.settled: frozenset[str] = frozenset()
        self.stored: GroupMetadataValue | None = None
        self._supporters: Counter[str] = Counter()

    # --- what is asked of any group ---

    @property
    def state_name(self) -> str:
        return self.state.value

    @property
    def is_empty(self) -> bool:
        return self.state is GroupState.EMPTY

    def check_commit(
        self,
        member_id: str,
        instance_id: str | None,
        generation_or_epoch: int,
        *,
        version: int,
        places: Iterable[tuple[UUID, int]],
    ) -> Timer | None:
        """ClassicGroup.validateOffsetCommit, and the session timer that OffsetMetadataManager sets anew."""
        if self.state is GroupState.EMPTY and generation_or_epoch < 0:
            return None  # an administrator, or a consumer that manages its assignment itself
        if generation_or_epoch < 0 and not member_id and instance_id is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        member = self.check_member(member_id, instance_id)
        if generation_or_epoch != self.generation:
            raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
        if self.state is GroupState.COMPLETING_REBALANCE:
            raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
        return Timer(member.session_timer, member.session_timeout_ms)

    def check_fetch(self, member_id: str | None, member_epoch: int) -> None:
        """Anybody may."""

    def check_offset_delete(self) -> None:
        if self.state is not GroupState.EMPTY and self.protocol_type != CONSUMER_PROTOCOL:
            raise KafkaError(ErrorCode.NON_EMPTY_GROUP)

    def check_delete(self) -> None:
        if self.state is not GroupState.EMPTY:
            raise KafkaError(ErrorCode.NON_EMPTY_GROUP)

    def tombstones(self) -> list[Record]:
        return [group_record(self.group_id, None)]

    def is_subscribed(self, topic: str) -> bool:
        """If the members' metadata does not tell, a group of consumers counts as subscribed to everything."""
        if self.subscribed_topics is None:
            return self.protocol_type == CONSUMER_PROTOCOL
        return topic in self.subscribed_topics

    def retention_start_ms(self, committed: OffsetCommitValue) -> int | None:
        """KIP-211: from when the group became empty, or from the commit if nobody was ever in it.

        While there are members, only topics that none of them reads expire, and only if that is known.
        """
        if self.protocol_type is None:
            return committed.commit_timestamp
        if self.state is GroupState.EMPTY:
            return self.state_timestamp_ms if self.state_timestamp_ms != -1 else committed.commit_timestamp
        if self.state is GroupState.STABLE and self.subscribed_topics is not None:
            return committed.commit_timestamp
        return None

    def listed(self) -> ListedGroup:
        return ListedGroup(
            group_id=self.group_id,
            protocol_type=self.protocol_type or "",
            group_state=self.state_name,
            group_type=self.type.value,
        )

    # --- questions ---

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest that any member asks for."""
        return max((0, *(member.rebalance_timeout_ms for member in self.members.values())))

    @property
    def has_all_joined(self) -> bool:
        return len(self.members) == len(self.parked_joins) and not self.pending_joins

    def can_rebalance(self) -> bool:
        """Whether a new round can begin; it cannot while one is being prepared."""
        return self.state is not GroupState.PREPARING_REBALANCE

    def check_member(self, member_id: str, instance_id: str | None) -> Member:
        """The member, if it is one and nobody else has taken its instance id since (KIP-345)."""
        if instance_id is not None:
            holder = self.static_members.get(instance_id)
            if holder is None:
                raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
            if holder != member_id:
                raise KafkaError(ErrorCode.FENCED_INSTANCE_ID)
        member = self.members.get(member_id)
        if member is None:
            raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    def supports(self, protocol_type: str, protocols: Iterable[str]) -> bool:
        """Whether one with these strategies can join: all members have one of them in common.

        The first member sets the type, until the group is empty again.
        """
        if self.state is GroupState.EMPTY:
            return bool(protocol_type) and any(True for _ in protocols)
        return self.protocol_type == protocol_type and any(
            self._supporters[name] == len(self.members) for name in protocols
        )

    def join_response(self, member_id: str, *, skip_assignment: bool = False) -> JoinGroupResponse:
        """The generation as its leader, or a follower, is told of it."""
        assert self.protocol is not None
        return JoinGroupResponse(
            error_code=ErrorCode.NONE,
            generation_id=self.generation,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol,
            leader=self.leader or "",
            skip_assignment=skip_assignment,
            member_id=member_id,
            members=self.subscriptions(self.members.values(), self.protocol) if member_id == self.leader else [],
        )

    @staticmethod
    def subscriptions(members: Iterable[Member], protocol: str) -> list[JoinGroupResponseMember]:
        """What the leader assigns by."""
        return [
            JoinGroupResponseMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                metadata=member.protocols[protocol],
            )
            for member in members
        ]

    def generation_value(
        self, members: Iterable[Member], assignment: Mapping[str, bytes], *, leader: str | None
    ) -> GroupMetadataValue:
        """The record value of this generation with these members and what each is assigned."""
        assert self.protocol is not None
        return GroupMetadataValue(
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol=self.protocol,
            leader=leader,
            current_state_timestamp=self.state_timestamp_ms,
            members=[member.to_record(self.protocol, assignment[member.member_id]) for member in members],
        )

    def empty_value(self, now_ms: int) -> GroupMetadataValue:
        """The record value of the next generation if nobody is in it."""
        return empty_group(self.protocol_type or "", self.generation + 1, now_ms)

    # --- soft changes ---

    def move(self, target: GroupState, now_ms: int) -> None:
        check_move(self.group_id, self.state, target)
        self.state = target
        self.state_timestamp_ms = now_ms

    def add(self, member: Member, parked: ParkedJoin, protocol_type: str) -> None:
        """A member joins. The first one sets the protocol type and leads."""
        if not self.members:
            self.protocol_type = protocol_type
        if self.leader is None:
            self.leader = member.member_id
        self._include(member)
        self.parked_joins[member.member_id] = parked
        self.pending_joins.discard(member.member_id)

    def update(
        self,
        member: Member,
        protocols: dict[str, bytes],
        *,
        session_timeout_ms: int,
        rebalance_timeout_ms: int,
        parked: ParkedJoin,
    ) -> None:
        """A member joins again, with what it can do now."""
        self._withdraw(member)
        self._supporters.update(protocols.keys())
        member.protocols = protocols
        member.session_timeout_ms = session_timeout_ms
        member.rebalance_timeout_ms = rebalance_timeout_ms
        self.parked_joins[member.member_id] = parked

    def remove(self, member_id: str) -> None:
        """A member goes, or gives up an id that it never joined with. If it led, the member longest here does."""
        member = self.members.pop(member_id, None)
        if member is not None:
            self._withdraw(member)
            self.parked_joins.pop(member_id, None)
            self.parked_syncs.pop(member_id, None)
            if member.instance_id is not None:
                del self.static_members[member.instance_id]
        if member_id == self.leader:
            self.leader = next(iter(self.members), None)
        self.pending_joins.discard(member_id)
        self.pending_syncs.discard(member_id)

    def replace_static(self, replacement: Member) -> None:
        """Another process has the instance id now; it takes over the place of the member that had it."""
        assert replacement.instance_id is not None
        old_id = self.static_members[replacement.instance_id]
        replaced = self.members.pop(old_id)
        self._withdraw(replaced)
        self._include(replacement)
        self.pending_syncs.discard(old_id)
        if self.leader == old_id:
            self.leader = replacement.member_id

    def begin_generation(self, now_ms: int) -> None:
        """Everybody who joined is in the next generation, whose strategy has the most votes."""
        self.generation += 1
        self.protocol = select_protocol(self.members.values())
        self.subscribed_topics = self._subscribed_topics()
        self.move(GroupState.COMPLETING_REBALANCE, now_ms)
        self.pending_syncs = set(self.members)
        self.initial_delay = None

    def forget_assignments(self) -> None:
        """The generation ends before its leader has assigned; what members had in the one before does not come back."""
        for member in self.members.values():
            member.assignment = NO_ASSIGNMENT

    # --- replay ---

    def apply(self, value: GroupMetadataValue) -> None:
        """A record: the members are those that it names, assigned as it says.

        Those who are here keep what records do not tell: the strategies that were not chosen.
        """
        state = GroupState.STABLE if value.members else GroupState.EMPTY
        check_recorded_move(self.group_id, self.state, state)
        known, self.members = self.members, {}
        if self.arriving is not None:
            known[self.arriving.member_id] = self.arriving
            self.arriving = None
        self.static_members = {}
        self._supporters = Counter()
        for stored in value.members:
            member = Member.from_record(self.group_id, value.protocol or "", stored)
            here = known.get(stored.member_id)
            if here is not None and member.protocols.items() <= here.protocols.items():
                member.protocols = here.protocols
            self._include(member)
        self.state = state
        self.state_timestamp_ms = value.current_state_timestamp
        self.generation = value.generation
        self.protocol_type = value.protocol_type or None
        self.protocol = value.protocol
        self.leader = value.leader
        self.subscribed_topics = self._subscribed_topics()
        self.pending_syncs = (self.pending_syncs & self.members.keys()) - self.settled
        self.settled = frozenset()
        self.initial_delay = None
        self.stored = value

    # --- helpers ---

    def _include(self, member: Member) -> None:
        self.members[member.member_id] = member
        self._supporters.update(member.protocols.keys())
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id

    def _withdraw(self, member: Member) -> None:
        for name in member.protocols:
            if self._supporters[name] == 1:
                del self._supporters[name]
            else:
                self._supporters[name] -= 1

    def _subscribed_topics(self) -> frozenset[str] | None:
        """The topics that consumers subscribe to, None if this is no group of consumers or they do not tell.

        Read as version 0, which every version begins with: this coordinator need not know a version to understand it.
        """
        if self.protocol_type != CONSUMER_PROTOCOL:
            return None
        topics: set[str] = set()
        try:
            for member in self.members.values():
                metadata = member.protocols[self.protocol or ""]
                subscription, _ = ConsumerProtocolSubscription.decode_prefix(metadata, 0, 2)
                topics.update(subscription.topics)
        except DecodeError:
            return None
        return frozenset(topics)

    def durable_state(self) -> GroupMetadataValue | None:
        """What a replay of the log must give again: the group, or while a round is under way its last record."""
        if self.stored is None or self.state not in RECORDED:
            return self.stored
        if not self.members:
            return empty_group(self.protocol_type or "", self.generation, self.state_timestamp_ms)
        assignment = {member_id: member.assignment for member_id, member in self.members.items()}
        return self.generation_value(self.members.values(), assignment, leader=self.leader)

    def check_invariants(self) -> None:
        """Raise if the group contradicts itself; tests call it after every step."""
        members, state = self.members, self.state
        for member_id, member in members.items():
            assert member.member_id == member_id
            assert member.protocols
        assert self.static_members == {m.instance_id: i for i, m in members.items() if m.instance_id is not None}
        assert self._supporters == Counter(name for member in members.values() for name in member.protocols)
        assert not self.pending_joins & members.keys()
        assert self.parked_joins.keys() <= members.keys()
        assert self.parked_syncs.keys() <= members.keys()
        assert self.pending_syncs <= members.keys()
        assert self.parked_syncs.keys() <= self.pending_syncs
        assert not self.parked_joins or state is GroupState.PREPARING_REBALANCE
        assert not self.parked_syncs or state is GroupState.COMPLETING_REBALANCE
        assert not self.pending_syncs or state in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE)
        assert self.leader in members if members else self.leader is None
        assert self.initial_delay is None or state is GroupState.PREPARING_REBALANCE
        if state in (GroupState.COMPLETING_REBALANCE, GroupState.STABLE):
            assert members
            assert all(self.protocol in member.protocols for member in members.values())
        else:
            assert state is not GroupState.EMPTY or not members


def select_protocol(members: Iterable[Member]) -> str:
    """The strategy that most members like best, of those that all have.

    Of equals, the one that Kafka finds first in a hash map of the votes (ClassicGroup.selectProtocol).
    """
    members = list(members)
    candidates = set(members[0].protocols).intersection(*(member.protocols for member in members))
    votes = Counter(member.vote(candidates) for member in members)
    return max(hash_map_order(votes) if len(votes) > 1 else votes, key=votes.__getitem__)
