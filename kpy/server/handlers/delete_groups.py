"""DeleteGroups (42): see `kpy.groups.coordinator`. All versions mean the same. A group named twice is deleted once."""

from collections.abc import Awaitable

from kpy.groups.responses import delete_groups_error
from kpy.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(DeleteGroupsRequest)
async def delete_groups(request: DeleteGroupsRequest, context: RequestContext) -> DeleteGroupsResponse:
    """Ask the coordinator of each group."""
    results: list[DeletableGroupResult] = []
    for group_id in dict.fromkeys(request.groups_names):
        answer = _delete(group_id, context)
        response = await answer if isinstance(answer, Awaitable) else answer
        results += response.results
    return DeleteGroupsResponse(results=results)


def _delete(group_id: str, context: RequestContext) -> DeleteGroupsResponse | Awaitable[DeleteGroupsResponse]:
    return context.services.groups.ask(
        group_id,
        lambda coordinator, reply_to: coordinator.delete_groups([group_id], reply_to=reply_to),
        lambda code: delete_groups_error([group_id], code),
    )
