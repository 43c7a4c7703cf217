"""Golden bytes of produce and fetch."""

from kpy.protocol.messages.fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    FetchTopic,
    ForgottenTopic,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
    ReplicaState,
)
from kpy.protocol.messages.produce import (
    BatchIndexAndErrorMessage,
    PartitionProduceData,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
    TopicProduceResponse,
)
from kpy.protocol.messages.produce import LeaderIdAndEpoch as ProduceLeader
from kpy.protocol.messages.produce import NodeEndpoint as ProduceNode
from tests.protocol.golden.notation import TOPIC_ID, Golden

GOLDEN = [
    Golden(
        ProduceRequest(
            acks=-1,
            timeout_ms=30_000,
            topic_data=[
                TopicProduceData(name="t", partition_data=[PartitionProduceData(index=1, records=b"\x01\x02\x03")])
            ],
        ),
        3,
        """
        ff ff                   | transactional_id: null
        ff ff                   | acks: -1
        00 00 75 30             | timeout_ms
        00 00 00 01             | topic_data: 1
        00 01 74                |   name: "t"
        00 00 00 01             |   partition_data: 1
        00 00 00 01             |     index
        00 00 00 03 01 02 03    |     records: 3 bytes
        """,
    ),
    Golden(
        ProduceRequest(
            transactional_id="tx",
            acks=1,
            timeout_ms=30_000,
            topic_data=[
                TopicProduceData(topic_id=TOPIC_ID, partition_data=[PartitionProduceData(index=0, records=None)])
            ],
        ),
        13,
        """
        03 74 78                                        | transactional_id: "tx"
        00 01                                           | acks
        00 00 75 30                                     | timeout_ms
        02                                              | topic_data: 1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        02                                              |   partition_data: 1
        00 00 00 00                                     |     index
        00                                              |     records: null
        00                                              |     no tagged fields
        00                                              |   no tagged fields
        00                                              | no tagged fields
        """,
    ),
    Golden(
        ProduceResponse(
            responses=[
                TopicProduceResponse(
                    name="t",
                    partition_responses=[
                        PartitionProduceResponse(
                            index=1,
                            error_code=87,
                            base_offset=-1,
                            record_errors=[BatchIndexAndErrorMessage(batch_index=2, batch_index_error_message="bad")],
                            error_message=None,
                        )
                    ],
                )
            ],
            throttle_time_ms=5,
        ),
        8,
        """
        00 00 00 01                     | responses: 1
        00 01 74                        |   name: "t"
        00 00 00 01                     |   partition_responses: 1
        00 00 00 01                     |     index
        00 57                           |     error_code: INVALID_RECORD
        ff ff ff ff ff ff ff ff         |     base_offset: -1
        ff ff ff ff ff ff ff ff         |     log_append_time_ms: -1
        ff ff ff ff ff ff ff ff         |     log_start_offset: -1
        00 00 00 01                     |     record_errors: 1
        00 00 00 02                     |       batch_index
        00 03 62 61 64                  |       batch_index_error_message: "bad"
        ff ff                           |     error_message: null
        00 00 00 05                     | throttle_time_ms
        """,
    ),
    Golden(
        ProduceResponse(
            responses=[
                TopicProduceResponse(
                    name="t",
                    partition_responses=[
                        PartitionProduceResponse(
                            index=1,
                            error_code=6,
                            base_offset=-1,
                            current_leader=ProduceLeader(leader_id=2, leader_epoch=9),
                        )
                    ],
                )
            ],
            node_endpoints=[ProduceNode(node_id=2, host="h", port=9092)],
        ),
        10,
        """
        02                              | responses: 1
        02 74                           |   name: "t"
        02                              |   partition_responses: 1
        00 00 00 01                     |     index
        00 06                           |     error_code: NOT_LEADER_OR_FOLLOWER
        ff ff ff ff ff ff ff ff         |     base_offset: -1
        ff ff ff ff ff ff ff ff         |     log_append_time_ms: -1
        ff ff ff ff ff ff ff ff         |     log_start_offset: -1
        01                              |     record_errors: 0
        00                              |     error_message: null
        01                              |     one tagged field:
        00 09                           |       tag 0, 9 bytes: current_leader
        00 00 00 02                     |         leader_id
        00 00 00 09                     |         leader_epoch
        00                              |         no tagged fields
        00                              |   no tagged fields
        00 00 00 00                     | throttle_time_ms
        01                              | one tagged field:
        00 0d                           |   tag 0, 13 bytes: node_endpoints
        02                              |     1
        00 00 00 02                     |       node_id
        02 68                           |       host: "h"
        00 00 23 84                     |       port
        00                              |       rack: null
        00                              |       no tagged fields
        """,
    ),
    Golden(
        FetchRequest(
            max_wait_ms=500,
            min_bytes=1,
            max_bytes=1024,
            topics=[
                FetchTopic(
                    topic="t",
                    partitions=[
                        FetchPartition(
                            partition=1, current_leader_epoch=3, fetch_offset=258, partition_max_bytes=1_048_576
                        )
                    ],
                )
            ],
            rack_id="r",
        ),
        11,
        """
        ff ff ff ff                     | replica_id: -1
        00 00 01 f4                     | max_wait_ms
        00 00 00 01                     | min_bytes
        00 00 04 00                     | max_bytes
        00                              | isolation_level
        00 00 00 00                     | session_id
        ff ff ff ff                     | session_epoch: -1
        00 00 00 01                     | topics: 1
        00 01 74                        |   topic: "t"
        00 00 00 01                     |   partitions: 1
        00 00 00 01                     |     partition
        00 00 00 03                     |     current_leader_epoch
        00 00 00 00 00 00 01 02         |     fetch_offset
        ff ff ff ff ff ff ff ff         |     log_start_offset: -1
        00 10 00 00                     |     partition_max_bytes
        00 00 00 00                     | forgotten_topics_data: 0
        00 01 72                        | rack_id: "r"
        """,
    ),
    Golden(
        FetchRequest(
            cluster_id="c",
            replica_state=ReplicaState(replica_id=2, replica_epoch=3),
            max_wait_ms=500,
            min_bytes=1,
            isolation_level=1,
            session_id=4,
            session_epoch=5,
            topics=[
                FetchTopic(
                    topic_id=TOPIC_ID,
                    partitions=[
                        FetchPartition(
                            partition=1,
                            fetch_offset=258,
                            last_fetched_epoch=6,
                            partition_max_bytes=1_048_576,
                            high_watermark=7,
                        )
                    ],
                )
            ],
            forgotten_topics_data=[ForgottenTopic(topic_id=TOPIC_ID, partitions=[8])],
        ),
        18,
        """
        00 00 01 f4                                     | max_wait_ms
        00 00 00 01                                     | min_bytes
        7f ff ff ff                                     | max_bytes
        01                                              | isolation_level: read committed
        00 00 00 04                                     | session_id
        00 00 00 05                                     | session_epoch
        02                                              | topics: 1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        02                                              |   partitions: 1
        00 00 00 01                                     |     partition
        ff ff ff ff                                     |     current_leader_epoch: -1
        00 00 00 00 00 00 01 02                         |     fetch_offset
        00 00 00 06                                     |     last_fetched_epoch
        ff ff ff ff ff ff ff ff                         |     log_start_offset: -1
        00 10 00 00                                     |     partition_max_bytes
        01                                              |     one tagged field:
        01 08                                           |       tag 1, 8 bytes
        00 00 00 00 00 00 00 07                         |       high_watermark
        00                                              |   no tagged fields
        02                                              | forgotten_topics_data: 1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        02                                              |   partitions: 1
        00 00 00 08                                     |     8
        00                                              |   no tagged fields
        01                                              | rack_id: ""
        02                                              | two tagged fields:
        00 02                                           |   tag 0, 2 bytes
        02 63                                           |   cluster_id: "c"
        01 0d                                           |   tag 1, 13 bytes: replica_state
        00 00 00 02                                     |     replica_id
        00 00 00 00 00 00 00 03                         |     replica_epoch
        00                                              |     no tagged fields
        """,
    ),
    Golden(
        FetchResponse(
            responses=[
                FetchableTopicResponse(
                    topic="t",
                    partitions=[
                        PartitionData(
                            partition_index=1,
                            error_code=0,
                            high_watermark=10,
                            last_stable_offset=9,
                            aborted_transactions=[AbortedTransaction(producer_id=4, first_offset=5)],
                            records=b"\x01\x02",
                        )
                    ],
                )
            ]
        ),
        4,
        """
        00 00 00 00                     | throttle_time_ms
        00 00 00 01                     | responses: 1
        00 01 74                        |   topic: "t"
        00 00 00 01                     |   partitions: 1
        00 00 00 01                     |     partition_index
        00 00                           |     error_code
        00 00 00 00 00 00 00 0a         |     high_watermark
        00 00 00 00 00 00 00 09         |     last_stable_offset
        00 00 00 01                     |     aborted_transactions: 1
        00 00 00 00 00 00 00 04         |       producer_id
        00 00 00 00 00 00 00 05         |       first_offset
        00 00 00 02 01 02               |     records: 2 bytes
        """,
    ),
    Golden(
        FetchResponse(
            session_id=4,
            responses=[
                FetchableTopicResponse(
                    topic_id=TOPIC_ID,
                    partitions=[
                        PartitionData(
                            partition_index=1,
                            error_code=74,
                            high_watermark=-1,
                            diverging_epoch=EpochEndOffset(epoch=3, end_offset=258),
                            current_leader=LeaderIdAndEpoch(leader_id=2, leader_epoch=9),
                            aborted_transactions=None,
                            records=None,
                        )
                    ],
                )
            ],
            node_endpoints=[NodeEndpoint(node_id=2, host="h", port=9092, rack="r")],
        ),
        17,
        """
        00 00 00 00                                     | throttle_time_ms
        00 00                                           | error_code
        00 00 00 04                                     | session_id
        02                                              | responses: 1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        02                                              |   partitions: 1
        00 00 00 01                                     |     partition_index
        00 4a                                           |     error_code: FENCED_LEADER_EPOCH
        ff ff ff ff ff ff ff ff                         |     high_watermark: -1
        ff ff ff ff ff ff ff ff                         |     last_stable_offset: -1
        ff ff ff ff ff ff ff ff                         |     log_start_offset: -1
        00                                              |     aborted_transactions: null
        ff ff ff ff                                     |     preferred_read_replica: -1
        00                                              |     records: null
        02                                              |     two tagged fields:
        00 0d                                           |       tag 0, 13 bytes: diverging_epoch
        00 00 00 03                                     |         epoch
        00 00 00 00 00 00 01 02                         |         end_offset
        00                                              |         no tagged fields
        01 09                                           |       tag 1, 9 bytes: current_leader
        00 00 00 02                                     |         leader_id
        00 00 00 09                                     |         leader_epoch
        00                                              |         no tagged fields
        00                                              |   no tagged fields
        01                                              | one tagged field:
        00 0e                                           |   tag 0, 14 bytes: node_endpoints
        02                                              |     1
        00 00 00 02                                     |       node_id
        02 68                                           |       host: "h"
        00 00 23 84                                     |       port
        02 72                                           |       rack: "r"
        00                                              |       no tagged fields
        """,
    ),
]
