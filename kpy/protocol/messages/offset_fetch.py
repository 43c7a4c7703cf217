"""OffsetFetch (API 9): the committed offsets of one group, or from version 8 of several."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, Int64, NullableArray, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, between, field, since, until


class OffsetFetchRequestTopic(Struct):
    """Partitions of interest, until version 7."""

    name: String
    partition_indexes: Array[Int32]


class OffsetFetchRequestTopics(Struct):
    """Partitions of interest within a group, from version 8; by id from version 10."""

    name: String = until(9, ignorable=True)
    topic_id: Uuid = since(10, ignorable=True)
    partition_indexes: Array[Int32]


class OffsetFetchRequestGroup(Struct):
    """One group, and the membership that a member of the consumer protocol proves."""

    group_id: String
    member_id: NullableString = since(9, default=None, ignorable=True)
    member_epoch: Int32 = since(9, default=-1, ignorable=True)
    topics: NullableArray[OffsetFetchRequestTopics]  # null: every topic the group has committed


class OffsetFetchRequest(Request, api=ApiKey.OFFSET_FETCH, versions="1-10", flexible="6+"):
    """Versions (0 asked ZooKeeper and left Kafka with 4.0, KIP-896):

    - 2: null topics ask for all that the group has committed (KIP-88)
    - 3, 4, 5: as 2
    - 6: flexible (KIP-482)
    - 7: require_stable, to wait out pending transactional commits (KIP-447)
    - 8: several groups instead of group_id and topics (KIP-709)
    - 9: member_id and member_epoch (KIP-848)
    - 10: topic ids instead of names (KIP-848)
    """

    group_id: String = until(7)
    topics: NullableArray[OffsetFetchRequestTopic] = until(7, nullable="2-7")
    groups: Array[OffsetFetchRequestGroup] = since(8)
    require_stable: Bool = since(7, default=False)


class OffsetFetchResponsePartition(Struct):
    """What is committed for a partition, until version 7; offset -1 if nothing is."""

    partition_index: Int32
    committed_offset: Int64
    committed_leader_epoch: Int32 = since(5, default=-1, ignorable=True)
    metadata: NullableString
    error_code: Int16


class OffsetFetchResponseTopic(Struct):
    """A topic, until version 7."""

    name: String
    partitions: Array[OffsetFetchResponsePartition]


class OffsetFetchResponsePartitions(Struct):
    """What is committed for a partition, from version 8; offset -1 if nothing is."""

    partition_index: Int32
    committed_offset: Int64
    committed_leader_epoch: Int32 = field(default=-1, ignorable=True)
    metadata: NullableString
    error_code: Int16


class OffsetFetchResponseTopics(Struct):
    """A topic of a group, from version 8, named as in the request."""

    name: String = until(9, ignorable=True)
    topic_id: Uuid = since(10, ignorable=True)
    partitions: Array[OffsetFetchResponsePartitions]


class OffsetFetchResponseGroup(Struct):
    """The answer for one group."""

    group_id: String
    topics: Array[OffsetFetchResponseTopics]
    error_code: Int16 = field(default=0)


class OffsetFetchResponse(Response, api=ApiKey.OFFSET_FETCH, versions="1-10", flexible="6+"):
    """Versions:

    - 2: error_code for the whole group (KIP-88)
    - 3: throttle_time_ms (KIP-124)
    - 4: as 3; sent before the broker throttles (KIP-219)
    - 5: committed_leader_epoch (KIP-320)
    - 6: flexible (KIP-482)
    - 7: as 6; UNSTABLE_OFFSET_COMMIT (KIP-447)
    - 8: one entry of groups for each group (KIP-709)
    - 9: as 8; UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH (KIP-848)
    - 10: topic ids instead of names; UNKNOWN_TOPIC_ID (KIP-848)
    """

    throttle_time_ms: Int32 = since(3, ignorable=True)
    topics: Array[OffsetFetchResponseTopic] = until(7)
    error_code: Int16 = between(2, 7, default=0, ignorable=True)
    groups: Array[OffsetFetchResponseGroup] = since(8)
