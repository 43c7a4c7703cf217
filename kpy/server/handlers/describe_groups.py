"""DescribeGroups (15): see `kpy.groups.describe`.

Versions: 3 may ask for the operations that the client is allowed (KIP-430); in 6 a missing group is an error.
"""

from kpy.groups.responses import coordinator_error, described_group_error
from kpy.protocol.errors import KafkaError
from kpy.protocol.messages.describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse
from kpy.server import authorized_operations
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(DescribeGroupsRequest)
def describe_groups(request: DescribeGroupsRequest, context: RequestContext) -> DescribeGroupsResponse:
    """Ask the coordinators of the groups."""
    groups = [_describe(group_id, context) for group_id in request.groups]
    if request.include_authorized_operations:
        for group in groups:
            if not group.error_code:
                group.authorized_operations = authorized_operations.GROUP
    return DescribeGroupsResponse(groups=groups)


def _describe(group_id: str, context: RequestContext) -> DescribedGroup:
    try:
        coordinator = context.services.groups.runtime_for(group_id).machine
    except KafkaError as error:
        return described_group_error(group_id, coordinator_error(error.code))
    return coordinator.describe_group(group_id, version=context.version)
