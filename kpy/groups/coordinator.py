"""The group coordinator of one partition of `__consumer_offsets`: requests in, decisions out.

    machine = GroupCoordinator(config, random_source)
    decision = machine.join_group(request, version=9, client_id="c", client_host="/::1", reply_to=to, now_ms=now)

Methods that may change something return a `Decision`, whose replies are whole responses of their API, errors too; what
only reads returns its part of a response at once. Requests for groups of other partitions are not for this object.

Groups are kept by id whatever their protocol is (`group.Group`); requests of the classic protocol go to
`ClassicGroup`s, offsets and listings to any.
"""

from collections.abc import Hashable, Mapping, Sequence
from random import Random
from typing import cast
from uuid import UUID

from kpy.groups import commits, membership, records
from kpy.groups.classic_group import ClassicGroup
from kpy.groups.config import GroupConfig
from kpy.groups.deciding import Deciding
from kpy.groups.describe import described, listed, missing_group
from kpy.groups.join import UNKNOWN_MEMBER, Join, Joins
from kpy.groups.member import ParkedJoin
from kpy.groups.offsets import OffsetStore
from kpy.groups.rebalance import Rebalances
from kpy.groups.records import empty_group, group_record
from kpy.groups.responses import (
    heartbeat_error,
    join_group_error,
    leave_group_error,
    offset_delete_error,
    sync_group_error,
)
from kpy.groups.states import GroupState
from kpy.groups.topics import Topics
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.group_records import GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue
from kpy.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsResponse
from kpy.protocol.messages.describe_groups import DescribedGroup
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.protocol.messages.join_group import JoinGroupRequest
from kpy.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse
from kpy.protocol.messages.list_groups import ListedGroup
from kpy.protocol.messages.offset_commit import OffsetCommitRequest
from kpy.protocol.messages.offset_delete import OffsetDeleteRequest
from kpy.protocol.messages.offset_fetch import OffsetFetchRequestGroup, OffsetFetchResponseGroup
from kpy.protocol.messages.sync_group import SyncGroupRequest
from kpy.state_machine import NOTHING, Decision, Record, Reply, ReplyTo, Timer

EXPIRY_TIMER: Hashable = ("expiry",)


class GroupCoordinator:
    """The groups of one partition and their offsets; a `StateMachine`.

    A new group waits in `_arriving` for its record, so that a failed append leaves nothing behind. Only one whose
    first join is parked is in `_groups` before it has one: its first record is that of its first generation.
    """

    def __init__(self, config: GroupConfig, random_source: Random) -> None:
        self._config = config
        self._random = random_source
        self._groups: dict[str, ClassicGroup] = {}
        self._arriving: ClassicGroup | None = None
        self._offsets = OffsetStore()
        self._rebalances = Rebalances(config.initial_rebalance_delay_ms)
        self._joins = Joins(config.max_size, self._rebalances, self._new_uuid)

    # --- members ---

    def join_group(
        self,
        request: JoinGroupRequest,
        *,
        version: int,
        client_id: str | None,
        client_host: str,
        reply_to: ReplyTo,
        now_ms: int,
    ) -> Decision:
        """Enter, or enter again. The reply comes when the rebalance has all it waits for."""
        refusal = self._join_refusal(request)
        if refusal is not None:
            error = join_group_error(refusal, member_id=request.member_id, version=version)
            return Decision(replies=(Reply(reply_to, error),))
        deciding = Deciding(now_ms)
        known = self._groups.get(request.group_id)
        group = known if known is not None else ClassicGroup(request.group_id, now_ms)
        self._joins.decide(
            Join(
                group,
                request,
                ParkedJoin(reply_to, version),
                deciding,
                client_id=client_id or "",
                client_host=client_host,
            )
        )
        if known is None:
            self._add(group, deciding)
        return deciding.decision()

    def _join_refusal(self, request: JoinGroupRequest) -> ErrorCode | None:
        """GroupCoordinatorService.joinGroup, and that only a member without an id makes a group."""
        config = self._config
        if not request.group_id:
            return ErrorCode.INVALID_GROUP_ID
        if not config.min_session_timeout_ms <= request.session_timeout_ms <= config.max_session_timeout_ms:
            return ErrorCode.INVALID_SESSION_TIMEOUT
        if request.group_id not in self._groups and request.member_id != UNKNOWN_MEMBER:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return None

    def _add(self, group: ClassicGroup, deciding: Deciding) -> None:
        """A group is there from the first request to join it, whatever comes of that."""
        if group.state is not GroupState.EMPTY:
            self._groups[group.group_id] = group
            return
        self._arriving = group
        deciding.records.append(group_record(group.group_id, empty_group("", 0, group.state_timestamp_ms)))

    def sync_group(self, request: SyncGroupRequest, *, version: int, reply_to: ReplyTo, now_ms: int) -> Decision:
        """Fetch one's assignment, or, as the leader, assign."""
        group = self._groups.get(request.group_id)
        refusal = None
        if version >= 5 and (request.protocol_type is None or request.protocol_name is None):
            refusal = ErrorCode.INCONSISTENT_GROUP_PROTOCOL  # KIP-559 made them mandatory
        elif not request.group_id:
            refusal = ErrorCode.INVALID_GROUP_ID
        elif group is None:
            refusal = ErrorCode.UNKNOWN_MEMBER_ID
        if refusal is not None or group is None:
            error = sync_group_error(refusal or ErrorCode.UNKNOWN_MEMBER_ID)
            return Decision(replies=(Reply(reply_to, error),))
        deciding = Deciding(now_ms)
        membership.sync(group, request, reply_to, deciding)
        return deciding.decision()

    def heartbeat(self, request: HeartbeatRequest, *, reply_to: ReplyTo) -> Decision:
        """A member lives."""
        group = self._groups.get(request.group_id)
        if group is None:
            code = ErrorCode.UNKNOWN_MEMBER_ID if request.group_id else ErrorCode.INVALID_GROUP_ID
            return Decision(replies=(Reply(reply_to, heartbeat_error(code)),))
        code, timer = membership.heartbeat(group, request)
        reply = Reply(reply_to, HeartbeatResponse(error_code=code))
        return Decision(timers=(timer,) if timer is not None else (), replies=(reply,))

    def leave_group(self, request: LeaveGroupRequest, *, version: int, reply_to: ReplyTo, now_ms: int) -> Decision:
        """Go, or remove others. Before version 3 there is one member and its error is that of the response."""
        if not request.group_id:
            return Decision(replies=(Reply(reply_to, leave_group_error(ErrorCode.INVALID_GROUP_ID)),))
        leaving = request.members if version >= 3 else [MemberIdentity(member_id=request.member_id)]
        deciding = Deciding(now_ms)
        group = self._groups.get(request.group_id)
        if group is None:
            members = [
                MemberResponse(
                    member_id=identity.member_id,
                    group_instance_id=identity.group_instance_id,
                    error_code=ErrorCode.UNKNOWN_MEMBER_ID,
                )
                for identity in leaving
            ]
        else:
            members = membership.leave(group, leaving, self._rebalances, deciding)
        if version >= 3:
            deciding.reply(reply_to, LeaveGroupResponse(error_code=ErrorCode.NONE, members=members))
        else:
            deciding.reply(reply_to, LeaveGroupResponse(error_code=members[0].error_code))
        return deciding.decision()

    # --- offsets ---

    def offset_commit(
        self, request: OffsetCommitRequest, *, version: int, topics: Topics, reply_to: ReplyTo, now_ms: int
    ) -> Decision:
        """Store offsets, as a member or for a group that is empty; a group that is not there comes to be."""
        refusal, timer = ErrorCode.NONE, None
        try:
            timer = commits.check_commit(self._groups.get(request.group_id), request, version)
        except KafkaError as error:
            refusal = error.code
        found, response = commits.commit(
            request,
            topics,
            version=version,
            max_metadata=self._config.offset_metadata_max_bytes,
            now_ms=now_ms,
            refusal=refusal,
        )
        return Decision(found, (timer,) if timer is not None else (), (Reply(reply_to, response),))

    def offset_delete(self, request: OffsetDeleteRequest, *, topics: Topics, reply_to: ReplyTo) -> Decision:
        """Forget offsets of topics that no member reads."""
        try:
            if not request.group_id:
                raise KafkaError(ErrorCode.INVALID_GROUP_ID)
            group = self._group(request.group_id)
            found, response = commits.delete(request, group, self._offsets, topics)
        except KafkaError as error:
            return Decision(replies=(Reply(reply_to, offset_delete_error(error.code)),))
        return Decision(records=found, replies=(Reply(reply_to, response),))

    def offset_fetch(
        self, request: OffsetFetchRequestGroup, *, version: int, topics: Topics
    ) -> OffsetFetchResponseGroup:
        """What one group has committed."""
        return commits.fetch(request, self._offsets, topics, version)

    # --- administration ---

    def describe_group(self, group_id: str, *, version: int) -> DescribedGroup:
        """State, protocol and members of a classic group."""
        group = self._groups.get(group_id)
        return described(group) if group is not None else missing_group(group_id, version)

    def list_groups(self, states: Sequence[str], types: Sequence[str]) -> list[ListedGroup]:
        """The groups in one of these states and of one of these types; no states or types are all."""
        return listed(self._groups.values(), states, types)

    def delete_groups(self, group_ids: Sequence[str], *, reply_to: ReplyTo) -> Decision:
        """Delete groups that are empty, and their offsets. The response has a result for each, in this order."""
        found: list[Record] = []
        results = []
        for group_id in group_ids:
            code = ErrorCode.NONE
            try:
                group = self._group(group_id)
                group.check_delete()
            except KafkaError as error:
                code = error.code
            else:
                found += self._offsets.tombstones(group_id)
                found += group.tombstones()
            results.append(DeletableGroupResult(group_id=group_id, error_code=code))
        return Decision(records=found, replies=(Reply(reply_to, DeleteGroupsResponse(results=results)),))

    def topics_deleted(self, deleted: Mapping[str, UUID]) -> Decision:
        """Forget the offsets of topics that are deleted, by name and id."""
        return Decision(records=self._offsets.of_deleted_topics(deleted), is_atomic=False)

    def forget_missing_topics(self, topics: Topics) -> Decision:
        """Forget what was committed for topics that are gone: they may have been deleted while this was not loaded."""
        return Decision(records=self._offsets.of_missing_topics(topics), is_atomic=False)

    # --- the state machine ---

    def replay(self, record: Record) -> None:
        """Apply one appended record."""
        key, value = record.key, record.value
        if isinstance(key, OffsetCommitKey) and (value is None or isinstance(value, OffsetCommitValue)):
            self._replay_offset(key, value)
        elif isinstance(key, GroupMetadataKey) and (value is None or isinstance(value, GroupMetadataValue)):
            self._replay_group(key.group, value)
        else:
            raise AssertionError(f"not a record of a group coordinator: {record!r}")

    def _replay_offset(self, key: OffsetCommitKey, value: OffsetCommitValue | None) -> None:
        """Offsets without a group make one that has no members and no protocol: a so-called simple group."""
        self._offsets.apply(key, value)
        if value is not None and key.group not in self._groups:
            self._groups[key.group] = ClassicGroup(key.group, value.commit_timestamp)

    def _replay_group(self, group_id: str, value: GroupMetadataValue | None) -> None:
        arriving, self._arriving = self._arriving, None
        group = self._groups.get(group_id)
        if value is None:
            if group is not None:
                group.state = GroupState.DEAD
                del self._groups[group_id]
            return
        if group is None:
            if arriving is not None and arriving.group_id == group_id:
                group = arriving
            else:
                group = ClassicGroup(group_id, value.current_state_timestamp)
            self._groups[group_id] = group
        group.apply(value)

    def expire(self, key: Hashable, *, now_ms: int) -> Decision:
        """A timer fired: a session, a wait of a rebalance, or the round that looks for expired offsets."""
        if key == EXPIRY_TIMER:
            return self._expire_offsets(now_ms)
        kind, group_id, *member = cast("tuple[str, ...]", key)
        group = self._groups.get(group_id)
        if group is None:
            return NOTHING
        deciding = Deciding(now_ms)
        if kind == "session":
            self._rebalances.session_expired(group, member[0], deciding)
        elif kind == "join":
            self._rebalances.join_timer_expired(group, deciding)
        else:
            self._rebalances.sync_timer_expired(group, deciding)
        return deciding.decision()

    def _expire_offsets(self, now_ms: int) -> Decision:
        """Forget what was kept for too long, then groups that nobody is in and that have nothing left.

        A group that everybody has left, but that could not be recorded as empty then, is now.
        """
        deciding = Deciding(now_ms)
        deciding.timers.append(self._expiry_timer())
        for group in self._groups.values():
            expired = self._offsets.expired(group, self._config.offsets_retention_ms, now_ms)
            deciding.records += expired
            if group.state is GroupState.EMPTY and len(expired) == self._offsets.count(group.group_id):
                deciding.records += group.tombstones()
            elif not group.members:
                self._rebalances.complete_if_joined(group, deciding)
        return deciding.decision()._replace(is_atomic=False)

    def loaded(self, *, now_ms: int) -> Decision:
        """Sessions begin anew. A group that is over the limit, which was lowered, rebalances down to it."""
        deciding = Deciding(now_ms)
        deciding.timers.append(self._expiry_timer())
        for group in self._groups.values():
            for member in group.members.values():
                self._rebalances.expect_heartbeat(member, deciding)
            if len(group.members) > self._config.max_size:
                self._rebalances.prepare(group, deciding, "it is larger than the limit now")
        return deciding.decision()

    def encode(self, record: Record) -> tuple[bytes | None, bytes | None]:
        """Key and value as Kafka writes them."""
        return records.encode(record)

    def decode(self, key: bytes | None, value: bytes | None) -> Record | None:
        """The inverse; None for kinds of groups that are not known here."""
        return records.decode(key, value)

    # --- helpers ---

    def _group(self, group_id: str) -> ClassicGroup:
        group = self._groups.get(group_id)
        if group is None:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)
        return group

    def _expiry_timer(self) -> Timer:
        return Timer(EXPIRY_TIMER, self._config.offsets_retention_check_interval_ms)

    def _new_uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def durable_state(self) -> object:
        """What a replay of the log must give again: the last record of each group, and every offset."""
        stored = {group_id: group.stored for group_id, group in self._groups.items() if group.stored is not None}
        return stored, self._offsets.durable_state()

    def check_invariants(self) -> None:
        """Raise if anything here contradicts itself; tests call it after every step."""
        for group_id, group in self._groups.items():
            assert group.group_id == group_id
            assert group.state is not GroupState.DEAD
            group.check_invariants()
        self._offsets.check_invariants()
