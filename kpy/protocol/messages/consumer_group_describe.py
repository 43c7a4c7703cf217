"""ConsumerGroupDescribe (API 69): groups of KIP-848 and their members."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, NullableString, String, Uuid
from kpy.protocol.schema import Request, Response, Struct, field, since


class ConsumerGroupDescribeRequest(Request, api=ApiKey.CONSUMER_GROUP_DESCRIBE, versions="0-1", flexible="0+"):
    """Versions:

    - 1: as 0 (KIP-1099 changed the response)
    """

    group_ids: Array[String]
    include_authorized_operations: Bool


class TopicPartitions(Struct):
    """Some partitions of one topic."""

    topic_id: Uuid
    topic_name: String
    partitions: Array[Int32]


class Assignment(Struct):
    """What a member has or shall have."""

    topic_partitions: Array[TopicPartitions]


class Member(Struct):
    """A member; its assignment follows the target as others give partitions up."""

    member_id: String
    instance_id: NullableString = field(default=None)
    rack_id: NullableString = field(default=None)
    member_epoch: Int32
    client_id: String
    client_host: String
    subscribed_topic_names: Array[String]
    subscribed_topic_regex: NullableString = field(default=None)
    assignment: Assignment
    target_assignment: Assignment
    member_type: Int8 = since(1, default=-1, ignorable=True)  # -1: unknown, 0: of the classic protocol, 1: of this one


class DescribedGroup(Struct):
    """A group. The group epoch counts its changes, the assignment epoch is that of the target assignments."""

    error_code: Int16
    error_message: NullableString = field(default=None)
    group_id: String
    group_state: String
    group_epoch: Int32
    assignment_epoch: Int32
    assignor_name: String
    members: Array[Member]
    authorized_operations: Int32 = field(default=-2147483648)  # bits by ACL operation; default: not asked


class ConsumerGroupDescribeResponse(Response, api=ApiKey.CONSUMER_GROUP_DESCRIBE, versions="0-1", flexible="0+"):
    """Versions:

    - 1: member_type of each member (KIP-1099)
    """

    throttle_time_ms: Int32 = field(default=0)
    groups: Array[DescribedGroup]
