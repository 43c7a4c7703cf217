"""Golden bytes of the APIs of the consumer group protocol (KIP-848)."""

from kpy.protocol.messages import consumer_group_describe as describe
from kpy.protocol.messages import consumer_group_heartbeat as heartbeat
from tests.protocol.golden.notation import TOPIC_ID, Golden

GOLDEN = [
    Golden(
        heartbeat.ConsumerGroupHeartbeatRequest(
            group_id="g",
            member_id="m",
            member_epoch=0,
            rack_id="r",
            rebalance_timeout_ms=300_000,
            subscribed_topic_names=["t"],
            subscribed_topic_regex="t.*",
            topic_partitions=[heartbeat.TopicPartitions(topic_id=TOPIC_ID, partitions=[1])],
        ),
        1,
        """
        02 67           | group_id: "g"
        02 6D           | member_id: "m"
        00 00 00 00     | member_epoch
        00              | instance_id: null
        02 72           | rack_id: "r"
        00 04 93 E0     | rebalance_timeout_ms
        02              | subscribed_topic_names: 1
        02 74           |   "t"
        04 74 2E 2A     | subscribed_topic_regex: "t.*"
        00              | server_assignor: null
        02              | topic_partitions: 1
        00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF |   topic_id
        02              |   partitions: 1
        00 00 00 01     |     1
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        heartbeat.ConsumerGroupHeartbeatRequest(group_id="g", member_id="m", member_epoch=-1),
        0,
        """
        02 67           | group_id: "g"
        02 6D           | member_id: "m"
        FF FF FF FF     | member_epoch: leaves
        00              | instance_id: null
        00              | rack_id: null
        FF FF FF FF     | rebalance_timeout_ms: as before
        00              | subscribed_topic_names: null
        00              | server_assignor: null
        00              | topic_partitions: null
        00              | no tagged fields
        """,
    ),
    Golden(
        heartbeat.ConsumerGroupHeartbeatResponse(
            error_code=0,
            member_id="m",
            member_epoch=2,
            heartbeat_interval_ms=5_000,
            assignment=heartbeat.Assignment(
                topic_partitions=[heartbeat.TopicPartitions(topic_id=TOPIC_ID, partitions=[0])]
            ),
        ),
        1,
        """
        00 00 00 00     | throttle_time_ms
        00 00           | error_code
        00              | error_message: null
        02 6D           | member_id: "m"
        00 00 00 02     | member_epoch
        00 00 13 88     | heartbeat_interval_ms
        01              | assignment: there is one
        02              |   topic_partitions: 1
        00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF |     topic_id
        02              |     partitions: 1
        00 00 00 00     |       0
        00              |     no tagged fields
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        heartbeat.ConsumerGroupHeartbeatResponse(
            error_code=25, error_message="no", member_epoch=0, heartbeat_interval_ms=0
        ),
        0,
        """
        00 00 00 00     | throttle_time_ms
        00 19           | error_code: UNKNOWN_MEMBER_ID
        03 6E 6F        | error_message: "no"
        00              | member_id: null
        00 00 00 00     | member_epoch
        00 00 00 00     | heartbeat_interval_ms
        FF              | assignment: null
        00              | no tagged fields
        """,
    ),
    Golden(
        describe.ConsumerGroupDescribeRequest(group_ids=["g"], include_authorized_operations=True),
        1,
        """
        02              | group_ids: 1
        02 67           |   "g"
        01              | include_authorized_operations
        00              | no tagged fields
        """,
    ),
    Golden(
        describe.ConsumerGroupDescribeResponse(
            groups=[
                describe.DescribedGroup(
                    error_code=0,
                    group_id="g",
                    group_state="Stable",
                    group_epoch=2,
                    assignment_epoch=2,
                    assignor_name="range",
                    members=[
                        describe.Member(
                            member_id="m",
                            member_epoch=2,
                            client_id="c",
                            client_host="/h",
                            subscribed_topic_names=["t"],
                            subscribed_topic_regex="",
                            assignment=describe.Assignment(
                                topic_partitions=[
                                    describe.TopicPartitions(topic_id=TOPIC_ID, topic_name="t", partitions=[0])
                                ]
                            ),
                            target_assignment=describe.Assignment(topic_partitions=[]),
                            member_type=1,
                        )
                    ],
                )
            ]
        ),
        1,
        """
        00 00 00 00     | throttle_time_ms
        02              | groups: 1
        00 00           |   error_code
        00              |   error_message: null
        02 67           |   group_id: "g"
        07 53 74 61 62 6C 65 |   group_state: "Stable"
        00 00 00 02     |   group_epoch
        00 00 00 02     |   assignment_epoch
        06 72 61 6E 67 65 |   assignor_name: "range"
        02              |   members: 1
        02 6D           |     member_id: "m"
        00              |     instance_id: null
        00              |     rack_id: null
        00 00 00 02     |     member_epoch
        02 63           |     client_id: "c"
        03 2F 68        |     client_host: "/h"
        02              |     subscribed_topic_names: 1
        02 74           |       "t"
        01              |     subscribed_topic_regex: ""
        02              |     assignment: topic_partitions: 1
        00 11 22 33 44 55 66 77 88 99 AA BB CC DD EE FF |       topic_id
        02 74           |       topic_name: "t"
        02              |       partitions: 1
        00 00 00 00     |         0
        00              |       no tagged fields
        00              |     assignment: no tagged fields
        01              |     target_assignment: topic_partitions: 0
        00              |     target_assignment: no tagged fields
        01              |     member_type: of the consumer protocol
        00              |     no tagged fields
        80 00 00 00     |   authorized_operations: not asked for
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
]
