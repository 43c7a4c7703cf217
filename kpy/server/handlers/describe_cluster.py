"""DescribeCluster (60): the brokers, the cluster's id and its controller (KIP-700).

Versions: 1 says whether brokers or controllers are meant (KIP-919); 2 can include fenced brokers (KIP-1073). Clients
reach only brokers here, and are told that the first of them is the controller, as Kafka tells them of a random one.
"""

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from kpy.server import authorized_operations
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.handlers.metadata import reachable_brokers

BROKERS, CONTROLLERS = 1, 2


@handles(DescribeClusterRequest)
def describe_cluster(request: DescribeClusterRequest, context: RequestContext) -> DescribeClusterResponse:
    """Answer from the image."""
    if request.endpoint_type not in {BROKERS, CONTROLLERS}:
        return _refusal(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, f"Unsupported endpoint type {request.endpoint_type}")
    if request.endpoint_type == CONTROLLERS:
        return _refusal(
            ErrorCode.MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
        )
    image = context.services.cluster.image
    brokers = reachable_brokers(image, context.listener)
    return DescribeClusterResponse(
        error_code=ErrorCode.NONE,
        cluster_id=image.cluster_id,
        controller_id=brokers[0][0].broker_id if brokers else -1,
        brokers=[
            DescribeClusterBroker(broker_id=broker.broker_id, host=host, port=port, rack=broker.rack)
            for broker, host, port in brokers
        ],
        cluster_authorized_operations=(
            authorized_operations.CLUSTER
            if request.include_cluster_authorized_operations
            else authorized_operations.NOT_ASKED
        ),
    )


def _refusal(code: ErrorCode, message: str) -> DescribeClusterResponse:
    return DescribeClusterResponse(error_code=code, error_message=message, cluster_id="", brokers=[])
