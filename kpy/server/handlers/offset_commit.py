"""OffsetCommit (8): see `kpy.groups.commits`. From version 10 on topics are named by their ids."""

from collections.abc import Awaitable

from kpy.groups.responses import offset_commit_error
from kpy.protocol.messages.offset_commit import OffsetCommitRequest, OffsetCommitResponse
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(OffsetCommitRequest)
def offset_commit(
    request: OffsetCommitRequest, context: RequestContext
) -> OffsetCommitResponse | Awaitable[OffsetCommitResponse]:
    """Ask the group's coordinator. The empty group id is one that old simple consumers use."""
    services = context.services
    return services.groups.ask(
        request.group_id,
        lambda coordinator, reply_to: coordinator.offset_commit(
            request,
            version=context.version,
            topics=services.cluster.image,
            reply_to=reply_to,
            now_ms=services.clock.now_ms(),
        ),
        lambda code: offset_commit_error(request, code),
        may_be_gathered=context.connection.may_answer_later,
    )
