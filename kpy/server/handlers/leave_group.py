"""LeaveGroup (13): see `kpy.groups.membership`. From version 3 on for many members at once (KIP-345)."""

from collections.abc import Awaitable

from kpy.groups.responses import leave_group_error
from kpy.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(LeaveGroupRequest)
def leave_group(
    request: LeaveGroupRequest, context: RequestContext
) -> LeaveGroupResponse | Awaitable[LeaveGroupResponse]:
    """Ask the group's coordinator."""
    return context.services.groups.ask(
        request.group_id,
        lambda coordinator, reply_to: coordinator.leave_group(
            request, version=context.version, reply_to=reply_to, now_ms=context.services.clock.now_ms()
        ),
        leave_group_error,
    )
