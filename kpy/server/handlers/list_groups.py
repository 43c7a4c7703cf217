"""ListGroups (16): see `kpy.groups.describe`. Version 4 filters by state (KIP-518), 5 by type (KIP-848)."""

from kpy.groups.responses import coordinator_error
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.list_groups import ListGroupsRequest, ListGroupsResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(ListGroupsRequest)
def list_groups(request: ListGroupsRequest, context: RequestContext) -> ListGroupsResponse:
    """Ask every coordinator of this broker."""
    try:
        runtimes = context.services.groups.loaded()
    except KafkaError as error:
        return ListGroupsResponse(error_code=coordinator_error(error.code), groups=[])
    groups = [
        group
        for runtime in runtimes
        for group in runtime.machine.list_groups(request.states_filter, request.types_filter)
    ]
    return ListGroupsResponse(error_code=ErrorCode.NONE, groups=groups)
