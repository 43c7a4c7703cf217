"""Golden bytes of the APIs that members of groups use."""

from kpy.protocol.messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.protocol.messages.join_group import (
    JoinGroupRequest,
    JoinGroupRequestProtocol,
    JoinGroupResponse,
    JoinGroupResponseMember,
)
from kpy.protocol.messages.leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kpy.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse
from tests.protocol.golden.notation import TOPIC_ID, Golden

GOLDEN = [
    Golden(
        FindCoordinatorRequest(key="tx", key_type=1),
        1,
        """
        00 02 74 78     | key: 2, "tx"
        01              | key_type: transactional id
        """,
    ),
    Golden(
        FindCoordinatorRequest(key_type=0, coordinator_keys=["g", "hh"]),
        4,
        """
        00              | key_type: group
        03              | coordinator_keys: 2
        02 67           | "g"
        03 68 68        | "hh"
        00              | no tagged fields
        """,
    ),
    Golden(
        FindCoordinatorResponse(error_code=0, node_id=1, host="h", port=9092),
        0,
        """
        00 00           | error_code
        00 00 00 01     | node_id
        00 01 68        | host: "h"
        00 00 23 84     | port
        """,
    ),
    Golden(
        FindCoordinatorResponse(
            coordinators=[Coordinator(key="g", node_id=-1, host="", port=-1, error_code=15, error_message=None)]
        ),
        6,
        """
        00 00 00 00     | throttle_time_ms
        02              | coordinators: 1
        02 67           |   key: "g"
        ff ff ff ff     |   node_id: -1
        01              |   host: ""
        ff ff ff ff     |   port: -1
        00 0f           |   error_code: COORDINATOR_NOT_AVAILABLE
        00              |   error_message: null
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        JoinGroupRequest(
            group_id="g",
            session_timeout_ms=10_000,
            rebalance_timeout_ms=300_000,
            member_id="",
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"\x00\x01")],
        ),
        3,
        """
        00 01 67                        | group_id: "g"
        00 00 27 10                     | session_timeout_ms
        00 04 93 e0                     | rebalance_timeout_ms
        00 00                           | member_id: ""
        00 08 63 6f 6e 73 75 6d 65 72   | protocol_type: "consumer"
        00 00 00 01                     | protocols: 1
        00 05 72 61 6e 67 65            |   name: "range"
        00 00 00 02 00 01               |   metadata: 2 bytes
        """,
    ),
    Golden(
        JoinGroupRequest(
            group_id="g",
            session_timeout_ms=10_000,
            rebalance_timeout_ms=300_000,
            member_id="m",
            group_instance_id="i",
            protocol_type="consumer",
            protocols=[],
        ),
        9,
        """
        02 67                           | group_id: "g"
        00 00 27 10                     | session_timeout_ms
        00 04 93 e0                     | rebalance_timeout_ms
        02 6d                           | member_id: "m"
        02 69                           | group_instance_id: "i"
        09 63 6f 6e 73 75 6d 65 72      | protocol_type: "consumer"
        01                              | protocols: 0
        00                              | reason: null
        00                              | no tagged fields
        """,
    ),
    Golden(
        JoinGroupResponse(
            error_code=0,
            generation_id=7,
            protocol_type="consumer",
            protocol_name="range",
            leader="m",
            skip_assignment=True,
            member_id="m",
            members=[JoinGroupResponseMember(member_id="m", group_instance_id=None, metadata=b"\xff")],
        ),
        9,
        """
        00 00 00 00                     | throttle_time_ms
        00 00                           | error_code
        00 00 00 07                     | generation_id
        09 63 6f 6e 73 75 6d 65 72      | protocol_type: "consumer"
        06 72 61 6e 67 65               | protocol_name: "range"
        02 6d                           | leader: "m"
        01                              | skip_assignment
        02 6d                           | member_id: "m"
        02                              | members: 1
        02 6d                           |   member_id: "m"
        00                              |   group_instance_id: null
        02 ff                           |   metadata: 1 byte
        00                              |   no tagged fields
        00                              | no tagged fields
        """,
    ),
    Golden(
        JoinGroupResponse(error_code=79, protocol_name="", leader="", member_id="m", members=[]),
        4,
        """
        00 00 00 00     | throttle_time_ms
        00 4f           | error_code: MEMBER_ID_REQUIRED
        ff ff ff ff     | generation_id: -1
        00 00           | protocol_name: "", since it may not be null before version 7
        00 00           | leader: ""
        00 01 6d        | member_id: "m"
        00 00 00 00     | members: 0
        """,
    ),
    Golden(
        SyncGroupRequest(
            group_id="g",
            generation_id=7,
            member_id="m",
            protocol_type="consumer",
            protocol_name="range",
            assignments=[SyncGroupRequestAssignment(member_id="m", assignment=b"\x01\x02")],
        ),
        5,
        """
        02 67                           | group_id: "g"
        00 00 00 07                     | generation_id
        02 6d                           | member_id: "m"
        00                              | group_instance_id: null
        09 63 6f 6e 73 75 6d 65 72      | protocol_type: "consumer"
        06 72 61 6e 67 65               | protocol_name: "range"
        02                              | assignments: 1
        02 6d                           |   member_id: "m"
        03 01 02                        |   assignment: 2 bytes
        00                              |   no tagged fields
        00                              | no tagged fields
        """,
    ),
    Golden(
        SyncGroupResponse(error_code=27, assignment=b""),
        1,
        """
        00 00 00 00     | throttle_time_ms
        00 1b           | error_code: REBALANCE_IN_PROGRESS
        00 00 00 00     | assignment: empty
        """,
    ),
    Golden(
        HeartbeatRequest(group_id="g", generation_id=7, member_id="m", group_instance_id="i"),
        3,
        """
        00 01 67        | group_id: "g"
        00 00 00 07     | generation_id
        00 01 6d        | member_id: "m"
        00 01 69        | group_instance_id: "i"
        """,
    ),
    Golden(
        HeartbeatResponse(throttle_time_ms=1, error_code=25),
        4,
        """
        00 00 00 01     | throttle_time_ms
        00 19           | error_code: UNKNOWN_MEMBER_ID
        00              | no tagged fields
        """,
    ),
    Golden(
        LeaveGroupRequest(group_id="g", member_id="m"),
        2,
        """
        00 01 67        | group_id: "g"
        00 01 6d        | member_id: "m"
        """,
    ),
    Golden(
        LeaveGroupRequest(group_id="g", members=[MemberIdentity(member_id="", group_instance_id="i", reason="why")]),
        5,
        """
        02 67           | group_id: "g"
        02              | members: 1
        01              |   member_id: ""
        02 69           |   group_instance_id: "i"
        04 77 68 79     |   reason: "why"
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        LeaveGroupResponse(
            error_code=0, members=[MemberResponse(member_id="m", group_instance_id=None, error_code=25)]
        ),
        3,
        """
        00 00 00 00     | throttle_time_ms
        00 00           | error_code
        00 00 00 01     | members: 1
        00 01 6d        |   member_id: "m"
        ff ff           |   group_instance_id: null
        00 19           |   error_code: UNKNOWN_MEMBER_ID
        """,
    ),
    Golden(
        OffsetCommitRequest(
            group_id="g",
            member_id="",
            topics=[
                OffsetCommitRequestTopic(
                    name="t",
                    partitions=[
                        OffsetCommitRequestPartition(partition_index=1, committed_offset=258, committed_metadata=None)
                    ],
                )
            ],
        ),
        2,
        """
        00 01 67                        | group_id: "g"
        ff ff ff ff                     | generation: -1
        00 00                           | member_id: ""
        ff ff ff ff ff ff ff ff         | retention_time_ms: -1
        00 00 00 01                     | topics: 1
        00 01 74                        |   name: "t"
        00 00 00 01                     |   partitions: 1
        00 00 00 01                     |     partition_index
        00 00 00 00 00 00 01 02         |     committed_offset
        ff ff                           |     committed_metadata: null
        """,
    ),
    Golden(
        OffsetCommitRequest(
            group_id="g",
            generation_id_or_member_epoch=7,
            member_id="m",
            topics=[
                OffsetCommitRequestTopic(
                    topic_id=TOPIC_ID,
                    partitions=[
                        OffsetCommitRequestPartition(
                            partition_index=1, committed_offset=258, committed_leader_epoch=3, committed_metadata=""
                        )
                    ],
                )
            ],
        ),
        10,
        """
        02 67                                           | group_id: "g"
        00 00 00 07                                     | member epoch
        02 6d                                           | member_id: "m"
        00                                              | group_instance_id: null
        02                                              | topics: 1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        02                                              |   partitions: 1
        00 00 00 01                                     |     partition_index
        00 00 00 00 00 00 01 02                         |     committed_offset
        00 00 00 03                                     |     committed_leader_epoch
        01                                              |     committed_metadata: ""
        00                                              |     no tagged fields
        00                                              |   no tagged fields
        00                                              | no tagged fields
        """,
    ),
    Golden(
        OffsetCommitResponse(
            topics=[
                OffsetCommitResponseTopic(
                    name="t", partitions=[OffsetCommitResponsePartition(partition_index=1, error_code=12)]
                )
            ]
        ),
        8,
        """
        00 00 00 00     | throttle_time_ms
        02              | topics: 1
        02 74           |   name: "t"
        02              |   partitions: 1
        00 00 00 01     |     partition_index
        00 0c           |     error_code: OFFSET_METADATA_TOO_LARGE
        00              |     no tagged fields
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        OffsetFetchRequest(group_id="g", topics=None),
        2,
        """
        00 01 67        | group_id: "g"
        ff ff ff ff     | topics: null
        """,
    ),
    Golden(
        OffsetFetchRequest(
            groups=[OffsetFetchRequestGroup(group_id="g", member_id="m", member_epoch=7, topics=None)],
            require_stable=True,
        ),
        9,
        """
        02              | groups: 1
        02 67           |   group_id: "g"
        02 6d           |   member_id: "m"
        00 00 00 07     |   member_epoch
        00              |   topics: null
        00              |   no tagged fields
        01              | require_stable
        00              | no tagged fields
        """,
    ),
    Golden(
        OffsetFetchResponse(
            topics=[
                OffsetFetchResponseTopic(
                    name="t",
                    partitions=[
                        OffsetFetchResponsePartition(
                            partition_index=1, committed_offset=-1, committed_leader_epoch=-1, metadata="", error_code=0
                        )
                    ],
                )
            ]
        ),
        5,
        """
        00 00 00 00                     | throttle_time_ms
        00 00 00 01                     | topics: 1
        00 01 74                        |   name: "t"
        00 00 00 01                     |   partitions: 1
        00 00 00 01                     |     partition_index
        ff ff ff ff ff ff ff ff         |     committed_offset: -1
        ff ff ff ff                     |     committed_leader_epoch: -1
        00 00                           |     metadata: ""
        00 00                           |     error_code
        00 00                           | error_code
        """,
    ),
    Golden(
        OffsetFetchResponse(
            groups=[
                OffsetFetchResponseGroup(
                    group_id="g",
                    topics=[
                        OffsetFetchResponseTopics(
                            topic_id=TOPIC_ID,
                            partitions=[
                                OffsetFetchResponsePartitions(
                                    partition_index=1,
                                    committed_offset=258,
                                    committed_leader_epoch=3,
                                    metadata=None,
                                    error_code=0,
                                )
                            ],
                        )
                    ],
                )
            ]
        ),
        10,
        """
        00 00 00 00                                     | throttle_time_ms
        02                                              | groups: 1
        02 67                                           |   group_id: "g"
        02                                              |   topics: 1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |     topic_id
        02                                              |     partitions: 1
        00 00 00 01                                     |       partition_index
        00 00 00 00 00 00 01 02                         |       committed_offset
        00 00 00 03                                     |       committed_leader_epoch
        00                                              |       metadata: null
        00 00                                           |       error_code
        00                                              |       no tagged fields
        00                                              |     no tagged fields
        00 00                                           |   error_code
        00                                              |   no tagged fields
        00                                              | no tagged fields
        """,
    ),
]
