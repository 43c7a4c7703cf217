"""JoinGroup (11): see `kpy.groups.join`, with the versions that mean something to it."""

from collections.abc import Awaitable

from kpy.groups.responses import join_group_error
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(JoinGroupRequest)
def join_group(request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse | Awaitable[JoinGroupResponse]:
    """Ask the group's coordinator, which holds the request while the group rebalances."""
    return context.services.groups.ask(
        request.group_id,
        lambda coordinator, reply_to: coordinator.join_group(
            request,
            version=context.version,
            client_id=context.client_id,
            client_host=context.client_host,
            reply_to=reply_to,
            now_ms=context.services.clock.now_ms(),
        ),
        lambda code: join_group_error(code, member_id=request.member_id, version=context.version),
    )
