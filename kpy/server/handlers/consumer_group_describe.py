"""ConsumerGroupDescribe (69): see `kpy.groups.consumer.describe`. Version 1 tells members of both protocols apart."""

from kpy.cluster.features import GROUP_VERSION
from kpy.groups.consumer.describe import described_error
from kpy.groups.responses import coordinator_error
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)
from kpy.server import authorized_operations
from kpy.server.context import RequestContext
from kpy.server.handlers import handles


@handles(ConsumerGroupDescribeRequest)
def consumer_group_describe(
    request: ConsumerGroupDescribeRequest, context: RequestContext
) -> ConsumerGroupDescribeResponse:
    """Ask the coordinators of the groups."""
    groups = [_describe(group_id, context) for group_id in request.group_ids]
    if request.include_authorized_operations:
        for group in groups:
            if not group.error_code:
                group.authorized_operations = authorized_operations.GROUP
    return ConsumerGroupDescribeResponse(groups=groups)


def _describe(group_id: str, context: RequestContext) -> DescribedGroup:
    services = context.services
    if not services.cluster.image.features.get(GROUP_VERSION, 0):
        return described_error(group_id, ErrorCode.UNSUPPORTED_VERSION)
    try:
        coordinator = services.groups.runtime_for(group_id).machine
    except KafkaError as error:
        return described_error(group_id, coordinator_error(error.code))
    return coordinator.describe_consumer_group(group_id)
