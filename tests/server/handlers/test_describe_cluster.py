"""DescribeCluster: the brokers, for those who ask for brokers."""

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.describe_cluster import DescribeClusterRequest
from kpy.server.handlers.describe_cluster import describe_cluster
from tests.server.handlers.handler_context import HandlerContext


@pytest.mark.parametrize("version", range(3))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """The answer has the cluster's id, the broker as it is advertised, and the controller among the brokers."""
    request = DescribeClusterRequest(include_cluster_authorized_operations=version == 1)
    response = broker.call(describe_cluster, request, version)
    assert (response.error_code, response.cluster_id, response.controller_id) == (0, "cluster", 1)
    assert [(node.broker_id, node.host, node.port, node.is_fenced) for node in response.brokers] == [
        (1, "localhost", 9092, False)
    ]
    assert response.cluster_authorized_operations == (8096 if version == 1 else -(2**31))


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (2, ErrorCode.MISMATCHED_ENDPOINT_TYPE),
        (0, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE),
        (9, ErrorCode.UNSUPPORTED_ENDPOINT_TYPE),
    ],
)
def test_who_asks_for_controllers(broker: HandlerContext, kind: int, code: ErrorCode) -> None:
    """Controllers are not to be had here, and other endpoints not anywhere."""
    request = DescribeClusterRequest(include_cluster_authorized_operations=False, endpoint_type=kind)
    response = broker.call(describe_cluster, request, 1)
    assert (response.error_code, response.brokers, response.controller_id) == (code, [], -1)
    assert response.error_message
