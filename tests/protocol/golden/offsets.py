"""Golden bytes of the APIs that say which offsets there are, make them go, and hand out producer ids."""

from kpy.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopic,
    DeleteRecordsTopicResult,
)
from kpy.protocol.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse
from kpy.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopic,
    ListOffsetsTopicResponse,
)
from kpy.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
    OffsetForLeaderTopicResult,
)
from tests.protocol.golden.notation import Golden

GOLDEN = [
    Golden(
        ListOffsetsRequest(
            replica_id=-1,
            topics=[ListOffsetsTopic(name="t", partitions=[ListOffsetsPartition(partition_index=1, timestamp=-2)])],
        ),
        1,
        """
        ff ff ff ff                     | replica_id: -1
        00 00 00 01                     | topics: 1
        00 01 74                        |   name: "t"
        00 00 00 01                     |   partitions: 1
        00 00 00 01                     |     partition_index
        ff ff ff ff ff ff ff fe         |     timestamp: -2
        """,
    ),
    Golden(
        ListOffsetsRequest(
            replica_id=-1,
            isolation_level=1,
            topics=[
                ListOffsetsTopic(
                    name="t",
                    partitions=[ListOffsetsPartition(partition_index=1, current_leader_epoch=3, timestamp=-3)],
                )
            ],
            timeout_ms=1000,
        ),
        11,
        """
        ff ff ff ff                     | replica_id: -1
        01                              | isolation_level: read committed
        02                              | topics: 1
        02 74                           |   name: "t"
        02                              |   partitions: 1
        00 00 00 01                     |     partition_index
        00 00 00 03                     |     current_leader_epoch
        ff ff ff ff ff ff ff fd         |     timestamp: -3
        00                              |     no tagged fields
        00                              |   no tagged fields
        00 00 03 e8                     | timeout_ms
        00                              | no tagged fields
        """,
    ),
    Golden(
        ListOffsetsResponse(
            topics=[
                ListOffsetsTopicResponse(
                    name="t",
                    partitions=[
                        ListOffsetsPartitionResponse(
                            partition_index=1, error_code=0, timestamp=1, offset=258, leader_epoch=3
                        )
                    ],
                )
            ]
        ),
        6,
        """
        00 00 00 00                     | throttle_time_ms
        02                              | topics: 1
        02 74                           |   name: "t"
        02                              |   partitions: 1
        00 00 00 01                     |     partition_index
        00 00                           |     error_code
        00 00 00 00 00 00 00 01         |     timestamp
        00 00 00 00 00 00 01 02         |     offset
        00 00 00 03                     |     leader_epoch
        00                              |     no tagged fields
        00                              |   no tagged fields
        00                              | no tagged fields
        """,
    ),
    Golden(
        InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=60_000),
        0,
        """
        ff ff           | transactional_id: null
        00 00 ea 60     | transaction_timeout_ms
        """,
    ),
    Golden(
        InitProducerIdRequest(
            transactional_id="tx", transaction_timeout_ms=60_000, producer_id=1000, producer_epoch=4, enable_2pc=True
        ),
        6,
        """
        03 74 78                        | transactional_id: "tx"
        00 00 ea 60                     | transaction_timeout_ms
        00 00 00 00 00 00 03 e8         | producer_id
        00 04                           | producer_epoch
        01                              | enable_2pc
        00                              | keep_prepared_txn
        00                              | no tagged fields
        """,
    ),
    Golden(
        InitProducerIdResponse(error_code=0, producer_id=1000, producer_epoch=0),
        4,
        """
        00 00 00 00                     | throttle_time_ms
        00 00                           | error_code
        00 00 00 00 00 00 03 e8         | producer_id
        00 00                           | producer_epoch
        00                              | no tagged fields
        """,
    ),
    Golden(
        OffsetForLeaderEpochRequest(
            topics=[
                OffsetForLeaderTopic(
                    topic="t",
                    partitions=[OffsetForLeaderPartition(partition=1, current_leader_epoch=3, leader_epoch=2)],
                )
            ]
        ),
        3,
        """
        ff ff ff fe     | replica_id: -2
        00 00 00 01     | topics: 1
        00 01 74        |   topic: "t"
        00 00 00 01     |   partitions: 1
        00 00 00 01     |     partition
        00 00 00 03     |     current_leader_epoch
        00 00 00 02     |     leader_epoch
        """,
    ),
    Golden(
        OffsetForLeaderEpochResponse(
            topics=[
                OffsetForLeaderTopicResult(
                    topic="t", partitions=[EpochEndOffset(error_code=0, partition=1, leader_epoch=2, end_offset=258)]
                )
            ]
        ),
        4,
        """
        00 00 00 00                     | throttle_time_ms
        02                              | topics: 1
        02 74                           |   topic: "t"
        02                              |   partitions: 1
        00 00                           |     error_code
        00 00 00 01                     |     partition
        00 00 00 02                     |     leader_epoch
        00 00 00 00 00 00 01 02         |     end_offset
        00                              |     no tagged fields
        00                              |   no tagged fields
        00                              | no tagged fields
        """,
    ),
    Golden(
        DeleteRecordsRequest(
            topics=[DeleteRecordsTopic(name="t", partitions=[DeleteRecordsPartition(partition_index=1, offset=-1)])],
            timeout_ms=30_000,
        ),
        2,
        """
        02                              | topics: 1
        02 74                           |   name: "t"
        02                              |   partitions: 1
        00 00 00 01                     |     partition_index
        ff ff ff ff ff ff ff ff         |     offset: -1
        00                              |     no tagged fields
        00                              |   no tagged fields
        00 00 75 30                     | timeout_ms
        00                              | no tagged fields
        """,
    ),
    Golden(
        DeleteRecordsResponse(
            topics=[
                DeleteRecordsTopicResult(
                    name="t",
                    partitions=[DeleteRecordsPartitionResult(partition_index=1, low_watermark=258, error_code=0)],
                )
            ]
        ),
        0,
        """
        00 00 00 00                     | throttle_time_ms
        00 00 00 01                     | topics: 1
        00 01 74                        |   name: "t"
        00 00 00 01                     |   partitions: 1
        00 00 00 01                     |     partition_index
        00 00 00 00 00 00 01 02         |     low_watermark
        00 00                           |     error_code
        """,
    ),
]
