"""The group coordinator of one partition of `__consumer_offsets`: requests in, decisions out.

    machine = GroupCoordinator(config, random_source)
    decision = machine.join_group(request, version=9, client_id="c", client_host="/::1", reply_to=to, now_ms=now)

Methods that may change something return a `Decision`, whose replies are whole responses of their API, errors too; what
only reads returns its part of a response at once. Requests for groups of other partitions are not for this object.

Groups are kept by id whatever their protocol is (`table.GroupTable`). Requests of either protocol may meet a group of
the other: what consumer groups have to say is decided in `kpy.groups.consumer`, offsets and listings are for any.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from random import Random
from typing import cast
from uuid import UUID

from kpy.groups import commits, membership, records
from kpy.groups.classic_group import ClassicGroup
from kpy.groups.config import GroupConfig
from kpy.groups.consumer.group import ConsumerGroup
from kpy.groups.consumer.requests import ConsumerGroups
from kpy.groups.consumer.settings import SettingsOf, default_settings
from kpy.groups.consumer.update import Surroundings
from kpy.groups.deciding import Deciding
from kpy.groups.describe import described, listed, missing_group
from kpy.groups.group import Group
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
    offset_fetch_error,
    sync_group_error,
)
from kpy.groups.table import CONSUMER_KEYS, Arriving, GroupTable
from kpy.groups.topics import Topics
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.group_records import GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue
from kpy.protocol.messages.consumer_group_describe import DescribedGroup as DescribedConsumerGroup
from kpy.protocol.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
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
NEVER_READ = 0
"""The time, for decisions that do not ask for it."""


class GroupCoordinator:
    """The groups of one partition and their offsets; a `StateMachine`.

    `settings_of` says what is configured for single consumer groups. `topics_changed` has to be told of the topics
    before consumer groups are asked for anything, and whenever they change.
    """

    def __init__(self, config: GroupConfig, random_source: Random, settings_of: SettingsOf = default_settings) -> None:
        self._config = config
        self._random = random_source
        self._groups = GroupTable()
        self._offsets = OffsetStore()
        self._rebalances = Rebalances(config.initial_rebalance_delay_ms)
        self._joins = Joins(config.max_size, self._rebalances, self._new_uuid)
        self._surroundings = Surroundings(config=config.consumer, settings_of=settings_of, new_uuid=self._new_uuid)
        self._consumers = ConsumerGroups(self._groups, self._surroundings)

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
        if isinstance(known, ConsumerGroup) and not known.is_empty:
            self._consumers.join(
                known,
                request,
                version=version,
                client_id=client_id or "",
                client_host=client_host,
                reply_to=reply_to,
                deciding=deciding,
            )
            return deciding.decision()
        group = known if isinstance(known, ClassicGroup) else ClassicGroup(request.group_id, now_ms)
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
        if group is not known:
            self._add(group, deciding)
        return self._decided(deciding)

    def _join_refusal(self, request: JoinGroupRequest) -> ErrorCode | None:
        """GroupCoordinatorService.joinGroup, and that only a member without an id makes a group."""
        config, group = self._config, self._groups.get(request.group_id)
        if not request.group_id:
            return ErrorCode.INVALID_GROUP_ID
        if not config.min_session_timeout_ms <= request.session_timeout_ms <= config.max_session_timeout_ms:
            return ErrorCode.INVALID_SESSION_TIMEOUT
        is_made = group is None or (isinstance(group, ConsumerGroup) and group.is_empty)
        if is_made and request.member_id != UNKNOWN_MEMBER:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return None

    def _add(self, group: ClassicGroup, deciding: Deciding) -> None:
        """A group is there from the first request to join it, whatever comes of that."""
        if not group.is_empty:
            self._groups.put_before_its_record(group)
            return
        known = self._groups.get(group.group_id)
        if known is not None:
            deciding.records += known.tombstones()
        self._groups.arriving = Arriving(group)
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
        if isinstance(group, ConsumerGroup):
            self._consumers.sync(group, request, reply_to, deciding)
        else:
            membership.sync(group, request, reply_to, deciding)
        return self._decided(deciding)

    def heartbeat(self, request: HeartbeatRequest, *, reply_to: ReplyTo) -> Decision:
        """A member lives."""
        group = self._groups.get(request.group_id)
        if group is None:
            code = ErrorCode.UNKNOWN_MEMBER_ID if request.group_id else ErrorCode.INVALID_GROUP_ID
            return Decision(replies=(Reply(reply_to, heartbeat_error(code)),))
        if isinstance(group, ConsumerGroup):
            deciding = Deciding(NEVER_READ)
            self._consumers.classic_heartbeat(group, request, reply_to, deciding)
            return deciding.decision()
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
        elif isinstance(group, ConsumerGroup):
            members = self._consumers.leave(group, leaving, deciding)
        else:
            members = membership.leave(group, leaving, self._rebalances, deciding)
        if version >= 3:
            deciding.reply(reply_to, LeaveGroupResponse(error_code=ErrorCode.NONE, members=members))
        else:
            deciding.reply(reply_to, LeaveGroupResponse(error_code=members[0].error_code))
        return self._decided(deciding)

    def consumer_group_heartbeat(
        self,
        request: ConsumerGroupHeartbeatRequest,
        *,
        version: int,
        client_id: str | None,
        client_host: str,
        reply_to: ReplyTo,
        now_ms: int,
    ) -> Decision:
        """All that a member of the consumer protocol does: join, live, move on, leave."""
        deciding = Deciding(now_ms)
        self._consumers.heartbeat(
            request,
            version=version,
            client_id=client_id or "",
            client_host=client_host,
            reply_to=reply_to,
            deciding=deciding,
        )
        return self._decided(deciding)

    # --- offsets ---

    def offset_commit(
        self, request: OffsetCommitRequest, *, version: int, topics: Topics, reply_to: ReplyTo, now_ms: int
    ) -> Decision:
        """Store offsets, as a member or for a group that is empty; a group that is not there comes to be."""
        refusal, timer = ErrorCode.NONE, None
        try:
            places = commits.places_of(
                request, topics, version=version, max_metadata=self._config.offset_metadata_max_bytes
            )
            timer = commits.check_commit(self._groups.get(request.group_id), request, version, places)
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
        if not found and not commits.names_a_partition(request, topics, version):
            timer = None
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
        """What one group has committed, to whoever may know."""
        group = self._groups.get(request.group_id)
        if group is not None:
            try:
                group.check_fetch(request.member_id, request.member_epoch)
            except KafkaError as error:
                return offset_fetch_error(request, error.code, version=version)
        return commits.fetch(request, self._offsets, topics, version)

    # --- administration ---

    def describe_group(self, group_id: str, *, version: int) -> DescribedGroup:
        """State, protocol and members of a classic group."""
        group = self._groups.get(group_id)
        if isinstance(group, ClassicGroup):
            return described(group)
        return missing_group(group_id, version, is_classic=group is None)

    def describe_consumer_group(self, group_id: str) -> DescribedConsumerGroup:
        """Epochs, members and their assignments of a consumer group."""
        return self._consumers.describe(group_id)

    def list_groups(self, states: Sequence[str], types: Sequence[str]) -> list[ListedGroup]:
        """The groups in one of these states and of one of these types; no states or types are all."""
        return listed(self._groups, states, types)

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
        reply = Reply(reply_to, DeleteGroupsResponse(results=results))
        return Decision(records=self._groups.with_tombstones(found), replies=(reply,))

    def topics_changed(self, topics: Topics, changed: Iterable[str], *, has_new: bool) -> None:
        """Topics have come, gone or changed. The members' next heartbeats make what has to be made of it."""
        changed = set(changed)
        self._surroundings.topics.replace(topics, changed, has_new=has_new)
        for group in self._groups:
            if isinstance(group, ConsumerGroup) and not changed.isdisjoint(group.subscribers):
                group.topics_checked_at_epoch = None

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
            self._offsets.apply(key, value)
            self._groups.replay_offset(key, value)
        elif isinstance(key, GroupMetadataKey) and (value is None or isinstance(value, GroupMetadataValue)):
            self._groups.replay_classic(key.group, value)
        elif isinstance(key, CONSUMER_KEYS):
            self._groups.replay_consumer(key, value)
        else:
            raise AssertionError(f"not a record of a group coordinator: {record!r}")

    def expire(self, key: Hashable, *, now_ms: int) -> Decision:
        """A timer fired: a session, a wait of a rebalance, or the round that looks for expired offsets."""
        if key == EXPIRY_TIMER:
            return self._expire_offsets(now_ms)
        kind, group_id, *member = cast("tuple[str, ...]", key)
        group = self._groups.get(group_id)
        if group is None:
            return NOTHING
        deciding = Deciding(now_ms)
        if isinstance(group, ConsumerGroup):
            self._consumers.expire(group, kind, *member, deciding=deciding)
        elif kind == "session":
            self._rebalances.session_expired(group, member[0], deciding)
        elif kind == "join":
            self._rebalances.join_timer_expired(group, deciding)
        elif kind == "sync":
            self._rebalances.sync_timer_expired(group, deciding)
        return self._decided(deciding)

    def _expire_offsets(self, now_ms: int) -> Decision:
        """Forget what was kept for too long, then groups that nobody is in and that have nothing left.

        A group that everybody has left, but that could not be recorded as empty then, is now.
        """
        deciding = Deciding(now_ms)
        deciding.timers.append(self._expiry_timer())
        for group in self._groups:
            expired = self._offsets.expired(group, self._config.offsets_retention_ms, now_ms)
            deciding.records += expired
            if group.is_empty and len(expired) == self._offsets.count(group.group_id):
                deciding.records += group.tombstones()
            elif isinstance(group, ClassicGroup) and not group.members:
                self._rebalances.complete_if_joined(group, deciding)
        return self._decided(deciding)._replace(is_atomic=False)

    def loaded(self, *, now_ms: int) -> Decision:
        """Sessions begin anew. A group that is over the limit, which was lowered, rebalances down to it."""
        deciding = Deciding(now_ms)
        deciding.timers.append(self._expiry_timer())
        for group in self._groups:
            if isinstance(group, ConsumerGroup):
                self._consumers.loaded(group, deciding)
                continue
            for member in group.members.values():
                self._rebalances.expect_heartbeat(member, deciding)
            if len(group.members) > self._config.max_size:
                self._rebalances.prepare(group, deciding, "it is larger than the limit now")
        return deciding.decision()

    encode = staticmethod(records.encode)
    decode = staticmethod(records.decode)

    # --- helpers ---

    def _decided(self, deciding: Deciding) -> Decision:
        """The decision. A classic group that is recorded ends the consumer group whose place it took."""
        deciding.records = self._groups.with_tombstones(deciding.records)
        return deciding.decision()

    def _group(self, group_id: str) -> Group:
        group = self._groups.get(group_id)
        if group is None:
            raise KafkaError(ErrorCode.GROUP_ID_NOT_FOUND)
        return group

    def _expiry_timer(self) -> Timer:
        return Timer(EXPIRY_TIMER, self._config.offsets_retention_check_interval_ms)

    def _new_uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def durable_state(self) -> object:
        """What a replay of the log must give again: the groups, and every offset."""
        return self._groups.durable_state(), self._offsets.durable_state()

    def check_invariants(self) -> None:
        """Raise if anything here contradicts itself; tests call it after every step."""
        self._groups.check_invariants()
        self._offsets.check_invariants()
