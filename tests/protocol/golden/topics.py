"""Golden bytes of the APIs that make, grow, describe and remove topics."""

from kpy.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)
from kpy.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)
from kpy.protocol.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)
from kpy.protocol.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
    TopicRequest,
)
from kpy.protocol.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
    TopicPartitions,
)
from kpy.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    ListPartitionReassignmentsTopics,
    OngoingPartitionReassignment,
    OngoingTopicReassignment,
)
from kpy.protocol.metadata_records import ConfigRecord, PartitionChangeRecord, PartitionRecord, TopicRecord
from tests.protocol.golden.notation import TOPIC_ID, Golden

GOLDEN = [
    Golden(
        CreateTopicsRequest(
            topics=[
                CreatableTopic(
                    name="t",
                    num_partitions=-1,
                    replication_factor=-1,
                    assignments=[CreatableReplicaAssignment(partition_index=0, broker_ids=[1])],
                    configs=[CreatableTopicConfig(name="k", value=None)],
                )
            ],
            timeout_ms=30_000,
            validate_only=True,
        ),
        4,
        """
        00 00 00 01     | topics: 1
        00 01 74        |   name: "t"
        ff ff ff ff     |   num_partitions: -1
        ff ff           |   replication_factor: -1
        00 00 00 01     |   assignments: 1
        00 00 00 00     |     partition_index
        00 00 00 01     |     broker_ids: 1
        00 00 00 01     |       1
        00 00 00 01     |   configs: 1
        00 01 6b        |     name: "k"
        ff ff           |     value: null
        00 00 75 30     | timeout_ms
        01              | validate_only
        """,
    ),
    Golden(
        CreateTopicsResponse(
            topics=[
                CreatableTopicResult(
                    name="t",
                    topic_id=TOPIC_ID,
                    error_code=0,
                    error_message=None,
                    topic_config_error_code=29,
                    num_partitions=4,
                    replication_factor=1,
                    configs=[
                        CreatableTopicConfigs(name="k", value="v", read_only=False, config_source=5, is_sensitive=False)
                    ],
                )
            ]
        ),
        7,
        """
        00 00 00 00                                     | throttle_time_ms
        02                                              | topics: 1
        02 74                                           |   name: "t"
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        00 00                                           |   error_code
        00                                              |   error_message: null
        00 00 00 04                                     |   num_partitions
        00 01                                           |   replication_factor
        02                                              |   configs: 1
        02 6b                                           |     name: "k"
        02 76                                           |     value: "v"
        00                                              |     read_only
        05                                              |     config_source: default
        00                                              |     is_sensitive
        00                                              |     no tagged fields
        01                                              |   one tagged field:
        00 02 00 1d                                     |     tag 0, 2 bytes: topic_config_error_code
        00                                              | no tagged fields
        """,
    ),
    Golden(
        DeleteTopicsRequest(topic_names=["t"], timeout_ms=30_000),
        1,
        """
        00 00 00 01     | topic_names: 1
        00 01 74        |   "t"
        00 00 75 30     | timeout_ms
        """,
    ),
    Golden(
        DeleteTopicsRequest(topics=[DeleteTopicState(name=None, topic_id=TOPIC_ID)], timeout_ms=30_000),
        6,
        """
        02                                              | topics: 1
        00                                              |   name: null
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        00                                              |   no tagged fields
        00 00 75 30                                     | timeout_ms
        00                                              | no tagged fields
        """,
    ),
    Golden(
        DeleteTopicsResponse(responses=[DeletableTopicResult(name="t", error_code=3, error_message="no")]),
        5,
        """
        00 00 00 00     | throttle_time_ms
        02              | responses: 1
        02 74           |   name: "t"
        00 03           |   error_code: UNKNOWN_TOPIC_OR_PARTITION
        03 6e 6f        |   error_message: "no"
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        CreatePartitionsRequest(
            topics=[
                CreatePartitionsTopic(name="t", count=2, assignments=[CreatePartitionsAssignment(broker_ids=[1])]),
                CreatePartitionsTopic(name="u", count=3, assignments=None),
            ],
            timeout_ms=30_000,
            validate_only=False,
        ),
        3,
        """
        03              | topics: 2
        02 74           |   name: "t"
        00 00 00 02     |   count
        02              |   assignments: 1
        02              |     broker_ids: 1
        00 00 00 01     |       1
        00              |     no tagged fields
        00              |   no tagged fields
        02 75           |   name: "u"
        00 00 00 03     |   count
        00              |   assignments: null
        00              |   no tagged fields
        00 00 75 30     | timeout_ms
        00              | validate_only
        00              | no tagged fields
        """,
    ),
    Golden(
        CreatePartitionsResponse(results=[CreatePartitionsTopicResult(name="t", error_code=37, error_message="no")]),
        0,
        """
        00 00 00 00     | throttle_time_ms
        00 00 00 01     | results: 1
        00 01 74        |   name: "t"
        00 25           |   error_code: INVALID_PARTITIONS
        00 02 6e 6f     |   error_message: "no"
        """,
    ),
    Golden(
        DescribeTopicPartitionsRequest(
            topics=[TopicRequest(name="t")],
            response_partition_limit=1,
            cursor=Cursor(topic_name="t", partition_index=1),
        ),
        0,
        """
        02              | topics: 1
        02 74           |   name: "t"
        00              |   no tagged fields
        00 00 00 01     | response_partition_limit
        01              | cursor: there
        02 74           |   topic_name: "t"
        00 00 00 01     |   partition_index
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeTopicPartitionsResponse(
            topics=[
                DescribeTopicPartitionsResponseTopic(
                    error_code=0,
                    name="t",
                    topic_id=TOPIC_ID,
                    is_internal=False,
                    partitions=[
                        DescribeTopicPartitionsResponsePartition(
                            error_code=0,
                            partition_index=1,
                            leader_id=1,
                            leader_epoch=9,
                            replica_nodes=[1],
                            isr_nodes=[1],
                            eligible_leader_replicas=[],
                        )
                    ],
                )
            ]
        ),
        0,
        """
        00 00 00 00                                     | throttle_time_ms
        02                                              | topics: 1
        00 00                                           |   error_code
        02 74                                           |   name: "t"
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        00                                              |   is_internal
        02                                              |   partitions: 1
        00 00                                           |     error_code
        00 00 00 01                                     |     partition_index
        00 00 00 01                                     |     leader_id
        00 00 00 09                                     |     leader_epoch
        02 00 00 00 01                                  |     replica_nodes: [1]
        02 00 00 00 01                                  |     isr_nodes: [1]
        01                                              |     eligible_leader_replicas: []
        00                                              |     last_known_elr: null
        01                                              |     offline_replicas: []
        00                                              |     no tagged fields
        80 00 00 00                                     |   topic_authorized_operations: not asked
        00                                              |   no tagged fields
        ff                                              | next_cursor: null
        00                                              | no tagged fields
        """,
    ),
    Golden(
        ElectLeadersRequest(
            election_type=1, topic_partitions=[TopicPartitions(topic="t", partitions=[1])], timeout_ms=30_000
        ),
        2,
        """
        01              | election_type: unclean
        02              | topic_partitions: 1
        02 74           |   topic: "t"
        02 00 00 00 01  |   partitions: [1]
        00              |   no tagged fields
        00 00 75 30     | timeout_ms
        00              | no tagged fields
        """,
    ),
    Golden(
        ElectLeadersResponse(
            error_code=0,
            replica_election_results=[
                ReplicaElectionResult(
                    topic="t", partition_result=[PartitionResult(partition_id=1, error_code=84, error_message=None)]
                )
            ],
        ),
        1,
        """
        00 00 00 00     | throttle_time_ms
        00 00           | error_code
        00 00 00 01     | replica_election_results: 1
        00 01 74        |   topic: "t"
        00 00 00 01     |   partition_result: 1
        00 00 00 01     |     partition_id
        00 54           |     error_code: ELECTION_NOT_NEEDED
        ff ff           |     error_message: null
        """,
    ),
    Golden(
        ListPartitionReassignmentsRequest(
            timeout_ms=30_000, topics=[ListPartitionReassignmentsTopics(name="t", partition_indexes=[1])]
        ),
        0,
        """
        00 00 75 30     | timeout_ms
        02              | topics: 1
        02 74           |   name: "t"
        02 00 00 00 01  |   partition_indexes: [1]
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        ListPartitionReassignmentsResponse(
            error_code=0,
            error_message=None,
            topics=[
                OngoingTopicReassignment(
                    name="t",
                    partitions=[
                        OngoingPartitionReassignment(
                            partition_index=1, replicas=[1, 2], adding_replicas=[2], removing_replicas=[]
                        )
                    ],
                )
            ],
        ),
        0,
        """
        00 00 00 00                     | throttle_time_ms
        00 00                           | error_code
        00                              | error_message: null
        02                              | topics: 1
        02 74                           |   name: "t"
        02                              |   partitions: 1
        00 00 00 01                     |     partition_index
        03 00 00 00 01 00 00 00 02      |     replicas: [1, 2]
        02 00 00 00 02                  |     adding_replicas: [2]
        01                              |     removing_replicas: []
        00                              |     no tagged fields
        00                              |   no tagged fields
        00                              | no tagged fields
        """,
    ),
    Golden(
        TopicRecord(name="t", topic_id=TOPIC_ID),
        0,
        """
        02 74                                           | name: "t"
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff | topic_id
        00                                              | no tagged fields
        """,
    ),
    Golden(
        PartitionRecord(
            partition_id=1,
            topic_id=TOPIC_ID,
            replicas=[1],
            isr=[1],
            removing_replicas=[],
            adding_replicas=[],
            leader=1,
            leader_epoch=0,
            partition_epoch=0,
            directories=[TOPIC_ID],
            eligible_leader_replicas=[],
        ),
        2,
        """
        00 00 00 01                                     | partition_id
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff | topic_id
        02 00 00 00 01                                  | replicas: [1]
        02 00 00 00 01                                  | isr: [1]
        01                                              | removing_replicas: []
        01                                              | adding_replicas: []
        00 00 00 01                                     | leader
        00 00 00 00                                     | leader_epoch
        00 00 00 00                                     | partition_epoch
        02                                              | directories: 1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   any id
        01                                              | one tagged field, since [] is not null:
        01 01 01                                        |   tag 1, 1 byte: eligible_leader_replicas: []
        """,
    ),
    Golden(
        PartitionChangeRecord(partition_id=1, topic_id=TOPIC_ID, isr=[], leader=-1),
        0,
        """
        00 00 00 01                                     | partition_id
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff | topic_id
        02                                              | two tagged fields:
        00 01 01                                        |   tag 0, 1 byte: isr: []
        01 04 ff ff ff ff                               |   tag 1, 4 bytes: leader: -1
        """,
    ),
    Golden(
        ConfigRecord(resource_type=2, resource_name="t", name="k", value=None),
        0,
        """
        02              | resource_type: topic
        02 74           | resource_name: "t"
        02 6b           | name: "k"
        00              | value: null
        00              | no tagged fields
        """,
    ),
]
