"""Golden bytes of the headers, and of the APIs by which a client gets to know a cluster."""

from kpy.protocol.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)
from kpy.protocol.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from kpy.protocol.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsPartition,
    DescribeLogDirsRequest,
    DescribeLogDirsResponse,
    DescribeLogDirsResult,
    DescribeLogDirsTopic,
)
from kpy.protocol.messages.headers import RequestHeader, ResponseHeader
from kpy.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from kpy.protocol.metadata_records import (
    BrokerEndpoint,
    BrokerRegistrationChangeRecord,
    FeatureLevelRecord,
    NoOpRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
)
from kpy.protocol.schema import Data
from tests.protocol.golden.notation import TOPIC_ID, Golden


def with_unknown_tag(message: Data, tag: int, data: bytes) -> Data:
    """The message of a newer peer."""
    message.unknown_tagged_fields = {tag: data}
    return message


GOLDEN = [
    Golden(
        RequestHeader(request_api_key=18, request_api_version=2, correlation_id=7, client_id="me"),
        1,
        """
        00 12           | request_api_key: ApiVersions
        00 02           | request_api_version
        00 00 00 07     | correlation_id
        00 02 6d 65     | client_id: "me"
        """,
    ),
    Golden(
        RequestHeader(request_api_key=18, request_api_version=3, correlation_id=7, client_id="me"),
        2,
        """
        00 12           | request_api_key: ApiVersions
        00 03           | request_api_version
        00 00 00 07     | correlation_id
        00 02 6d 65     | client_id: "me", with a plain length even here
        00              | no tagged fields
        """,
    ),
    Golden(
        RequestHeader(request_api_key=18, request_api_version=3, correlation_id=7, client_id=None),
        2,
        """
        00 12           | request_api_key: ApiVersions
        00 03           | request_api_version
        00 00 00 07     | correlation_id
        ff ff           | client_id: null
        00              | no tagged fields
        """,
    ),
    Golden(
        ResponseHeader(correlation_id=7),
        0,
        """
        00 00 00 07     | correlation_id
        """,
    ),
    Golden(
        ResponseHeader(correlation_id=7),
        1,
        """
        00 00 00 07     | correlation_id
        00              | no tagged fields
        """,
    ),
    Golden(ApiVersionsRequest(), 0, ""),
    Golden(
        ApiVersionsRequest(client_software_name="kpy", client_software_version="1.0"),
        3,
        """
        04 6b 70 79     | client_software_name: "kpy"
        04 31 2e 30     | client_software_version: "1.0"
        00              | no tagged fields
        """,
    ),
    Golden(
        with_unknown_tag(ApiVersionsRequest(client_software_name="", client_software_version=""), 300, b"\x01\x02"),
        4,
        """
        01              | client_software_name: ""
        01              | client_software_version: ""
        01              | one tagged field:
        ac 02           |   tag 300, 0b10_0101100
        02 01 02        |   2 bytes
        """,
    ),
    Golden(
        ApiVersionsResponse(error_code=35, api_keys=[ApiVersion(api_key=18, min_version=0, max_version=4)]),
        0,
        """
        00 23           | error_code: UNSUPPORTED_VERSION
        00 00 00 01     | api_keys: 1
        00 12           |   api_key: ApiVersions
        00 00           |   min_version
        00 04           |   max_version
        """,
    ),
    Golden(
        ApiVersionsResponse(
            error_code=0,
            api_keys=[ApiVersion(api_key=18, min_version=0, max_version=4)],
            supported_features=[SupportedFeatureKey(name="f", min_version=0, max_version=2)],
            finalized_features_epoch=9,
            finalized_features=[FinalizedFeatureKey(name="f", max_version_level=2, min_version_level=1)],
            zk_migration_ready=True,
        ),
        4,
        """
        00 00                           | error_code
        02                              | api_keys: 1
        00 12                           |   api_key: ApiVersions
        00 00                           |   min_version
        00 04                           |   max_version
        00                              |   no tagged fields
        00 00 00 00                     | throttle_time_ms
        04                              | four tagged fields:
        00 08                           |   tag 0, 8 bytes: supported_features
        02                              |     1
        02 66                           |       name: "f"
        00 00                           |       min_version
        00 02                           |       max_version
        00                              |       no tagged fields
        01 08                           |   tag 1, 8 bytes: finalized_features_epoch
        00 00 00 00 00 00 00 09         |     9
        02 08                           |   tag 2, 8 bytes: finalized_features
        02                              |     1
        02 66                           |       name: "f"
        00 02                           |       max_version_level
        00 01                           |       min_version_level
        00                              |       no tagged fields
        03 01 01                        |   tag 3, 1 byte: zk_migration_ready
        """,
    ),
    Golden(
        MetadataRequest(topics=[]),
        0,
        """
        00 00 00 00     | topics: none, which means all in version 0
        """,
    ),
    Golden(
        MetadataRequest(topics=None, allow_auto_topic_creation=False),
        4,
        """
        ff ff ff ff     | topics: null
        00              | allow_auto_topic_creation
        """,
    ),
    Golden(
        MetadataRequest(
            topics=[MetadataRequestTopic(topic_id=TOPIC_ID, name=None), MetadataRequestTopic(name="t")],
            include_topic_authorized_operations=True,
        ),
        12,
        """
        03                                              | topics: 2
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        00                                              |   name: null
        00                                              |   no tagged fields
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 |   topic_id: zero
        02 74                                           |   name: "t"
        00                                              |   no tagged fields
        01                                              | allow_auto_topic_creation
        01                                              | include_topic_authorized_operations
        00                                              | no tagged fields
        """,
    ),
    Golden(
        MetadataResponse(
            brokers=[MetadataResponseBroker(node_id=1, host="h", port=9092)],
            topics=[MetadataResponseTopic(error_code=5, name="t", partitions=[])],
        ),
        0,
        """
        00 00 00 01     | brokers: 1
        00 00 00 01     |   node_id
        00 01 68        |   host: "h"
        00 00 23 84     |   port
        00 00 00 01     | topics: 1
        00 05           |   error_code: LEADER_NOT_AVAILABLE
        00 01 74        |   name: "t"
        00 00 00 00     |   partitions: 0
        """,
    ),
    Golden(
        MetadataResponse(
            brokers=[MetadataResponseBroker(node_id=1, host="h", port=9092, rack="r")],
            cluster_id="c",
            controller_id=1,
            topics=[
                MetadataResponseTopic(
                    error_code=0,
                    name="t",
                    topic_id=TOPIC_ID,
                    is_internal=True,
                    partitions=[
                        MetadataResponsePartition(
                            error_code=0,
                            partition_index=3,
                            leader_id=1,
                            leader_epoch=9,
                            replica_nodes=[1],
                            isr_nodes=[1],
                            offline_replicas=[],
                        )
                    ],
                )
            ],
        ),
        13,
        """
        00 00 00 00                                     | throttle_time_ms
        02                                              | brokers: 1
        00 00 00 01                                     |   node_id
        02 68                                           |   host: "h"
        00 00 23 84                                     |   port
        02 72                                           |   rack: "r"
        00                                              |   no tagged fields
        02 63                                           | cluster_id: "c"
        00 00 00 01                                     | controller_id
        02                                              | topics: 1
        00 00                                           |   error_code
        02 74                                           |   name: "t"
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |   topic_id
        01                                              |   is_internal
        02                                              |   partitions: 1
        00 00                                           |     error_code
        00 00 00 03                                     |     partition_index
        00 00 00 01                                     |     leader_id
        00 00 00 09                                     |     leader_epoch
        02 00 00 00 01                                  |     replica_nodes: [1]
        02 00 00 00 01                                  |     isr_nodes: [1]
        01                                              |     offline_replicas: []
        00                                              |     no tagged fields
        80 00 00 00                                     |   topic_authorized_operations: not asked
        00                                              |   no tagged fields
        00 00                                           | error_code
        00                                              | no tagged fields
        """,
    ),
    Golden(
        DescribeClusterRequest(
            include_cluster_authorized_operations=True, endpoint_type=2, include_fenced_brokers=True
        ),
        2,
        """
        01              | include_cluster_authorized_operations
        02              | endpoint_type: controllers
        01              | include_fenced_brokers
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeClusterResponse(
            error_code=0,
            cluster_id="c",
            controller_id=1,
            brokers=[DescribeClusterBroker(broker_id=1, host="h", port=9092)],
            cluster_authorized_operations=0x0F00,
        ),
        1,
        """
        00 00 00 00     | throttle_time_ms
        00 00           | error_code
        00              | error_message: null
        01              | endpoint_type: brokers
        02 63           | cluster_id: "c"
        00 00 00 01     | controller_id
        02              | brokers: 1
        00 00 00 01     |   broker_id
        02 68           |   host: "h"
        00 00 23 84     |   port
        00              |   rack: null
        00              |   no tagged fields
        00 00 0f 00     | cluster_authorized_operations
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeLogDirsRequest(topics=[DescribableLogDirTopic(topic="t", partitions=[1])]),
        1,
        """
        00 00 00 01     | topics: 1
        00 01 74        |   topic: "t"
        00 00 00 01     |   partitions: 1
        00 00 00 01     |     1
        """,
    ),
    Golden(
        DescribeLogDirsResponse(
            error_code=0,
            results=[
                DescribeLogDirsResult(
                    error_code=0,
                    log_dir="/d",
                    topics=[
                        DescribeLogDirsTopic(
                            name="t",
                            partitions=[
                                DescribeLogDirsPartition(
                                    partition_index=1, partition_size=258, offset_lag=0, is_future_key=False
                                )
                            ],
                        )
                    ],
                    total_bytes=3,
                    usable_bytes=2,
                    is_cordoned=True,
                )
            ],
        ),
        5,
        """
        00 00 00 00                     | throttle_time_ms
        00 00                           | error_code
        02                              | results: 1
        00 00                           |   error_code
        03 2f 64                        |   log_dir: "/d"
        02                              |   topics: 1
        02 74                           |     name: "t"
        02                              |     partitions: 1
        00 00 00 01                     |       partition_index
        00 00 00 00 00 00 01 02         |       partition_size
        00 00 00 00 00 00 00 00         |       offset_lag
        00                              |       is_future_key
        00                              |       no tagged fields
        00                              |     no tagged fields
        00 00 00 00 00 00 00 03         |   total_bytes
        00 00 00 00 00 00 00 02         |   usable_bytes
        01                              |   is_cordoned
        00                              |   no tagged fields
        00                              | no tagged fields
        """,
    ),
    Golden(
        RegisterBrokerRecord(
            broker_id=1,
            incarnation_id=TOPIC_ID,
            broker_epoch=5,
            end_points=[BrokerEndpoint(name="P", host="h", port=65535, security_protocol=0)],
            features=[],
            rack=None,
            fenced=False,
            log_dirs=[TOPIC_ID],
        ),
        3,
        """
        00 00 00 01                                     | broker_id
        00                                              | is_migrating_zk_broker
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff | incarnation_id
        00 00 00 00 00 00 00 05                         | broker_epoch
        02                                              | end_points: 1
        02 50                                           |   name: "P"
        02 68                                           |   host: "h"
        ff ff                                           |   port: unsigned
        00 00                                           |   security_protocol: PLAINTEXT
        00                                              |   no tagged fields
        01                                              | features: 0
        00                                              | rack: null
        00                                              | fenced
        00                                              | in_controlled_shutdown
        01                                              | one tagged field:
        00 11                                           |   tag 0, 17 bytes: log_dirs
        02                                              |     1
        00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff |       any id
        """,
    ),
    Golden(
        BrokerRegistrationChangeRecord(broker_id=1, broker_epoch=5, fenced=-1),
        0,
        """
        00 00 00 01                     | broker_id
        00 00 00 00 00 00 00 05         | broker_epoch
        01                              | one tagged field:
        00 01 ff                        |   tag 0, 1 byte: fenced: no longer
        """,
    ),
    Golden(
        ProducerIdsRecord(broker_id=1, broker_epoch=5, next_producer_id=1000),
        0,
        """
        00 00 00 01                     | broker_id
        00 00 00 00 00 00 00 05         | broker_epoch
        00 00 00 00 00 00 03 e8         | next_producer_id
        00                              | no tagged fields
        """,
    ),
    Golden(
        FeatureLevelRecord(name="metadata.version", feature_level=30),
        0,
        """
        11 6d 65 74 61 64 61 74 61 2e 76 65 72 73 69 6f 6e      | name: "metadata.version"
        00 1e                                                   | feature_level
        00                                                      | no tagged fields
        """,
    ),
    Golden(
        NoOpRecord(),
        0,
        """
        00              | no tagged fields
        """,
    ),
]
