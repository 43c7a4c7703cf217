"""How a classic group gets from one generation to the next.

A round is prepared (members are called to join; their joins are held), completed when all have joined or the time is
up (joins are answered with the new generation), and settled by the leader's assignment (`membership.sync_group`).
Follows GroupMetadataManager.prepareRebalance, completeClassicGroupJoin and what is around them.
"""

import logging
from collections.abc import Hashable

from kpy.groups.classic_group import ClassicGroup, InitialDelay
from kpy.groups.deciding import Deciding
from kpy.groups.member import Member
from kpy.groups.records import group_record
from kpy.groups.responses import join_group_error, sync_group_error
from kpy.groups.states import GroupState
from kpy.protocol.errors import ErrorCode

logger = logging.getLogger(__name__)


def join_timer(group_id: str) -> Hashable:
    """The key of the timer that ends the wait for joins."""
    return ("join", group_id)


def sync_timer(group_id: str) -> Hashable:
    """The key of the timer that ends the wait for syncs."""
    return ("sync", group_id)


class Rebalances:
    """Moves groups through their rounds."""

    def __init__(self, initial_rebalance_delay_ms: int) -> None:
        self._initial_delay_ms = initial_rebalance_delay_ms

    def prepare_or_complete(self, group: ClassicGroup, deciding: Deciding, reason: str) -> None:
        """Something about the members has changed: begin a round, or complete it if that was what it waited for."""
        if group.can_rebalance():
            self.prepare(group, deciding, reason)
        else:
            self.complete_if_joined(group, deciding)

    def prepare(self, group: ClassicGroup, deciding: Deciding, reason: str) -> None:
        """Begin a round. The first one of a group waits a while for more members, so that one round does for all."""
        logger.info("group %r: rebalance after generation %d: %s", group.group_id, group.generation, reason)
        for member_id, to in group.parked_syncs.items():
            deciding.reply(to, sync_group_error(ErrorCode.REBALANCE_IN_PROGRESS))
            self.expect_heartbeat(group.members[member_id], deciding)
        group.parked_syncs.clear()
        group.pending_syncs.clear()
        if group.state is GroupState.COMPLETING_REBALANCE:
            group.forget_assignments()
        deciding.cancel(sync_timer(group.group_id))
        is_first = group.state is GroupState.EMPTY
        group.move(GroupState.PREPARING_REBALANCE, deciding.now_ms)
        if is_first:
            group.new_member_added = False
            remaining_ms = max(group.rebalance_timeout_ms - self._initial_delay_ms, 0)
            self._wait_initially(group, deciding, InitialDelay(self._initial_delay_ms, remaining_ms))
        elif group.has_all_joined:
            self.complete(group, deciding)
        else:
            deciding.start(join_timer(group.group_id), group.rebalance_timeout_ms)

    def complete_if_joined(self, group: ClassicGroup, deciding: Deciding) -> None:
        """Complete the round if everybody has joined, except the first, which takes its time."""
        if group.state is GroupState.PREPARING_REBALANCE and group.initial_delay is None and group.has_all_joined:
            self.complete(group, deciding)

    def complete(self, group: ClassicGroup, deciding: Deciding) -> None:
        """End the wait for joins: those who have joined are the next generation.

        Static members that have not joined stay in (KIP-345), until their session ends.
        """
        deciding.cancel(join_timer(group.group_id))
        for member in [*group.members.values()]:
            if member.instance_id is None and member.member_id not in group.parked_joins:
                logger.info("group %r: member %r has not joined in time", group.group_id, member.member_id)
                group.remove(member.member_id)
                deciding.cancel(member.session_timer)
        group.initial_delay = None
        if not group.members:
            deciding.records.append(group_record(group.group_id, group.empty_value(deciding.now_ms)))
        elif not group.parked_joins:
            deciding.start(join_timer(group.group_id), group.rebalance_timeout_ms)
        else:
            self._begin_generation(group, deciding)

    def remove_failed(self, group: ClassicGroup, member: Member, deciding: Deciding) -> None:
        """A member's session has ended."""
        logger.info("group %r: the session of member %r has ended", group.group_id, member.member_id)
        self.turn_away(group, member, deciding)
        if group.state is GroupState.PREPARING_REBALANCE:
            if group.has_all_joined:
                self.complete(group, deciding)
        else:
            self.prepare(group, deciding, f"the session of member {member.member_id!r} has ended")

    def remove_pending(self, group: ClassicGroup, member_id: str, deciding: Deciding) -> None:
        """Nobody has joined with a member id that was given out; the round need not wait for it."""
        group.remove(member_id)
        if group.state is GroupState.PREPARING_REBALANCE and group.has_all_joined:
            self.complete(group, deciding)

    def turn_away(self, group: ClassicGroup, member: Member, deciding: Deciding) -> None:
        """Remove a member. If its join is held, it learns that it has to begin anew."""
        parked = group.parked_joins.get(member.member_id)
        if parked is not None:
            error = join_group_error(ErrorCode.UNKNOWN_MEMBER_ID, member_id="", version=parked.version)
            deciding.reply(parked.to, error)
        sync = group.parked_syncs.get(member.member_id)
        if sync is not None:
            deciding.reply(sync, sync_group_error(ErrorCode.UNKNOWN_MEMBER_ID))
        group.remove(member.member_id)

    def join_timer_expired(self, group: ClassicGroup, deciding: Deciding) -> None:
        """The wait for joins is over, unless a first round has met new members and has time left."""
        if group.state is not GroupState.PREPARING_REBALANCE:
            return
        delay = group.initial_delay
        if delay is not None and group.new_member_added and delay.remaining_ms > 0:
            group.new_member_added = False
            self._wait_initially(
                group,
                deciding,
                InitialDelay(
                    min(self._initial_delay_ms, delay.remaining_ms), max(delay.remaining_ms - delay.delay_ms, 0)
                ),
            )
        else:
            self.complete(group, deciding)

    def sync_timer_expired(self, group: ClassicGroup, deciding: Deciding) -> None:
        """Members that joined the generation but never came for their assignment are out."""
        missing = sorted(group.pending_syncs - group.parked_syncs.keys())
        if not missing:
            return
        for member_id in missing:
            deciding.cancel(group.members[member_id].session_timer)
            group.remove(member_id)
        self.prepare(group, deciding, f"no sync from {missing}")

    def session_expired(self, group: ClassicGroup, member_id: str, deciding: Deciding) -> None:
        """No sign of life. A member whose request is held here needs to give none, except for its first join."""
        member = group.members.get(member_id)
        if member is None:
            if member_id in group.pending_joins:
                self.remove_pending(group, member_id, deciding)
        elif member.is_new or not (member_id in group.parked_joins or member_id in group.parked_syncs):
            self.remove_failed(group, member, deciding)

    @staticmethod
    def expect_heartbeat(member: Member, deciding: Deciding) -> None:
        """Begin the member's session anew."""
        deciding.start(member.session_timer, member.session_timeout_ms)

    def _wait_initially(self, group: ClassicGroup, deciding: Deciding, delay: InitialDelay) -> None:
        group.initial_delay = delay
        deciding.start(join_timer(group.group_id), delay.delay_ms)

    def _begin_generation(self, group: ClassicGroup, deciding: Deciding) -> None:
        if group.leader not in group.parked_joins:
            group.leader = next(iter(group.parked_joins))
        group.begin_generation(deciding.now_ms)
        logger.info("group %r: generation %d has %d members", group.group_id, group.generation, len(group.members))
        for member in group.members.values():
            parked = group.parked_joins.pop(member.member_id, None)
            if parked is not None:
                deciding.reply(parked.to, group.join_response(member.member_id))
            self.expect_heartbeat(member, deciding)
            member.is_new = False
        deciding.start(sync_timer(group.group_id), group.rebalance_timeout_ms)
