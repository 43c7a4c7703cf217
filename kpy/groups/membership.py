"""SyncGroup, Heartbeat and LeaveGroup of classic groups (GroupMetadataManager.classicGroupSync and its kin)."""

import logging
from collections.abc import Sequence

from kpy.groups.classic_group import ClassicGroup
from kpy.groups.deciding import Deciding
from kpy.groups.member import NO_ASSIGNMENT, session_timer
from kpy.groups.rebalance import Rebalances, sync_timer
from kpy.groups.records import group_record
from kpy.groups.responses import sync_group_error
from kpy.groups.states import GroupState
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.heartbeat import HeartbeatRequest
from kpy.protocol.messages.leave_group import MemberIdentity, MemberResponse
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from kpy.state_machine import ReplyTo, Timer

logger = logging.getLogger(__name__)


def sync(group: ClassicGroup, request: SyncGroupRequest, to: ReplyTo, deciding: Deciding) -> None:
    """Answer with the assignment, park the sync until there is one, or settle the generation if the leader sends it."""
    try:
        member = group.check_member(request.member_id, request.group_instance_id)
        _check_generation(group, request)
    except KafkaError as error:
        deciding.reply(to, sync_group_error(error.code))
        return
    if group.state is GroupState.PREPARING_REBALANCE:
        deciding.reply(to, sync_group_error(ErrorCode.REBALANCE_IN_PROGRESS))
        return
    if group.state is GroupState.STABLE:
        deciding.reply(to, _assigned(group, member.assignment))
        group.pending_syncs.discard(member.member_id)
        if not group.pending_syncs:
            deciding.cancel(sync_timer(group.group_id))
        return
    older = group.parked_syncs.pop(member.member_id, None)
    if older is not None:
        deciding.reply(older, sync_group_error(ErrorCode.REBALANCE_IN_PROGRESS))
    group.parked_syncs[member.member_id] = to
    if member.member_id == group.leader:
        _settle(group, request, deciding)


def _check_generation(group: ClassicGroup, request: SyncGroupRequest) -> None:
    if request.generation_id != group.generation:
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
    for said, known in (
        (request.protocol_type, group.protocol_type),
        (request.protocol_name, group.protocol),
    ):
        if said is not None and known is not None and said != known:
            raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _settle(group: ClassicGroup, request: SyncGroupRequest, deciding: Deciding) -> None:
    """The leader has assigned: one record for the generation, and an answer for everybody who waits for it.

    Members that the leader forgot get nothing; what it assigns to strangers is dropped. The group is stable when the
    record is replayed. If it cannot be appended, those who waited are told so and are expected to sync again.
    """
    assignment = dict.fromkeys(group.members, NO_ASSIGNMENT)
    assignment.update(
        (given.member_id, given.assignment) for given in request.assignments if given.member_id in group.members
    )
    value = group.generation_value(group.members.values(), assignment, leader=group.leader)
    deciding.records.append(group_record(group.group_id, value))
    for member_id, to in group.parked_syncs.items():
        deciding.reply(to, _assigned(group, assignment[member_id]))
        Rebalances.expect_heartbeat(group.members[member_id], deciding)
    group.settled = frozenset(group.parked_syncs)
    group.parked_syncs.clear()
    if group.settled == group.pending_syncs:
        deciding.cancel(sync_timer(group.group_id))


def _assigned(group: ClassicGroup, assignment: bytes) -> SyncGroupResponse:
    return SyncGroupResponse(
        error_code=ErrorCode.NONE,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol,
        assignment=assignment,
    )


def heartbeat(group: ClassicGroup, request: HeartbeatRequest) -> tuple[ErrorCode, Timer | None]:
    """The answer, and the session timer if the member is one."""
    try:
        member = group.check_member(request.member_id, request.group_instance_id)
    except KafkaError as error:
        return error.code, None
    if request.generation_id != group.generation:
        return ErrorCode.ILLEGAL_GENERATION, None
    preparing = group.state is GroupState.PREPARING_REBALANCE
    return (
        ErrorCode.REBALANCE_IN_PROGRESS if preparing else ErrorCode.NONE,
        Timer(member.session_timer, member.session_timeout_ms),
    )


def leave(
    group: ClassicGroup, leaving: Sequence[MemberIdentity], rebalances: Rebalances, deciding: Deciding
) -> list[MemberResponse]:
    """Remove each that can be; one rebalance for all of them."""
    responses = [_leave(group, identity, rebalances, deciding) for identity in leaving]
    left = [response.member_id for response in responses if response.error_code == ErrorCode.NONE]
    if left and group.state is not GroupState.EMPTY:
        rebalances.prepare_or_complete(group, deciding, f"members {left} have left")
    return responses


def _leave(group: ClassicGroup, identity: MemberIdentity, rebalances: Rebalances, deciding: Deciding) -> MemberResponse:
    """By member id, or with an empty one by instance id, as administrators remove static members (KIP-345)."""
    member_id = identity.member_id
    instance_id = identity.group_instance_id
    code = ErrorCode.NONE
    if member_id in group.pending_joins:
        group.remove(member_id)
        deciding.cancel(session_timer(group.group_id, member_id))
    else:
        try:
            if not member_id and instance_id is not None:
                member = group.check_member(group.static_members.get(instance_id, ""), instance_id)
            else:
                member = group.check_member(member_id, instance_id)
        except KafkaError as error:
            code = error.code
        else:
            logger.info(
                "group %r: member %r leaves: %.255s", group.group_id, member.member_id, identity.reason or "no reason"
            )
            rebalances.turn_away(group, member, deciding)
            deciding.cancel(member.session_timer)
    return MemberResponse(member_id=member_id, group_instance_id=instance_id, error_code=code)
