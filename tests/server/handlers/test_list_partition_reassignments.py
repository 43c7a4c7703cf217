"""ListPartitionReassignments: nothing moves."""

from kpy.protocol.messages.list_partition_reassignments import ListPartitionReassignmentsRequest
from kpy.server.handlers.list_partition_reassignments import list_partition_reassignments
from tests.server.handlers.handler_context import HandlerContext


def test_nothing_moves(broker: HandlerContext) -> None:
    """With one broker no replica is ever on the move."""
    broker.created("t")
    response = broker.call(list_partition_reassignments, ListPartitionReassignmentsRequest(), 0)
    assert (response.error_code, response.topics) == (0, [])
