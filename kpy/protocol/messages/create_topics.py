"""CreateTopics (API 19): make topics, with counts or with explicit replicas."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, NullableArray, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since, tagged


class CreatableReplicaAssignment(Struct):
    """Where the replicas of one partition shall be; the first is the preferred leader."""

    partition_index: Int32
    broker_ids: Array[Int32]


class CreatableTopicConfig(Struct):
    """A config override of the new topic."""

    name: String
    value: NullableString


class CreatableTopic(Struct):
    """A topic to make: either both numbers (-1 takes the broker's default) or assignments with both -1."""

    name: String
    num_partitions: Int32
    replication_factor: Int16
    assignments: Array[CreatableReplicaAssignment]
    configs: Array[CreatableTopicConfig]


class CreateTopicsRequest(Request, api=ApiKey.CREATE_TOPICS, versions="2-7", flexible="5+"):
    """Versions (0 and 1 left Kafka with 4.0, KIP-896):

    - 3: as 2
    - 4: as 2; the two numbers may be -1 for the broker's defaults (KIP-464)
    - 5: flexible (KIP-482)
    - 6: as 5; THROTTLING_QUOTA_EXCEEDED may be answered (KIP-599)
    - 7: as 6 (KIP-516 changed the response)
    """

    topics: Array[CreatableTopic]
    timeout_ms: Int32 = field(default=60000)
    validate_only: Bool = field(default=False)


class CreatableTopicConfigs(Struct):
    """A config of the topic that was made, whether set or a default."""

    name: String
    value: NullableString
    read_only: Bool
    config_source: Int8 = field(default=-1, ignorable=True)  # as in DescribeConfigs
    is_sensitive: Bool


class CreatableTopicResult(Struct):
    """What became of one topic; the numbers and configs are those it really has."""

    name: String
    topic_id: Uuid = since(7, ignorable=True)
    error_code: Int16
    error_message: NullableString = field(ignorable=True)
    topic_config_error_code: Int16 = tagged(0, since=5, ignorable=True)  # why configs are withheld
    num_partitions: Int32 = since(5, default=-1, ignorable=True)
    replication_factor: Int16 = since(5, default=-1, ignorable=True)
    configs: NullableArray[CreatableTopicConfigs] = since(5, ignorable=True)


class CreateTopicsResponse(Response, api=ApiKey.CREATE_TOPICS, versions="2-7", flexible="5+"):
    """Versions:

    - 3: as 2; sent before the broker throttles (KIP-219)
    - 4: as 2
    - 5: flexible (KIP-482); numbers and configs of the new topic (KIP-525)
    - 6: as 5 (KIP-599)
    - 7: topic_id (KIP-516)
    """

    throttle_time_ms: Int32 = field(default=0, ignorable=True)
    topics: Array[CreatableTopicResult]
