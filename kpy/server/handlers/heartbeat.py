"""Heartbeat (12): see `kpy.groups.membership`. All versions mean the same; 3 brought static members (KIP-345)."""

from collections.abc import Awaitable

from kpy.groups.responses import heartbeat_error
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(HeartbeatRequest)
def heartbeat(request: HeartbeatRequest, context: RequestContext) -> HeartbeatResponse | Awaitable[HeartbeatResponse]:
    """Ask the group's coordinator."""
    return context.services.groups.ask(
        request.group_id,
        lambda coordinator, reply_to: coordinator.heartbeat(request, reply_to=reply_to),
        _error,
    )


def _error(code: ErrorCode) -> HeartbeatResponse:
    """While a group is loaded its members need not know (GroupCoordinatorService.heartbeat): sessions begin anew."""
    return heartbeat_error(ErrorCode.NONE if code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS else code)
