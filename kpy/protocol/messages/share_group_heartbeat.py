"""ShareGroupHeartbeat (API 76): a consumer is in a share group by it: it joins, stays and leaves (KIP-932).

What has not changed since the last one is null.
"""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Int16, Int32, NullableArray, NullableString, NullableStruct, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field


class ShareGroupHeartbeatRequest(Request, api=ApiKey.SHARE_GROUP_HEARTBEAT, versions="1", flexible="0+"):
    """There is one version; 0 was for early access and left Kafka with 4.1."""

    group_id: String
    member_id: String
    member_epoch: Int32  # 0: joins, -1: leaves
    rack_id: NullableString = field(default=None)
    subscribed_topic_names: NullableArray[String] = field(default=None)


class TopicPartitions(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    partitions: Array[Int32]


class Assignment(Struct):
    """What the member may read, which others may read too."""

    topic_partitions: Array[TopicPartitions]


class ShareGroupHeartbeatResponse(Response, api=ApiKey.SHARE_GROUP_HEARTBEAT, versions="1", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    error_message: NullableString = field(default=None)
    member_id: NullableString = field(default=None)
    member_epoch: Int32
    heartbeat_interval_ms: Int32
    assignment: NullableStruct[Assignment] = field(default=None)  # null: as before
