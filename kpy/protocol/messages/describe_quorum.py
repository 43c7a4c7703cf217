"""DescribeQuorum (API 55): the KRaft quorum as its leader sees it (KIP-595)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, Int64, NullableString, String, UInt16, Uuid
from kpy.protocol.schema import Request, Response, Struct, since


class DescribeQuorumRequestPartition(Struct, named="PartitionData"):
    """A partition; of `__cluster_metadata` there is one."""

    partition_index: Int32


class DescribeQuorumRequestTopic(Struct, named="TopicData"):
    """A topic and its partitions."""

    topic_name: String
    partitions: Array[DescribeQuorumRequestPartition]


class DescribeQuorumRequest(Request, api=ApiKey.DESCRIBE_QUORUM, versions="0-2", flexible="0+"):
    """Versions:

    - 1: as 0 (KIP-836 changed the response)
    - 2: as 0 (KIP-853 changed the response)
    """

    topics: Array[DescribeQuorumRequestTopic]


class ReplicaState(Struct):
    """How far a replica is; the two timestamps are the leader's, in ms."""

    replica_id: Int32
    replica_directory_id: Uuid = since(2)
    log_end_offset: Int64  # -1: unknown
    last_fetch_timestamp: Int64 = since(1, default=-1, ignorable=True)  # -1 for the leader itself
    last_caught_up_timestamp: Int64 = since(1, default=-1, ignorable=True)


class DescribeQuorumResponsePartition(Struct, named="PartitionData"):
    """The quorum of one partition; leader -1 when there is none."""

    partition_index: Int32
    error_code: Int16
    error_message: NullableString = since(2, ignorable=True)
    leader_id: Int32
    leader_epoch: Int32
    high_watermark: Int64
    current_voters: Array[ReplicaState]
    observers: Array[ReplicaState]


class DescribeQuorumResponseTopic(Struct, named="TopicData"):
    """A topic and its partitions."""

    topic_name: String
    partitions: Array[DescribeQuorumResponsePartition]


class Listener(Struct):
    """Where a controller is reached."""

    name: String
    host: String
    port: UInt16


class Node(Struct):
    """A member of the quorum."""

    node_id: Int32
    listeners: Array[Listener]


class DescribeQuorumResponse(Response, api=ApiKey.DESCRIBE_QUORUM, versions="0-2", flexible="0+"):
    """There is no throttle time. Versions:

    - 1: the two timestamps of each replica (KIP-836)
    - 2: error messages, the replicas' directories and the nodes (KIP-853)
    """

    error_code: Int16
    error_message: NullableString = since(2, ignorable=True)
    topics: Array[DescribeQuorumResponseTopic]
    nodes: Array[Node] = since(2)
