"""OffsetDelete (47): see `kpy.groups.commits`. There is one version."""

from collections.abc import Awaitable

from kpy.groups.responses import offset_delete_error
from kpy.protocol.messages.offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(OffsetDeleteRequest)
def offset_delete(
    request: OffsetDeleteRequest, context: RequestContext
) -> OffsetDeleteResponse | Awaitable[OffsetDeleteResponse]:
    """Ask the group's coordinator."""
    services = context.services
    return services.groups.ask(
        request.group_id,
        lambda coordinator, reply_to: coordinator.offset_delete(
            request, topics=services.cluster.image, reply_to=reply_to
        ),
        offset_delete_error,
    )
