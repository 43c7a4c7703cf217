"""DescribeCluster (API 60): the brokers, the controller and the cluster's id (KIP-700)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, NullableString, String
from kpy.protocol.schema import Request, Response, Struct, field, since


class DescribeClusterRequest(Request, api=ApiKey.DESCRIBE_CLUSTER, versions="0-2", flexible="0+"):
    """Versions:

    - 1: endpoint_type, to ask for controllers instead of brokers (KIP-919)
    - 2: include_fenced_brokers (KIP-1073)
    """

    include_cluster_authorized_operations: Bool
    endpoint_type: Int8 = since(1, default=1)  # 1 brokers, 2 controllers
    include_fenced_brokers: Bool = since(2)


class DescribeClusterBroker(Struct):
    """A broker at the address it advertises on the listener that was asked."""

    broker_id: Int32
    host: String
    port: Int32
    rack: NullableString = field(default=None)
    is_fenced: Bool = since(2)


class DescribeClusterResponse(Response, api=ApiKey.DESCRIBE_CLUSTER, versions="0-2", flexible="0+"):
    """Versions:

    - 1: endpoint_type; MISMATCHED_ENDPOINT_TYPE, UNSUPPORTED_ENDPOINT_TYPE (KIP-919)
    - 2: is_fenced (KIP-1073)
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(default=None)
    endpoint_type: Int8 = since(1, default=1)
    cluster_id: String
    controller_id: Int32 = field(default=-1)
    brokers: Array[DescribeClusterBroker]
    cluster_authorized_operations: Int32 = field(default=-2147483648)  # bits by ACL operation; default: not asked
