"""SyncGroup (14): see `kpy.groups.membership`. From version 5 on the protocol must be named (KIP-559)."""

from collections.abc import Awaitable

from kpy.groups.responses import sync_group_error
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(SyncGroupRequest)
def sync_group(request: SyncGroupRequest, context: RequestContext) -> SyncGroupResponse | Awaitable[SyncGroupResponse]:
    """Ask the group's coordinator, which holds the request until the leader has assigned."""
    return context.services.groups.ask(
        request.group_id,
        lambda coordinator, reply_to: coordinator.sync_group(
            request, version=context.version, reply_to=reply_to, now_ms=context.services.clock.now_ms()
        ),
        sync_group_error,
    )
