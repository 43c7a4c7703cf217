"""Golden bytes of what coordinators of groups and transactions say and write, where their messages have a shape that no
other has: null structs, tagged and not, doubles, and tagged fields in keys' values that began without any.
"""

from kpy.protocol.consumer_group_records import (
    ClassicMemberMetadata,
    ClassicProtocol,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
)
from kpy.protocol.consumer_group_records import TopicPartitions as OwnedPartitions
from kpy.protocol.messages.consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)
from kpy.protocol.messages.describe_client_quotas import (
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    ValueData,
)
from kpy.protocol.transaction_records import PartitionsSchema, TransactionLogKey, TransactionLogValue
from tests.protocol.golden.notation import TOPIC_ID, Golden


def member(**fields: object) -> ConsumerGroupMemberMetadataValue:
    return ConsumerGroupMemberMetadataValue(
        instance_id=None,
        rack_id="",
        client_id="c",
        client_host="/h",
        subscribed_topic_names=["t"],
        subscribed_topic_regex=None,
        rebalance_timeout_ms=-1,
        server_assignor=None,
        **fields,
    )


MEMBER = """
    00              | instance_id: null
    01              | rack_id: ""
    02 63           | client_id: "c"
    03 2f 68        | client_host: "/h"
    02              | subscribed_topic_names: 1
    02 74           |   "t"
    00              | subscribed_topic_regex: null
    ff ff ff ff     | rebalance_timeout_ms
    00              | server_assignor: null
"""

TRANSACTION = TransactionLogValue(
    producer_id=258,
    producer_epoch=3,
    transaction_timeout_ms=60000,
    transaction_status=1,
    transaction_partitions=[PartitionsSchema(topic="t", partition_ids=[1, 2])],
    transaction_last_update_timestamp_ms=5,
    transaction_start_timestamp_ms=4,
)

GOLDEN = [
    Golden(
        ConsumerGroupHeartbeatRequest(
            group_id="g",
            member_id="m",
            member_epoch=0,
            rebalance_timeout_ms=300000,
            subscribed_topic_names=["t"],
            topic_partitions=[],
        ),
        1,
        """
        02 67           | group_id: "g"
        02 6d           | member_id: "m"
        00 00 00 00     | member_epoch
        00              | instance_id: null
        00              | rack_id: null
        00 04 93 e0     | rebalance_timeout_ms
        02              | subscribed_topic_names: 1
        02 74           |   "t"
        00              | subscribed_topic_regex: null
        00              | server_assignor: null
        01              | topic_partitions: 0
        00              | no tagged fields
        """,
    ),
    Golden(
        ConsumerGroupHeartbeatResponse(
            error_code=0,
            member_id="m",
            member_epoch=2,
            heartbeat_interval_ms=5000,
            assignment=Assignment(topic_partitions=[TopicPartitions(topic_id=TOPIC_ID, partitions=[0])]),
        ),
        1,
        """
        00 00 00 00     | throttle_time_ms
        00 00           | error_code
        00              | error_message: null
        02 6d           | member_id: "m"
        00 00 00 02     | member_epoch
        00 00 13 88     | heartbeat_interval_ms
        01              | assignment: it is there
        02              |   topic_partitions: 1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff  | topic_id
        02              |     partitions: 1
        00 00 00 00     |       0
        00              |     no tagged fields
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        ConsumerGroupHeartbeatResponse(error_code=25, error_message="", member_epoch=-1, heartbeat_interval_ms=0),
        0,
        """
        00 00 00 00     | throttle_time_ms
        00 19           | error_code: UNKNOWN_MEMBER_ID
        01              | error_message: ""
        00              | member_id: null
        ff ff ff ff     | member_epoch
        00 00 00 00     | heartbeat_interval_ms
        ff              | assignment: null
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeClientQuotasResponse(
            error_code=0,
            error_message=None,
            entries=[
                EntryData(
                    entity=[EntityData(entity_type="user", entity_name=None)],
                    values=[ValueData(key="rate", value=1024.5)],
                )
            ],
        ),
        1,
        """
        00 00 00 00     | throttle_time_ms
        00 00           | error_code
        00              | error_message: null
        02              | entries: 1
        02              |   entity: 1
        05 75 73 65 72  |     entity_type: "user"
        00              |     entity_name: null
        00              |     no tagged fields
        02              |   values: 1
        05 72 61 74 65  |     key: "rate"
        40 90 02 00 00 00 00 00  | value: 2^10 times 1 + 2^-11
        00              |     no tagged fields
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeClientQuotasResponse(error_code=31, error_message="no", entries=None),
        0,
        """
        00 00 00 00     | throttle_time_ms
        00 1f           | error_code: CLUSTER_AUTHORIZATION_FAILED
        00 02 6e 6f     | error_message: "no"
        ff ff ff ff     | entries: null
        """,
    ),
    Golden(
        ConsumerGroupMemberMetadataKey(group_id="g", member_id="m"),
        0,
        """
        00 01 67        | group_id: "g"
        00 01 6d        | member_id: "m"
        """,
    ),
    Golden(
        member(),
        0,
        f"""{MEMBER}
        00              | no tagged fields: classic_member_metadata is the default, which is not null
        """,
    ),
    Golden(
        member(classic_member_metadata=None),
        0,
        f"""{MEMBER}
        01              | 1 tagged field
        00              |   tag 0: classic_member_metadata
        01              |   1 byte
        00              |   null
        """,
    ),
    Golden(
        member(
            classic_member_metadata=ClassicMemberMetadata(
                session_timeout_ms=45000, supported_protocols=[ClassicProtocol(name="range", metadata=b"\x00\x01")]
            )
        ),
        0,
        f"""{MEMBER}
        01              | 1 tagged field
        00              |   tag 0: classic_member_metadata
        11              |   17 bytes
        01              |   it is there
        00 00 af c8     |     session_timeout_ms
        02              |     supported_protocols: 1
        06 72 61 6e 67 65  |    name: "range"
        03 00 01        |       metadata: 2 bytes
        00              |       no tagged fields
        00              |     no tagged fields
        """,
    ),
    Golden(
        ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=3,
            previous_member_epoch=2,
            state=1,
            assigned_partitions=[
                OwnedPartitions(topic_id=TOPIC_ID, partitions=[0, 1], assignment_epochs=[2, 3]),
                OwnedPartitions(topic_id=TOPIC_ID, partitions=[], assignment_epochs=None),
            ],
            partitions_pending_revocation=[],
        ),
        0,
        """
        00 00 00 03     | member_epoch
        00 00 00 02     | previous_member_epoch
        01              | state
        03              | assigned_partitions: 2
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff  | topic_id
        03              |   partitions: 2
        00 00 00 00     |     0
        00 00 00 01     |     1
        01              |   1 tagged field
        00              |     tag 0: assignment_epochs
        09              |     9 bytes
        03              |     2 of them
        00 00 00 02     |       2
        00 00 00 03     |       3
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff  | topic_id
        01              |   partitions: 0
        01              |   1 tagged field
        00              |     tag 0: assignment_epochs
        01              |     1 byte
        00              |     null
        01              | partitions_pending_revocation: 0
        00              | no tagged fields
        """,
    ),
    Golden(
        TransactionLogKey(transactional_id="x"),
        0,
        """
        00 01 78        | transactional_id: "x"
        """,
    ),
    Golden(
        TRANSACTION,
        0,
        """
        00 00 00 00 00 00 01 02  | producer_id
        00 03           | producer_epoch
        00 00 ea 60     | transaction_timeout_ms
        01              | transaction_status: Ongoing
        00 00 00 01     | transaction_partitions: 1
        00 01 74        |   topic: "t"
        00 00 00 02     |   partition_ids: 2
        00 00 00 01     |     1
        00 00 00 02     |     2
        00 00 00 00 00 00 00 05  | transaction_last_update_timestamp_ms
        00 00 00 00 00 00 00 04  | transaction_start_timestamp_ms
        """,
    ),
    Golden(
        TransactionLogValue(
            producer_id=258,
            previous_producer_id=257,
            producer_epoch=0,
            transaction_timeout_ms=60000,
            transaction_status=4,
            transaction_partitions=None,
            transaction_last_update_timestamp_ms=5,
            transaction_start_timestamp_ms=-1,
            client_transaction_version=2,
        ),
        1,
        """
        00 00 00 00 00 00 01 02  | producer_id
        00 00           | producer_epoch
        00 00 ea 60     | transaction_timeout_ms
        04              | transaction_status: CompleteCommit
        00              | transaction_partitions: null
        00 00 00 00 00 00 00 05  | transaction_last_update_timestamp_ms
        ff ff ff ff ff ff ff ff  | transaction_start_timestamp_ms
        02              | 2 tagged fields
        00              |   tag 0: previous_producer_id
        08              |   8 bytes
        00 00 00 00 00 00 01 01
        02              |   tag 2: client_transaction_version
        02              |   2 bytes
        00 02
        """,
    ),
]
