"""ConsumerGroupHeartbeat (API 68): the one request by which a consumer is in a group of KIP-848.

It joins, stays, says what it owns and leaves. What has not changed since the last one is null or -1.
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, NullableArray, NullableString, NullableStruct, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since


class TopicPartitions(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    partitions: Array[Int32]


class ConsumerGroupHeartbeatRequest(Request, api=ApiKey.CONSUMER_GROUP_HEARTBEAT, versions="0-1", flexible="0+"):
    """Versions:

    - 1: subscribed_topic_regex (KIP-848); the member makes up its own id (KIP-1082)
    """

    group_id: String
    member_id: String
    member_epoch: Int32  # 0: joins, -1: leaves, -2: leaves for a while as a static member
    instance_id: NullableString = field(default=None)
    rack_id: NullableString = field(default=None)
    rebalance_timeout_ms: Int32 = field(default=-1)
    subscribed_topic_names: NullableArray[String] = field(default=None)
    subscribed_topic_regex: NullableString = since(1, default=None)
    server_assignor: NullableString = field(default=None)
    topic_partitions: NullableArray[TopicPartitions] = field(default=None)


class Assignment(Struct):
    """What the member may read now."""

    topic_partitions: Array[TopicPartitions]


class ConsumerGroupHeartbeatResponse(Response, api=ApiKey.CONSUMER_GROUP_HEARTBEAT, versions="0-1", flexible="0+"):
    """Versions:

    - 1: as 0; INVALID_REGULAR_EXPRESSION
    """

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(default=None)
    member_id: NullableString = field(default=None)
    member_epoch: Int32
    heartbeat_interval_ms: Int32
    assignment: NullableStruct[Assignment] = field(default=None)  # null: as before
