"""ListPartitionReassignments (46): replicas on the move, of which one broker has none (KIP-455)."""

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(ListPartitionReassignmentsRequest)
def list_partition_reassignments(
    request: ListPartitionReassignmentsRequest,  # noqa: ARG001 - whatever is asked for, nothing moves
    context: RequestContext,  # noqa: ARG001 - as above
) -> ListPartitionReassignmentsResponse:
    """Answer with none."""
    return ListPartitionReassignmentsResponse(error_code=ErrorCode.NONE, error_message=None, topics=[])
