"""What a coordinator decides about consumer groups: each request as a whole, and the timers."""

import logging
from collections.abc import Iterable

from kpy.groups.classic_group import ClassicGroup
from kpy.groups.consumer import classic_members, describe, heartbeat, migration
from kpy.groups.consumer.group import ConsumerGroup
from kpy.groups.consumer.member import LEAVING_EPOCH, LEAVING_FOR_A_WHILE_EPOCH, ConsumerMember, MemberState
from kpy.groups.consumer.migration import ToClassic
from kpy.groups.consumer.update import (
    Surroundings,
    begin_session,
    rebalance_timer,
    resolve_patterns,
)
from kpy.groups.deciding import Deciding
from kpy.groups.member import session_timer
from kpy.groups.rebalance import Rebalances, join_timer, sync_timer
from kpy.groups.responses import join_group_error, sync_group_error
from kpy.groups.table import Arriving, GroupTable
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.consumer_group_describe import DescribedGroup
from kpy.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.protocol.messages.join_group import JoinGroupRequest
from kpy.protocol.messages.leave_group import MemberIdentity, MemberResponse
from kpy.protocol.messages.sync_group import SyncGroupRequest
from kpy.state_machine import ReplyTo

logger = logging.getLogger(__name__)

LEAVING_EPOCHS = (LEAVING_EPOCH, LEAVING_FOR_A_WHILE_EPOCH)


def heartbeat_error(code: ErrorCode, message: str | None) -> ConsumerGroupHeartbeatResponse:
    """The answer to a ConsumerGroupHeartbeat that failed."""
    return ConsumerGroupHeartbeatResponse(
        error_code=code, error_message=message, member_epoch=0, heartbeat_interval_ms=0
    )


class ConsumerGroups:
    """Decides for the consumer groups of a table."""

    def __init__(self, table: GroupTable, surroundings: Surroundings) -> None:
        self._table = table
        self._around = surroundings

    # --- members of the consumer protocol ---

    def heartbeat(
        self,
        request: ConsumerGroupHeartbeatRequest,
        *,
        version: int,
        client_id: str,
        client_host: str,
        reply_to: ReplyTo,
        deciding: Deciding,
    ) -> None:
        """One request for everything that a member does."""
        attempt = Deciding(deciding.now_ms)
        try:
            heartbeat.check_request(request, version, self._around.config.assignors)
            if request.member_epoch in LEAVING_EPOCHS:
                response = self._leave(request, attempt)
            else:
                response = self._stay(request, client_id, client_host, attempt)
        except KafkaError as error:
            deciding.reply(reply_to, heartbeat_error(error.code, error.message))
            return
        attempt.reply(reply_to, response)
        deciding.add(attempt)

    def _stay(
        self, request: ConsumerGroupHeartbeatRequest, client_id: str, client_host: str, deciding: Deciding
    ) -> ConsumerGroupHeartbeatResponse:
        known = self._table.get(request.group_id)
        is_joining = request.member_epoch == 0
        if isinstance(known, ConsumerGroup):
            group = known
        elif not is_joining:
            raise _not_a_consumer_group(known, request.group_id)
        else:
            group = self._upgraded(known, request.group_id, deciding)
        response = heartbeat.heartbeat(
            group,
            request,
            client_id=client_id,
            client_host=client_host,
            surroundings=self._around,
            deciding=deciding,
        )
        if isinstance(known, ClassicGroup):
            _send_away(known, deciding)
        return response

    def _upgraded(self, known: ClassicGroup | None, group_id: str, deciding: Deciding) -> ConsumerGroup:
        """A new group; or one that was classic, with its members, as it will be when the records are replayed."""
        group = ConsumerGroup(group_id)
        if known is None:
            return group
        if known.is_empty:
            deciding.records += known.tombstones()
            return group
        migration.check_can_become_consumer(known, self._around.config)
        found = migration.upgrade(known, self._around.topics)
        deciding.records += found
        for record in found[len(known.tombstones()) :]:
            assert record.key is not None
            group.replay(record.key, record.value)
        for member in group.members.values():
            begin_session(group_id, member, self._around, deciding)
        return group

    def _leave(self, request: ConsumerGroupHeartbeatRequest, deciding: Deciding) -> ConsumerGroupHeartbeatResponse:
        group = self._table.get(request.group_id)
        if not isinstance(group, ConsumerGroup):
            raise _not_a_consumer_group(group, request.group_id)
        response, gone = heartbeat.leave(group, request, deciding)
        if gone is not None:
            self._remove(group, [gone], deciding)
        return response

    def _remove(self, group: ConsumerGroup, members: Iterable[ConsumerMember], deciding: Deciding) -> None:
        """Members are gone. If all others are of the classic protocol, the group becomes a classic one."""
        leaving = {member.member_id: member for member in members}
        if not leaving:
            return
        if migration.is_left_to_classic(group, leaving, self._around.config):
            self._downgrade(group, ToClassic(tuple(leaving), None, needs_rebalance=True), deciding)
        else:
            heartbeat.remove_members(group, leaving.values(), self._around, deciding)

    def _downgrade(self, group: ConsumerGroup, change: ToClassic, deciding: Deciding) -> None:
        found, classic = migration.downgrade(group, change, self._around.topics.topics, deciding.now_ms)
        deciding.records += found
        self._table.arriving = Arriving(classic, rebalances=change.needs_rebalance)
        for member_id in group.members:
            heartbeat.cancel_timers(group.group_id, member_id, deciding)
        for member in classic.members.values():
            Rebalances.expect_heartbeat(member, deciding)
        if change.needs_rebalance:
            deciding.start(join_timer(group.group_id), classic.rebalance_timeout_ms)

    # --- members of the classic protocol ---

    def join(
        self,
        group: ConsumerGroup,
        request: JoinGroupRequest,
        *,
        version: int,
        client_id: str,
        client_host: str,
        reply_to: ReplyTo,
        deciding: Deciding,
    ) -> None:
        attempt = Deciding(deciding.now_ms)
        try:
            response, to_classic = classic_members.join(
                group,
                request,
                version=version,
                client_id=client_id,
                client_host=client_host,
                surroundings=self._around,
                deciding=attempt,
            )
        except classic_members.MemberIdRequiredError as required:
            error = join_group_error(ErrorCode.MEMBER_ID_REQUIRED, member_id=required.member_id, version=version)
            deciding.reply(reply_to, error)
            return
        except KafkaError as error:
            deciding.reply(reply_to, join_group_error(error.code, member_id="", version=version))
            return
        if to_classic is not None:
            self._downgrade(group, to_classic, attempt)
        attempt.reply(reply_to, response)
        deciding.add(attempt)

    def sync(self, group: ConsumerGroup, request: SyncGroupRequest, reply_to: ReplyTo, deciding: Deciding) -> None:
        try:
            response = classic_members.sync(group, request, self._around, deciding)
        except KafkaError as error:
            response = sync_group_error(error.code)
        deciding.reply(reply_to, response)

    def classic_heartbeat(
        self, group: ConsumerGroup, request: HeartbeatRequest, reply_to: ReplyTo, deciding: Deciding
    ) -> None:
        try:
            code = classic_members.heartbeat(group, request, self._around, deciding)
        except KafkaError as error:
            code = error.code
        deciding.reply(reply_to, HeartbeatResponse(error_code=code))

    def leave(self, group: ConsumerGroup, identities: list[MemberIdentity], deciding: Deciding) -> list[MemberResponse]:
        responses, members = classic_members.leaving(group, identities)
        self._remove(group, members, deciding)
        return responses

    # --- what nobody asks for, and what changes nothing ---

    def describe(self, group_id: str) -> DescribedGroup:
        group = self._table.get(group_id)
        if not group_id:
            return describe.described_error("", ErrorCode.INVALID_GROUP_ID)
        if not isinstance(group, ConsumerGroup):
            error = _not_a_consumer_group(group, group_id)
            return describe.described_error(group_id, error.code, error.message)
        return describe.described(group, self._around.topics.topics, self._around.config.assignors[0])

    def expire(self, group: ConsumerGroup, kind: str, member_id: str = "", *, deciding: Deciding) -> None:
        """A timer of the group or of one of its members has fired."""
        if kind == "patterns":
            resolve_patterns(group, self._around.topics, deciding)
            return
        member = group.members.get(member_id)
        if member is None:
            return  # or the timer is that of a classic group
        if kind == "rebalance" and (member.state is not MemberState.UNREVOKED_PARTITIONS or member.epoch < 0):
            return
        reason = _REASONS[kind]
        logger.info("group %r: member %r is removed: %s", group.group_id, member_id, reason)
        self._remove(group, [member], deciding)

    def loaded(self, group: ConsumerGroup, deciding: Deciding) -> None:
        """Sessions begin anew, and so does the time to give partitions up."""
        for member in group.members.values():
            begin_session(group.group_id, member, self._around, deciding)
            if member.state is MemberState.UNREVOKED_PARTITIONS and member.classic is None:
                deciding.start(rebalance_timer(group.group_id, member.member_id), member.rebalance_timeout_ms)


_REASONS = {
    "session": "its session has ended",
    "rebalance": "it did not give its partitions up in time",
    "rejoin": "it was called to join and did not in time",
    "member sync": "it joined and did not sync in time",
}
"""By the kind of timer."""


def _not_a_consumer_group(known: object, group_id: str) -> KafkaError:
    what = "Group %s not found." if known is None else "Group %s is not a consumer group."
    return KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, what % group_id)


def _send_away(group: ClassicGroup, deciding: Deciding) -> None:
    """Whoever waits in a classic group that becomes a consumer group is to join that one."""
    for member_id, parked in group.parked_joins.items():
        error = join_group_error(ErrorCode.REBALANCE_IN_PROGRESS, member_id=member_id, version=parked.version)
        deciding.reply(parked.to, error)
    for to in group.parked_syncs.values():
        deciding.reply(to, sync_group_error(ErrorCode.REBALANCE_IN_PROGRESS))
    for member_id in group.pending_joins:
        deciding.cancel(session_timer(group.group_id, member_id))
    deciding.cancel(join_timer(group.group_id))
    deciding.cancel(sync_timer(group.group_id))
    group.parked_joins.clear()
    group.parked_syncs.clear()
