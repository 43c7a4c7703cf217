"""DescribeGroups and ListGroups."""

from collections.abc import Iterable, Sequence

from kpy.groups.classic_group import ClassicGroup
from kpy.groups.group import Group
from kpy.groups.java import java_trim
from kpy.groups.states import GroupState
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.describe_groups import DescribedGroup, DescribedGroupMember
from kpy.protocol.messages.list_groups import ListedGroup

NOT_FOUND_SINCE = 6


def described(group: ClassicGroup) -> DescribedGroup:
    """Members and, if the group is stable, what they subscribe to."""
    protocol = group.protocol if group.state is GroupState.STABLE and group.protocol else ""
    return DescribedGroup(
        error_code=ErrorCode.NONE,
        group_id=group.group_id,
        group_state=group.state_name,
        protocol_type=group.protocol_type or "",
        protocol_data=protocol,
        members=[
            DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.protocols[protocol] if protocol else b"",
                member_assignment=member.assignment,
            )
            for member in group.members.values()
        ],
    )


def missing_group(group_id: str, version: int, *, is_classic: bool = True) -> DescribedGroup:
    """One that is not there is dead, and so is one of another protocol; version 6 calls that an error (KIP-1043)."""
    found = DescribedGroup(
        error_code=ErrorCode.NONE,
        group_id=group_id,
        group_state=GroupState.DEAD.value,
        protocol_type="",
        protocol_data="",
        members=[],
    )
    if version >= NOT_FOUND_SINCE:
        found.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        found.error_message = f"Group {group_id} {'not found' if is_classic else 'is not a classic group'}."
    return found


def listed(groups: Iterable[Group], states: Sequence[str], types: Sequence[str]) -> list[ListedGroup]:
    """The groups that both filters let through, whatever the case of their words; an empty filter lets all."""
    wanted_states = {java_trim(state.lower()) for state in states}
    wanted_types = {name.lower() for name in types}
    return [
        group.listed()
        for group in groups
        if (not wanted_states or group.state_name.lower() in wanted_states)
        and (not wanted_types or group.type.value in wanted_types)
    ]
