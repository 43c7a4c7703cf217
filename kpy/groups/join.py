"""JoinGroup in all its cases: new members, static ones that come back (KIP-345), and members that join again.

Follows GroupMetadataManager.classicGroupJoin and its kin, in the order of their checks. Of two joins that one member
has under way, the newer counts; Kafka forgets the older, here it is called to join again.

Versions: 0 has no rebalance timeout, the session timeout is both (KIP-62); from 4 on a new member without an instance
id is given its id first and joins with it (KIP-394), so that clients that give up waiting leave nothing behind; from 9
on a static leader that comes back to an unchanged group is told to leave the assignment alone (KIP-814).
"""

from collections.abc import Callable

from kpy.groups.classic_group import ClassicGroup, select_protocol
from kpy.groups.config import NEW_MEMBER_JOIN_TIMEOUT_MS
from kpy.groups.deciding import Deciding
from kpy.groups.member import Member, ParkedJoin, protocols_of, session_timer
from kpy.groups.rebalance import Rebalances
from kpy.groups.records import group_record
from kpy.groups.responses import join_group_error, sync_group_error
from kpy.groups.states import GroupState
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse

UNKNOWN_MEMBER = ""
MEMBER_ID_REQUIRED_SINCE = 4
SKIP_ASSIGNMENT_SINCE = 9
REASON_LOGGED = 255


class Join:
    """One JoinGroup of one group, with what it asks for made plain."""

    def __init__(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        parked: ParkedJoin,
        deciding: Deciding,
        *,
        client_id: str,
        client_host: str,
    ) -> None:
        self.group = group
        self.request = request
        self.parked = parked
        self.deciding = deciding
        self.client_id = client_id
        self.client_host = client_host
        self.member_id = request.member_id
        self.instance_id = request.group_instance_id
        self.protocols = protocols_of(request.protocols)
        self.rebalance_timeout_ms = request.session_timeout_ms if parked.version == 0 else request.rebalance_timeout_ms
        self.reason = (request.reason or "not provided")[:REASON_LOGGED]

    @property
    def names_protocols_twice(self) -> bool:
        return len(self.protocols) != len(self.request.protocols)

    def reply(self, response: JoinGroupResponse) -> None:
        self.deciding.reply(self.parked.to, response)

    def refuse(self, code: ErrorCode, member_id: str) -> None:
        self.reply(join_group_error(code, member_id=member_id, version=self.parked.version))

    def member(self, member_id: str) -> Member:
        """The member as it asks to be."""
        return Member(
            group_id=self.group.group_id,
            member_id=member_id,
            instance_id=self.instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            session_timeout_ms=self.request.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            protocols=self.protocols,
        )


class Joins:
    """Decides joins. `new_uuid` makes the random part of member ids."""

    def __init__(self, max_size: int, rebalances: Rebalances, new_uuid: Callable[[], str]) -> None:
        self._max_size = max_size
        self._rebalances = rebalances
        self._new_uuid = new_uuid

    def decide(self, join: Join) -> None:
        """Answer the join, or park it in the group."""
        group = join.group
        if not self._has_room(group, join.member_id):
            group.remove(join.member_id)
            join.deciding.cancel(session_timer(group.group_id, join.member_id))
            join.refuse(ErrorCode.GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER)
        elif join.names_protocols_twice or not group.supports(join.request.protocol_type, join.protocols):
            join.refuse(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, join.member_id)
        elif join.member_id != UNKNOWN_MEMBER:
            self._existing_member(join)
        elif join.instance_id is not None:
            self._static_member(join, join.instance_id)
        elif join.parked.version >= MEMBER_ID_REQUIRED_SINCE:
            self._reserve_member_id(join)
        else:
            self._add(join, self._new_member_id(join.client_id))

    def _has_room(self, group: ClassicGroup, member_id: str) -> bool:
        """Whether the group takes one more. While it prepares a rebalance, only those count that have joined.

        So a group that is larger than the limit, because the limit was lowered, loses those who join last.
        """
        if group.state is GroupState.EMPTY:
            return True
        if group.state is GroupState.PREPARING_REBALANCE:
            return member_id in group.parked_joins or len(group.parked_joins) < self._max_size
        return member_id in group.members or len(group.members) < self._max_size

    def _new_member_id(self, prefix: str) -> str:
        return f"{prefix}-{self._new_uuid()}"

    # --- new members ---

    def _reserve_member_id(self, join: Join) -> None:
        member_id = self._new_member_id(join.client_id)
        join.group.pending_joins.add(member_id)
        join.deciding.start(session_timer(join.group.group_id, member_id), join.request.session_timeout_ms)
        join.refuse(ErrorCode.MEMBER_ID_REQUIRED, member_id)

    def _static_member(self, join: Join, instance_id: str) -> None:
        member_id = self._new_member_id(instance_id)
        if instance_id in join.group.static_members:
            self._take_over(join, join.group.members[join.group.static_members[instance_id]], member_id)
        else:
            self._add(join, member_id)

    def _add(self, join: Join, member_id: str) -> None:
        group = join.group
        member = join.member(member_id)
        member.is_new = True
        if group.initial_delay is not None:
            group.new_member_added = True
        group.add(member, join.parked, join.request.protocol_type)
        join.deciding.start(member.session_timer, NEW_MEMBER_JOIN_TIMEOUT_MS)
        self._rebalances.prepare_or_complete(group, join.deciding, f"new member {member_id!r}: {join.reason}")

    # --- a static member comes back under a new member id ---

    def _take_over(self, join: Join, replaced: Member, member_id: str) -> None:
        group, deciding = join.group, join.deciding
        self._fence(group, replaced, deciding)
        replacement = join.member(member_id)
        replacement.client_id, replacement.client_host = replaced.client_id, replaced.client_host
        replacement.assignment = replaced.assignment
        deciding.cancel(replaced.session_timer)
        # Until its next sign of life the session is as long as it was: so it is in Kafka, too.
        deciding.start(replacement.session_timer, replaced.session_timeout_ms)
        if group.state is GroupState.STABLE and self._continue_generation(join, replaced, replacement):
            return
        group.replace_static(replacement)
        group.parked_joins[member_id] = join.parked
        self._rebalances.prepare_or_complete(
            group, deciding, f"static member {join.instance_id!r} is back: {join.reason}"
        )

    def _fence(self, group: ClassicGroup, replaced: Member, deciding: Deciding) -> None:
        parked_join = group.parked_joins.pop(replaced.member_id, None)
        if parked_join is not None:
            error = join_group_error(
                ErrorCode.FENCED_INSTANCE_ID, member_id=replaced.member_id, version=parked_join.version
            )
            deciding.reply(parked_join.to, error)
        parked_sync = group.parked_syncs.pop(replaced.member_id, None)
        if parked_sync is not None:
            deciding.reply(parked_sync, sync_group_error(ErrorCode.FENCED_INSTANCE_ID))

    def _continue_generation(self, join: Join, replaced: Member, replacement: Member) -> bool:
        """Let the new member id step into the stable generation, unless that changes the strategy.

        The member changes in the group when the record that says so is replayed. Clients older than SkipAssignment are
        told the former leader's id, so that a leader takes itself for a follower and does not assign.
        """
        group = join.group
        members = [replacement if member is replaced else member for member in group.members.values()]
        if select_protocol(members) != group.protocol:
            return False
        leads = group.leader == replaced.member_id
        leader = replacement.member_id if leads else group.leader
        assignment = {member.member_id: member.assignment for member in members}
        value = group.generation_value(members, assignment, leader=leader)
        join.deciding.records.append(group_record(group.group_id, value))
        group.arriving = replacement
        skips = join.parked.version >= SKIP_ASSIGNMENT_SINCE
        join.reply(
            JoinGroupResponse(
                error_code=ErrorCode.NONE,
                generation_id=group.generation,
                protocol_type=group.protocol_type,
                protocol_name=group.protocol,
                leader=(leader if skips else group.leader) or "",
                skip_assignment=leads and skips,
                member_id=replacement.member_id,
                members=group.subscriptions(members, group.protocol) if leads and skips else [],
            )
        )
        return True

    # --- members that join again, or for the first time with the id they were given ---

    def _existing_member(self, join: Join) -> None:
        group = join.group
        if join.member_id in group.pending_joins and join.instance_id is None:
            self._add(join, join.member_id)
            return
        try:
            member = group.check_member(join.member_id, join.instance_id)
        except KafkaError as error:
            join.refuse(error.code, join.member_id)
            return
        unchanged = member.matches(join.protocols)
        if group.state is GroupState.COMPLETING_REBALANCE and unchanged:
            join.reply(group.join_response(member.member_id))  # it may not have received the answer
        elif group.state is GroupState.STABLE and unchanged and member.member_id != group.leader:
            join.reply(group.join_response(member.member_id))
        else:  # a leader that joins again wants a rebalance, for what it knows of topics and we do not
            self._join_again(join, member)

    def _join_again(self, join: Join, member: Member) -> None:
        group = join.group
        older = group.parked_joins.get(member.member_id)
        if older is not None:
            error = join_group_error(ErrorCode.REBALANCE_IN_PROGRESS, member_id=member.member_id, version=older.version)
            join.deciding.reply(older.to, error)
        group.update(
            member,
            join.protocols,
            session_timeout_ms=join.request.session_timeout_ms,
            rebalance_timeout_ms=join.rebalance_timeout_ms,
            parked=join.parked,
        )
        self._rebalances.prepare_or_complete(
            group, join.deciding, f"member {member.member_id!r} joins again: {join.reason}"
        )
