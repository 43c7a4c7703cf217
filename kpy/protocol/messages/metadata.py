"""Metadata (API 3): brokers, topics and who leads their partitions."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, NullableArray, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, between, field, since


class MetadataRequestTopic(Struct):
    """A topic, by name, or from version 12 by id with a null name."""

    topic_id: Uuid = since(10, ignorable=True)
    name: NullableString = field(nullable="10+")


class MetadataRequest(Request, api=ApiKey.METADATA, versions="0-13", flexible="9+"):
    """Versions:

    - 1: null topics mean all and none means none; in version 0, none means all (KIP-4)
    - 2, 3: as 1
    - 4: allow_auto_topic_creation (KAFKA-5291)
    - 5, 6, 7: as 4
    - 8: include_cluster_authorized_operations, include_topic_authorized_operations (KIP-430)
    - 9: flexible (KIP-482)
    - 10: topic_id, nullable name, but brokers do not act on them yet (KIP-516)
    - 11: the cluster's operations have moved to DescribeCluster (KIP-700)
    - 12: topics by id work (KIP-516)
    - 13: as 12 (KIP-1102 changed the response)
    """

    topics: NullableArray[MetadataRequestTopic] = field(nullable="1+")
    allow_auto_topic_creation: Bool = since(4, default=True)
    include_cluster_authorized_operations: Bool = between(8, 10)
    include_topic_authorized_operations: Bool = since(8)


class MetadataResponseBroker(Struct):
    """A broker at the address it advertises on the listener that was asked."""

    node_id: Int32
    host: String
    port: Int32
    rack: NullableString = since(1, default=None, ignorable=True)


class MetadataResponsePartition(Struct):
    """A partition; leader -1 when there is none."""

    error_code: Int16
    partition_index: Int32
    leader_id: Int32
    leader_epoch: Int32 = since(7, default=-1, ignorable=True)
    replica_nodes: Array[Int32]
    isr_nodes: Array[Int32]
    offline_replicas: Array[Int32] = since(5, ignorable=True)


class MetadataResponseTopic(Struct):
    """A topic; name null only for an unknown id, the id zero only for an unknown name."""

    error_code: Int16
    name: NullableString = field(nullable="12+")
    topic_id: Uuid = since(10, ignorable=True)
    is_internal: Bool = since(1, default=False, ignorable=True)
    partitions: Array[MetadataResponsePartition]
    topic_authorized_operations: Int32 = since(8, default=-2147483648)  # bits by ACL operation; default: not asked


class MetadataResponse(Response, api=ApiKey.METADATA, versions="0-13", flexible="9+"):
    """Versions:

    - 1: rack, controller_id, is_internal (KIP-4)
    - 2: cluster_id (KIP-78)
    - 3: throttle_time_ms (KIP-124)
    - 4: as 3
    - 5: offline_replicas (KIP-112)
    - 6: as 5; sent before the broker throttles (KIP-219)
    - 7: leader_epoch (KIP-320)
    - 8: the two fields of authorized operations (KIP-430)
    - 9: flexible (KIP-482)
    - 10: topic_id (KIP-516)
    - 11: without cluster_authorized_operations (KIP-700)
    - 12: the name may be null (KIP-516)
    - 13: error_code at the top, REBOOTSTRAP_REQUIRED (KIP-1102)
    """

    throttle_time_ms: Int32 = since(3, ignorable=True)
    brokers: Array[MetadataResponseBroker]
    cluster_id: NullableString = since(2, default=None, ignorable=True)
    controller_id: Int32 = since(1, default=-1, ignorable=True)
    topics: Array[MetadataResponseTopic]
    cluster_authorized_operations: Int32 = between(8, 10, default=-2147483648)
    error_code: Int16 = since(13, ignorable=True)
