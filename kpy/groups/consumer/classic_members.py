"""JoinGroup, SyncGroup, Heartbeat and LeaveGroup from members that still speak the classic protocol (KIP-848).

To such a member a consumer group is one that never waits for others: a join is answered at once with the member's epoch
as the generation, and a sync with what the member has. REBALANCE_IN_PROGRESS calls it to join again whenever there is
something to give up or to get. Regular expressions are resolved by those clients themselves.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from kpy.groups.consumer.group import CONSUMER_PROTOCOL, ConsumerGroup
from kpy.groups.consumer.heartbeat import check_instance, check_room, dynamic_member, take_over
from kpy.groups.consumer.member import ClassicFacts, ConsumerMember, MemberState
from kpy.groups.consumer.migration import (
    ToClassic,
    assignment_blob,
    blob_version,
    can_become_classic,
    subscription_of,
)
from kpy.groups.consumer.reconciliation import Owned
from kpy.groups.consumer.settings import MigrationPolicy
from kpy.groups.consumer.update import (
    MemberUpdate,
    PatternChange,
    Surroundings,
    begin_session,
    member_sync_timer,
    rejoin_timer,
)
from kpy.groups.deciding import Deciding
from kpy.groups.join import MEMBER_ID_REQUIRED_SINCE, UNKNOWN_MEMBER
from kpy.groups.topics import Topics
from kpy.protocol.embedded import ConsumerProtocolSubscription
from kpy.protocol.errors import DecodeError, ErrorCode, KafkaError
from kpy.protocol.messages.heartbeat import HeartbeatRequest
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from kpy.protocol.messages.leave_group import MemberIdentity, MemberResponse
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from kpy.state_machine import Timer

logger = logging.getLogger(__name__)

RESPONSE_LEADER = ""


def join(
    group: ConsumerGroup,
    request: JoinGroupRequest,
    *,
    version: int,
    client_id: str,
    client_host: str,
    surroundings: Surroundings,
    deciding: Deciding,
) -> tuple[JoinGroupResponse, ToClassic | None]:
    """The answer; and how the group becomes a classic one, if the last member of the consumer protocol was replaced."""
    _check_may_join(group, request, surroundings)
    is_unknown = request.member_id == UNKNOWN_MEMBER
    member_id = request.member_id or surroundings.new_uuid()
    if is_unknown and request.group_instance_id is None and version >= MEMBER_ID_REQUIRED_SINCE:
        raise MemberIdRequiredError(member_id)
    replaced = group.static_member(request.group_instance_id)
    before = _member(group, request, member_id, is_unknown=is_unknown, deciding=deciding)
    subscription = _subscription(request)
    rebalance_timeout_ms = request.rebalance_timeout_ms if version > 0 else request.session_timeout_ms
    member = replace(
        before,
        instance_id=request.group_instance_id if request.group_instance_id is not None else before.instance_id,
        rack_id=subscription.rack_id if subscription.rack_id is not None else before.rack_id,
        rebalance_timeout_ms=rebalance_timeout_ms if rebalance_timeout_ms != -1 else before.rebalance_timeout_ms,
        topic_names=frozenset(subscription.topics),
        pattern="",
        client_id=client_id,
        client_host=client_host,
        classic=ClassicFacts(
            request.session_timeout_ms,
            tuple((protocol.name, bytes(protocol.metadata)) for protocol in request.protocols),
        ),
    )
    update = MemberUpdate(group, before, member, surroundings, deciding)
    names_changed = update.note_member()
    has_changed = update.note_pattern() is not PatternChange.NONE or names_changed
    update.bump_epoch(has_changed=has_changed)
    owned = _owned(subscription, surroundings.topics.topics)
    to_classic = None
    if (
        replaced is not None
        and _is_last_of_protocol(group, replaced)
        and can_become_classic(len(group.members), surroundings.config)
    ):
        needs_rebalance = group.target_epoch < update.epoch
        if not needs_rebalance:
            update.reconcile(owned, subscription_changed=has_changed)
        to_classic = ToClassic(leaving=(replaced.member_id,), joining=update.member, needs_rebalance=needs_rebalance)
    else:
        update.find_target()
        update.reconcile(owned, subscription_changed=has_changed)
        begin_session(group.group_id, update.member, surroundings, deciding)
        deciding.start(member_sync_timer(group.group_id, member_id), max(rebalance_timeout_ms, 0))
    deciding.cancel(rejoin_timer(group.group_id, member_id))
    group.called_to_join.discard(member_id)
    return (
        JoinGroupResponse(
            error_code=ErrorCode.NONE,
            member_id=member_id,
            generation_id=update.member.epoch,
            protocol_type=CONSUMER_PROTOCOL,
            protocol_name=request.protocols[0].name,
            leader=RESPONSE_LEADER,
            members=[],
        ),
        to_classic,
    )


class MemberIdRequiredError(Exception):
    """Not a failure: the member is to join with this id (KIP-394)."""

    def __init__(self, member_id: str) -> None:
        super().__init__(member_id)
        self.member_id = member_id


def _check_may_join(group: ConsumerGroup, request: JoinGroupRequest, surroundings: Surroundings) -> None:
    if surroundings.config.migration_policy is MigrationPolicy.DISABLED:
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    check_room(group, request.member_id, surroundings.config.max_size)
    names = [protocol.name for protocol in request.protocols]
    if not names or len(set(names)) < len(names) or not group.supports_classic(request.protocol_type, names):
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _subscription(request: JoinGroupRequest) -> ConsumerProtocolSubscription:
    """All strategies of a consumer carry the same subscription."""
    try:
        return subscription_of(request.protocols[0].metadata)
    except DecodeError:
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL) from None


def _member(
    group: ConsumerGroup, request: JoinGroupRequest, member_id: str, *, is_unknown: bool, deciding: Deciding
) -> ConsumerMember:
    if request.group_instance_id is None:
        return dynamic_member(group, member_id, is_joining=True)
    holder = group.static_member(request.group_instance_id)
    if not is_unknown:
        return check_instance(holder, request.group_instance_id, member_id)
    if holder is None:
        return dynamic_member(group, member_id, is_joining=True)
    return take_over(group, holder, member_id, deciding)


def _is_last_of_protocol(group: ConsumerGroup, member: ConsumerMember) -> bool:
    return member.classic is None and group.classic_members == len(group.members) - 1


def _owned(subscription: ConsumerProtocolSubscription, topics: Topics) -> Owned:
    return {
        topic.topic_id: owned.partitions
        for owned in subscription.owned_partitions
        if (topic := topics.topic(owned.topic)) is not None
    }


# --- after the join ---


def _classic_member(group: ConsumerGroup, member_id: str, instance_id: str | None, generation: int) -> ConsumerMember:
    if instance_id is None:
        member = group.member(member_id)
    else:
        member = check_instance(group.static_member(instance_id), instance_id, member_id)
    if member.classic is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID)
    if generation != member.epoch:
        raise KafkaError(ErrorCode.ILLEGAL_GENERATION)
    return member


def sync(
    group: ConsumerGroup, request: SyncGroupRequest, surroundings: Surroundings, deciding: Deciding
) -> SyncGroupResponse:
    """What the member has. There is no leader who would have to assign first."""
    member = _classic_member(group, request.member_id, request.group_instance_id, request.generation_id)
    assert member.classic is not None
    name, metadata = member.classic.protocols[0]
    if request.protocol_type not in (None, CONSUMER_PROTOCOL) or request.protocol_name not in (None, name):
        raise KafkaError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    if group.target_epoch > member.epoch and member.state is not MemberState.UNREVOKED_PARTITIONS:
        deciding.timers += _call_to_join(group, member)
        raise KafkaError(ErrorCode.REBALANCE_IN_PROGRESS)
    deciding.cancel(member_sync_timer(group.group_id, member.member_id))
    begin_session(group.group_id, member, surroundings, deciding)
    partitions = {topic_id: frozenset(epochs) for topic_id, epochs in member.assigned.items()}
    return SyncGroupResponse(
        error_code=ErrorCode.NONE,
        protocol_type=request.protocol_type,
        protocol_name=request.protocol_name,
        assignment=assignment_blob(partitions, surroundings.topics.topics, blob_version(metadata)),
    )


def heartbeat(
    group: ConsumerGroup, request: HeartbeatRequest, surroundings: Surroundings, deciding: Deciding
) -> ErrorCode:
    """A sign of life. The member is to join again to enter a new epoch, to give up partitions, or to get more."""
    member = _classic_member(group, request.member_id, request.group_instance_id, request.generation_id)
    begin_session(group.group_id, member, surroundings, deciding)
    if (
        member.epoch < group.target_epoch
        or member.state is MemberState.UNREVOKED_PARTITIONS
        or (member.state is MemberState.UNRELEASED_PARTITIONS and not group.waits_for_others(member))
    ):
        deciding.timers += _call_to_join(group, member)
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def leaving(
    group: ConsumerGroup, identities: Sequence[MemberIdentity]
) -> tuple[list[MemberResponse], list[ConsumerMember]]:
    """What LeaveGroup answers for each, and whom it removes: members of any protocol."""
    responses, members = [], {}
    for identity in identities:
        code = ErrorCode.NONE
        try:
            member = _leaving(group, identity)
        except KafkaError as error:
            code = error.code
        else:
            reason = identity.reason or "no reason"
            logger.info("group %r: member %r leaves: %.255s", group.group_id, member.member_id, reason)
            members[member.member_id] = member
        responses.append(
            MemberResponse(member_id=identity.member_id, group_instance_id=identity.group_instance_id, error_code=code)
        )
    return responses, list(members.values())


def _leaving(group: ConsumerGroup, identity: MemberIdentity) -> ConsumerMember:
    """By member id, or with an empty one by instance id, as administrators remove static members (KIP-345)."""
    instance_id = identity.group_instance_id
    if instance_id is None:
        return group.member(identity.member_id)
    holder = group.static_member(instance_id)
    if holder is not None and not identity.member_id:
        return holder
    return check_instance(holder, instance_id, identity.member_id)


def _call_to_join(group: ConsumerGroup, member: ConsumerMember) -> list[Timer]:
    """The first call begins the time that the member has to follow it."""
    if member.member_id in group.called_to_join:
        return []
    group.called_to_join.add(member.member_id)
    return [Timer(rejoin_timer(group.group_id, member.member_id), max(member.rebalance_timeout_ms, 0))]
