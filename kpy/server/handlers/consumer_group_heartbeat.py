"""ConsumerGroupHeartbeat (68): see `kpy.groups.consumer.heartbeat`.

Versions: in 1 the member makes up its own id (KIP-1082) and may subscribe by regular expression.
"""

from collections.abc import Awaitable

from kpy.cluster.features import GROUP_VERSION
from kpy.groups.consumer.requests import heartbeat_error
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(ConsumerGroupHeartbeatRequest)
def consumer_group_heartbeat(
    request: ConsumerGroupHeartbeatRequest, context: RequestContext
) -> ConsumerGroupHeartbeatResponse | Awaitable[ConsumerGroupHeartbeatResponse]:
    """Ask the group's coordinator, if the cluster is at a version with this protocol."""
    services = context.services
    if not services.cluster.image.features.get(GROUP_VERSION, 0):
        return heartbeat_error(ErrorCode.UNSUPPORTED_VERSION, ErrorCode.UNSUPPORTED_VERSION.message)
    return services.groups.ask(
        request.group_id,
        lambda coordinator, reply_to: coordinator.consumer_group_heartbeat(
            request,
            version=context.version,
            client_id=context.client_id,
            client_host=context.client_host,
            reply_to=reply_to,
            now_ms=services.clock.now_ms(),
        ),
        lambda code: heartbeat_error(code, code.message),
    )
