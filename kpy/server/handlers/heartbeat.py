"""Heartbeat (12): see `kpy.groups.membership`. All versions mean the same; 3 brought static members (KIP-345)."""

from collections.abc import Awaitable

from kpy.groups.responses import heartbeat_error
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(HeartbeatRequest)
def heartbeat(request: HeartbeatRequest, context: RequestContext) -> HeartbeatResponse | Awaitable[HeartbeatResponse]:
    """Ask the group's coordinator."""
    return context.services.groups.ask(
        request.group_id,
        lambda coordinator, reply_to: coordinator.heartbeat(request, reply_to=reply_to),
        heartbeat_error,
    )
