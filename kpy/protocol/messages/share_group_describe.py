"""ShareGroupDescribe (API 77): share groups and their members (KIP-932)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int16, Int32, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field


class ShareGroupDescribeRequest(Request, api=ApiKey.SHARE_GROUP_DESCRIBE, versions="1", flexible="0+"):
    """There is one version; 0 was for early access and left Kafka with 4.1."""

    group_ids: Array[String]
    include_authorized_operations: Bool


class TopicPartitions(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    topic_name: String
    partitions: Array[Int32]


class Assignment(Struct):
    """What a member may read."""

    topic_partitions: Array[TopicPartitions]


class Member(Struct):
    """A member of a share group."""

    member_id: String
    rack_id: NullableString = field(default=None)
    member_epoch: Int32
    client_id: String
    client_host: String
    subscribed_topic_names: Array[String]
    assignment: Assignment


class DescribedGroup(Struct):
    """A group. The group epoch counts its changes, the assignment epoch is that of the assignments."""

    error_code: Int16
    error_message: NullableString = field(default=None)
    group_id: String
    group_state: String
    group_epoch: Int32
    assignment_epoch: Int32
    assignor_name: String
    members: Array[Member]
    authorized_operations: Int32 = field(default=-2147483648)  # bits by ACL operation; default: not asked


class ShareGroupDescribeResponse(Response, api=ApiKey.SHARE_GROUP_DESCRIBE, versions="1", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    groups: Array[DescribedGroup]
