"""Golden bytes of the APIs that look at groups and remove them, and of what groups leave in logs and blobs."""

from kpy.protocol.embedded import ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition
from kpy.protocol.group_records import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
    OffsetCommitKey,
    OffsetCommitValue,
)
from kpy.protocol.messages.delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse
from kpy.protocol.messages.describe_groups import (
    DescribedGroup,
    DescribedGroupMember,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from kpy.protocol.messages.list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse
from kpy.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteRequestPartition,
    OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)
from tests.protocol.golden.notation import TOPIC_ID, Golden

GOLDEN = [
    Golden(
        OffsetDeleteRequest(
            group_id="g",
            topics=[OffsetDeleteRequestTopic(name="t", partitions=[OffsetDeleteRequestPartition(partition_index=1)])],
        ),
        0,
        """
        00 01 67        | group_id: "g"
        00 00 00 01     | topics: 1
        00 01 74        |   name: "t"
        00 00 00 01     |   partitions: 1
        00 00 00 01     |     partition_index
        """,
    ),
    Golden(
        OffsetDeleteResponse(
            error_code=0,
            throttle_time_ms=5,
            topics=[
                OffsetDeleteResponseTopic(
                    name="t", partitions=[OffsetDeleteResponsePartition(partition_index=1, error_code=86)]
                )
            ],
        ),
        0,
        """
        00 00           | error_code
        00 00 00 05     | throttle_time_ms
        00 00 00 01     | topics: 1
        00 01 74        |   name: "t"
        00 00 00 01     |   partitions: 1
        00 00 00 01     |     partition_index
        00 56           |     error_code: GROUP_SUBSCRIBED_TO_TOPIC
        """,
    ),
    Golden(
        DescribeGroupsRequest(groups=["g", ""], include_authorized_operations=True),
        5,
        """
        03              | groups: 2
        02 67           |   "g"
        01              |   ""
        01              | include_authorized_operations
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeGroupsResponse(
            groups=[
                DescribedGroup(
                    error_code=0,
                    group_id="g",
                    group_state="Stable",
                    protocol_type="consumer",
                    protocol_data="range",
                    members=[
                        DescribedGroupMember(
                            member_id="m",
                            group_instance_id="i",
                            client_id="c",
                            client_host="/::1",
                            member_metadata=b"\x01",
                            member_assignment=b"",
                        )
                    ],
                )
            ]
        ),
        4,
        """
        00 00 00 00                     | throttle_time_ms
        00 00 00 01                     | groups: 1
        00 00                           |   error_code
        00 01 67                        |   group_id: "g"
        00 06 53 74 61 62 6c 65         |   group_state: "Stable"
        00 08 63 6f 6e 73 75 6d 65 72   |   protocol_type: "consumer"
        00 05 72 61 6e 67 65            |   protocol_data: "range"
        00 00 00 01                     |   members: 1
        00 01 6d                        |     member_id: "m"
        00 01 69                        |     group_instance_id: "i"
        00 01 63                        |     client_id: "c"
        00 04 2f 3a 3a 31               |     client_host: "/::1"
        00 00 00 01 01                  |     member_metadata: 1 byte
        00 00 00 00                     |     member_assignment: empty
        80 00 00 00                     |   authorized_operations: not asked
        """,
    ),
    Golden(
        DescribeGroupsResponse(
            groups=[
                DescribedGroup(
                    error_code=69,
                    error_message="no",
                    group_id="g",
                    group_state="Dead",
                    protocol_type="",
                    protocol_data="",
                    members=[],
                    authorized_operations=0x0D48,
                )
            ]
        ),
        6,
        """
        00 00 00 00     | throttle_time_ms
        02              | groups: 1
        00 45           |   error_code: GROUP_ID_NOT_FOUND
        03 6e 6f        |   error_message: "no"
        02 67           |   group_id: "g"
        05 44 65 61 64  |   group_state: "Dead"
        01              |   protocol_type: ""
        01              |   protocol_data: ""
        01              |   members: 0
        00 00 0d 48     |   authorized_operations: bits 3, 6, 8, 10, 11
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(ListGroupsRequest(), 2, ""),
    Golden(
        ListGroupsRequest(states_filter=["Empty"], types_filter=[]),
        5,
        """
        02                      | states_filter: 1
        06 45 6d 70 74 79       |   "Empty"
        01                      | types_filter: 0
        00                      | no tagged fields
        """,
    ),
    Golden(
        ListGroupsResponse(
            error_code=0,
            groups=[ListedGroup(group_id="g", protocol_type="consumer", group_state="Empty", group_type="classic")],
        ),
        5,
        """
        00 00 00 00                     | throttle_time_ms
        00 00                           | error_code
        02                              | groups: 1
        02 67                           |   group_id: "g"
        09 63 6f 6e 73 75 6d 65 72      |   protocol_type: "consumer"
        06 45 6d 70 74 79               |   group_state: "Empty"
        08 63 6c 61 73 73 69 63         |   group_type: "classic"
        00                              |   no tagged fields
        00                              | no tagged fields
        """,
    ),
    Golden(
        DeleteGroupsRequest(groups_names=["g"]),
        1,
        """
        00 00 00 01     | groups_names: 1
        00 01 67        |   "g"
        """,
    ),
    Golden(
        DeleteGroupsResponse(results=[DeletableGroupResult(group_id="g", error_code=68)]),
        2,
        """
        00 00 00 00     | throttle_time_ms
        02              | results: 1
        02 67           |   group_id: "g"
        00 44           |   error_code: NON_EMPTY_GROUP
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        OffsetCommitKey(group="g", topic="t", partition=1),
        0,
        """
        00 01 67        | group: "g"
        00 01 74        | topic: "t"
        00 00 00 01     | partition
        """,
    ),
    Golden(
        OffsetCommitValue(
            offset=258,
            leader_epoch=3,
            metadata="",
            commit_timestamp=1,
            topic_id=TOPIC_ID,
        ),
        4,
        """
        00 00 00 00 00 00 01 02                         | offset
        00 00 00 03                                     | leader_epoch
        01                                              | metadata: ""
        00 00 00 00 00 00 00 01                         | commit_timestamp
        01                                              | one tagged field:
        00 10                                           |   tag 0, 16 bytes
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        """,
    ),
    Golden(
        OffsetCommitValue(offset=258, metadata="", commit_timestamp=1, expire_timestamp=2),
        1,
        """
        00 00 00 00 00 00 01 02         | offset
        00 00                           | metadata: ""
        00 00 00 00 00 00 00 01         | commit_timestamp
        00 00 00 00 00 00 00 02         | expire_timestamp
        """,
    ),
    Golden(
        GroupMetadataKey(group="g"),
        0,
        """
        00 01 67        | group: "g"
        """,
    ),
    Golden(
        GroupMetadataValue(
            protocol_type="consumer",
            generation=7,
            protocol="range",
            leader="m",
            current_state_timestamp=1,
            members=[
                MemberMetadata(
                    member_id="m",
                    client_id="c",
                    client_host="/::1",
                    rebalance_timeout=300_000,
                    session_timeout=10_000,
                    subscription=b"\x01",
                    assignment=b"",
                )
            ],
        ),
        3,
        """
        00 08 63 6f 6e 73 75 6d 65 72   | protocol_type: "consumer"
        00 00 00 07                     | generation
        00 05 72 61 6e 67 65            | protocol: "range"
        00 01 6d                        | leader: "m"
        00 00 00 00 00 00 00 01         | current_state_timestamp
        00 00 00 01                     | members: 1
        00 01 6d                        |   member_id: "m"
        ff ff                           |   group_instance_id: null
        00 01 63                        |   client_id: "c"
        00 04 2f 3a 3a 31               |   client_host: "/::1"
        00 04 93 e0                     |   rebalance_timeout
        00 00 27 10                     |   session_timeout
        00 00 00 01 01                  |   subscription: 1 byte
        00 00 00 00                     |   assignment: empty
        """,
    ),
    Golden(
        ConsumerProtocolSubscription(
            topics=["t"],
            owned_partitions=[TopicPartition(topic="t", partitions=[0, 1])],
            generation_id=7,
            rack_id="r",
        ),
        3,
        """
        00 00 00 01     | topics: 1
        00 01 74        |   "t"
        ff ff ff ff     | user_data: null
        00 00 00 01     | owned_partitions: 1
        00 01 74        |   topic: "t"
        00 00 00 02     |   partitions: 2
        00 00 00 00     |     0
        00 00 00 01     |     1
        00 00 00 07     | generation_id
        00 01 72        | rack_id: "r"
        """,
    ),
    Golden(
        ConsumerProtocolAssignment(assigned_partitions=[TopicPartition(topic="t", partitions=[5])], user_data=b"u"),
        0,
        """
        00 00 00 01     | assigned_partitions: 1
        00 01 74        |   topic: "t"
        00 00 00 01     |   partitions: 1
        00 00 00 05     |     5
        00 00 00 01 75  | user_data: 1 byte
        """,
    ),
]
