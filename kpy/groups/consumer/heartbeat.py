"""ConsumerGroupHeartbeat: members join, stay, and leave (GroupMetadataManager.consumerGroupHeartbeat and its kin)."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from kpy.groups.consumer import records
from kpy.groups.consumer.group import ConsumerGroup
from kpy.groups.consumer.member import (
    JOINING_EPOCH,
    LEAVING_EPOCH,
    LEAVING_FOR_A_WHILE_EPOCH,
    NOTHING_ASSIGNED,
    Assigned,
    ConsumerMember,
)
from kpy.groups.consumer.reconciliation import Owned
from kpy.groups.consumer.update import (
    MemberUpdate,
    PatternChange,
    Surroundings,
    begin_session,
    member_sync_timer,
    rebalance_timer,
    rejoin_timer,
)
from kpy.groups.deciding import Deciding
from kpy.groups.java import java_trim
from kpy.groups.member import session_timer
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)

logger = logging.getLogger(__name__)

MEMBER_ID_REQUIRED_SINCE = 1
NOT_SAID = -1


def check_request(request: ConsumerGroupHeartbeatRequest, version: int, assignors: Iterable[str]) -> None:
    """Raise for what no group would take (GroupCoordinatorService.throwIfConsumerGroupHeartbeatRequestIsInvalid)."""
    epoch = request.member_epoch
    if version >= MEMBER_ID_REQUIRED_SINCE or epoch > JOINING_EPOCH or epoch == LEAVING_EPOCH:
        _check_text(request.member_id, "MemberId")
    for text, name in (
        (request.group_id, "GroupId"),
        (request.instance_id, "InstanceId"),
        (request.rack_id, "RackId"),
    ):
        _check_text(text, name)
    if epoch == JOINING_EPOCH:
        if request.rebalance_timeout_ms == NOT_SAID:
            raise _invalid("RebalanceTimeoutMs must be provided in first request.")
        if request.topic_partitions is None or request.topic_partitions:
            raise _invalid("TopicPartitions must be empty when (re-)joining.")
        if request.subscribed_topic_names is None and request.subscribed_topic_regex is None:
            raise _invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
    elif epoch == LEAVING_FOR_A_WHILE_EPOCH:
        if request.instance_id is None:
            raise _invalid("InstanceId can't be null.")
    elif epoch < LEAVING_FOR_A_WHILE_EPOCH:
        raise _invalid("MemberEpoch is invalid.")
    if request.server_assignor is not None and request.server_assignor not in assignors:
        raise KafkaError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {request.server_assignor} is not supported. Supported assignors: {', '.join(assignors)}.",
        )


def _check_text(text: str | None, name: str) -> None:
    if text is not None and not java_trim(text):
        raise _invalid(f"{name} can't be empty.")


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)


# --- to stay, or to join ---


def heartbeat(
    group: ConsumerGroup,
    request: ConsumerGroupHeartbeatRequest,
    *,
    client_id: str,
    client_host: str,
    surroundings: Surroundings,
    deciding: Deciding,
) -> ConsumerGroupHeartbeatResponse:
    """A sign of life, with what is new; the answer says what the member has, if that is new to it."""
    member_id = request.member_id
    check_room(group, member_id, surroundings.config.max_size)
    member_id = member_id or surroundings.new_uuid()
    owned = _owned(request.topic_partitions)
    if request.instance_id is None:
        before = dynamic_member(group, member_id, is_joining=request.member_epoch == JOINING_EPOCH)
        _check_epoch(before, request.member_epoch, owned)
    else:
        before = _static_member(group, request, member_id, owned, deciding)
    member = _as_it_says(before, request, client_id, client_host)
    update = MemberUpdate(group, before, member, surroundings, deciding)
    names_changed = update.note_member()
    pattern_change = update.note_pattern()
    update.bump_epoch(has_changed=names_changed or pattern_change is PatternChange.CHANGED_AND_RESOLVED)
    update.find_target()
    update.reconcile(owned, subscription_changed=names_changed or pattern_change is not PatternChange.NONE)
    member = update.member
    begin_session(group.group_id, member, surroundings, deciding)
    is_told = request.member_epoch == JOINING_EPOCH or _says_everything(request) or member.assigned != before.assigned
    return ConsumerGroupHeartbeatResponse(
        error_code=ErrorCode.NONE,
        member_id=member.member_id,
        member_epoch=member.epoch,
        heartbeat_interval_ms=surroundings.settings_of(group.group_id).heartbeat_interval_ms,
        assignment=_assignment(member.assigned) if is_told else None,
    )


def _as_it_says(
    before: ConsumerMember, request: ConsumerGroupHeartbeatRequest, client_id: str, client_host: str
) -> ConsumerMember:
    """The member with what is new; most heartbeats say nothing."""
    if (
        request.subscribed_topic_names is None
        and request.subscribed_topic_regex is None
        and request.rack_id is None
        and request.server_assignor is None
        and request.rebalance_timeout_ms == NOT_SAID
        and before.classic is None
        and (before.client_id, before.client_host) == (client_id, client_host)
        and request.instance_id in (None, before.instance_id)
    ):
        return before
    return replace(
        before,
        instance_id=_said(request.instance_id, before.instance_id),
        rack_id=_said(request.rack_id, before.rack_id),
        rebalance_timeout_ms=(
            before.rebalance_timeout_ms if request.rebalance_timeout_ms == NOT_SAID else request.rebalance_timeout_ms
        ),
        assignor=_said(request.server_assignor, before.assignor),
        topic_names=(
            before.topic_names if request.subscribed_topic_names is None else frozenset(request.subscribed_topic_names)
        ),
        pattern=_said(request.subscribed_topic_regex, before.pattern),
        client_id=client_id,
        client_host=client_host,
        classic=None,
    )


def check_room(group: ConsumerGroup, member_id: str, max_size: int) -> None:
    """Raise if one more is one too many."""
    if len(group.members) >= max_size and member_id not in group.members:
        raise KafkaError(
            ErrorCode.GROUP_MAX_SIZE_REACHED, f"The consumer group has reached its maximum capacity of {max_size}."
        )


def dynamic_member(group: ConsumerGroup, member_id: str, *, is_joining: bool) -> ConsumerMember:
    """The member, or a new one if it is joining."""
    member = group.members.get(member_id)
    if member is None and is_joining:
        logger.info("group %r: member %r joins", group.group_id, member_id)
        return ConsumerMember(member_id=member_id)
    return group.member(member_id) if member is None else member


def _static_member(
    group: ConsumerGroup,
    request: ConsumerGroupHeartbeatRequest,
    member_id: str,
    owned: Owned | None,
    deciding: Deciding,
) -> ConsumerMember:
    holder = group.static_member(request.instance_id)
    if request.member_epoch != JOINING_EPOCH:
        holder = check_instance(holder, request.instance_id, member_id)
        _check_epoch(holder, request.member_epoch, owned)
        return holder
    if holder is None:
        return dynamic_member(group, member_id, is_joining=True)
    if holder.classic is None and holder.epoch != LEAVING_FOR_A_WHILE_EPOCH:
        raise KafkaError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"Static member {member_id} with instance id {request.instance_id} was rejected because the instance id is "
            f"in use by {holder.member_id}.",
        )
    return take_over(group, holder, member_id, deciding)


def check_instance(holder: ConsumerMember | None, instance_id: str | None, member_id: str) -> ConsumerMember:
    """The static member, if nobody else has taken its instance id since."""
    if holder is None:
        raise KafkaError(ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown.")
    if holder.member_id != member_id:
        raise KafkaError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} with instance id {instance_id} was fenced by member {holder.member_id}.",
        )
    return holder


def take_over(group: ConsumerGroup, holder: ConsumerMember, member_id: str, deciding: Deciding) -> ConsumerMember:
    """Have a static member go on under another member id, with what it has. The timers of the old id mean nothing."""
    member = replace(holder, member_id=member_id, epoch=JOINING_EPOCH, previous_epoch=JOINING_EPOCH)
    logger.info("group %r: static member %r is now %r", group.group_id, holder.member_id, member_id)
    deciding.records += records.removal(group.group_id, holder.member_id)
    deciding.records.append(records.member_record(group.group_id, member))
    deciding.records.append(records.target_record(group.group_id, member_id, group.targets.get(holder.member_id, {})))
    deciding.records.append(records.assignment_record(group.group_id, member))
    return member


def _check_epoch(member: ConsumerMember, epoch: int, owned: Owned | None) -> None:
    """The last epoch is as good as the present one if the answer that said so may have been lost.

    That shows in what the member owns: it knows of nothing beyond what it has.
    """
    if epoch in (JOINING_EPOCH, member.epoch):
        return
    if epoch > member.epoch:
        raise KafkaError(
            ErrorCode.FENCED_MEMBER_EPOCH,
            f"The consumer group member has a greater member epoch ({epoch}) than the one known by the group "
            f"coordinator ({member.epoch}). The member must abandon all its partitions and rejoin.",
        )
    if epoch != member.previous_epoch or not _is_part(owned, member.assigned):
        raise KafkaError(
            ErrorCode.FENCED_MEMBER_EPOCH,
            f"The consumer group member has a smaller member epoch ({epoch}) than the one known by the group "
            f"coordinator ({member.epoch}). The member must abandon all its partitions and rejoin.",
        )


def _is_part(owned: Owned | None, assigned: Assigned) -> bool:
    return owned is not None and all(
        partition in assigned.get(topic_id, {}) for topic_id, partitions in owned.items() for partition in partitions
    )


def _owned(topics: list[TopicPartitions] | None) -> Owned | None:
    if topics is None:
        return None
    owned: dict[object, set[int]] = {}
    for topic in topics:
        owned.setdefault(topic.topic_id, set()).update(topic.partitions)
    return owned  # type: ignore[return-value]


def _said(new: str | None, old: str | None) -> str | None:
    return old if new is None else new


def _says_everything(request: ConsumerGroupHeartbeatRequest) -> bool:
    """So does a member that is not sure of what it was told."""
    return (
        request.rebalance_timeout_ms != NOT_SAID
        and (request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None)
        and request.topic_partitions is not None
    )


def _assignment(assigned: Assigned) -> Assignment:
    return Assignment(
        topic_partitions=[
            TopicPartitions(topic_id=topic_id, partitions=sorted(epochs)) for topic_id, epochs in assigned.items()
        ]
    )


# --- to leave, or to be removed ---


def leave(
    group: ConsumerGroup, request: ConsumerGroupHeartbeatRequest, deciding: Deciding
) -> tuple[ConsumerGroupHeartbeatResponse, ConsumerMember | None]:
    """A member leaves; the answer, and who is to be removed, which nobody is if a static member will be back."""
    member_id = request.member_id
    if request.instance_id is None:
        member = group.member(member_id)
    else:
        member = check_instance(group.static_member(request.instance_id), request.instance_id, member_id)
    response = ConsumerGroupHeartbeatResponse(
        error_code=ErrorCode.NONE,
        member_id=member_id,
        member_epoch=request.member_epoch,
        heartbeat_interval_ms=0,
    )
    if request.instance_id is None or request.member_epoch != LEAVING_FOR_A_WHILE_EPOCH:
        logger.info("group %r: member %r leaves", group.group_id, member_id)
        return response, member
    gone = replace(
        member,
        epoch=LEAVING_FOR_A_WHILE_EPOCH,
        revoking=NOTHING_ASSIGNED,
        assigned={topic_id: dict.fromkeys(epochs, 0) for topic_id, epochs in member.assigned.items()},
    )
    logger.info("group %r: static member %r leaves for a while", group.group_id, member_id)
    deciding.records.append(records.assignment_record(group.group_id, gone))
    return response, None


def remove_members(
    group: ConsumerGroup, members: Iterable[ConsumerMember], surroundings: Surroundings, deciding: Deciding
) -> None:
    """Members are gone: the group comes to a new epoch. Patterns that nobody else subscribes to are forgotten."""
    members = list(members)
    for member in members:
        deciding.records += records.removal(group.group_id, member.member_id)
    left = group.pattern_members.copy()
    left.subtract(member.pattern for member in members if member.pattern)
    for pattern, count in left.items():
        if count <= 0:
            deciding.records.append(records.pattern_tombstone(group.group_id, pattern))
    metadata_hash = surroundings.topics.of_group(group.subscribed_names(members, None))
    deciding.records.append(records.epoch_record(group.group_id, group.epoch + 1, metadata_hash))
    for member in members:
        cancel_timers(group.group_id, member.member_id, deciding)


def cancel_timers(group_id: str, member_id: str, deciding: Deciding) -> None:
    """Nothing is waited for any more."""
    for timer in (session_timer, rebalance_timer, rejoin_timer, member_sync_timer):
        deciding.cancel(timer(group_id, member_id))
