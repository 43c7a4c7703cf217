"""Golden bytes of the APIs by which brokers, directories and features are administered, and of authentication."""

from kpy.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirPartitionResult,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
    AlterReplicaLogDirTopic,
    AlterReplicaLogDirTopicResult,
)
from kpy.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicRequest,
    TopicResponse,
)
from kpy.protocol.messages.sasl_authenticate import SaslAuthenticateRequest, SaslAuthenticateResponse
from kpy.protocol.messages.sasl_handshake import SaslHandshakeRequest, SaslHandshakeResponse
from kpy.protocol.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse
from kpy.protocol.messages.update_features import (
    FeatureUpdateKey,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)
from tests.protocol.golden.notation import Golden

GOLDEN = [
    Golden(
        AlterReplicaLogDirsRequest(
            dirs=[AlterReplicaLogDir(path="/d", topics=[AlterReplicaLogDirTopic(name="t", partitions=[1])])]
        ),
        1,
        """
        00 00 00 01     | dirs: 1
        00 02 2f 64     |   path: "/d"
        00 00 00 01     |   topics: 1
        00 01 74        |     name: "t"
        00 00 00 01     |     partitions: 1
        00 00 00 01     |       1
        """,
    ),
    Golden(
        AlterReplicaLogDirsResponse(
            results=[
                AlterReplicaLogDirTopicResult(
                    topic_name="t", partitions=[AlterReplicaLogDirPartitionResult(partition_index=1, error_code=57)]
                )
            ]
        ),
        2,
        """
        00 00 00 00     | throttle_time_ms
        02              | results: 1
        02 74           |   topic_name: "t"
        02              |   partitions: 1
        00 00 00 01     |     partition_index
        00 39           |     error_code: LOG_DIR_NOT_FOUND
        00              |     no tagged fields
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        UpdateFeaturesRequest(
            timeout_ms=5, feature_updates=[FeatureUpdateKey(feature="f", max_version_level=2, allow_downgrade=True)]
        ),
        0,
        """
        00 00 00 05     | timeout_ms
        02              | feature_updates: 1
        02 66           |   feature: "f"
        00 02           |   max_version_level
        01              |   allow_downgrade
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        UpdateFeaturesRequest(
            timeout_ms=5,
            feature_updates=[FeatureUpdateKey(feature="f", max_version_level=0, upgrade_type=3)],
            validate_only=True,
        ),
        2,
        """
        00 00 00 05     | timeout_ms
        02              | feature_updates: 1
        02 66           |   feature: "f"
        00 00           |   max_version_level
        03              |   upgrade_type: unsafe downgrade
        00              |   no tagged fields
        01              | validate_only
        00              | no tagged fields
        """,
    ),
    Golden(
        UpdateFeaturesResponse(
            error_code=0,
            error_message=None,
            results=[UpdatableFeatureResult(feature="f", error_code=0, error_message="ok")],
        ),
        1,
        """
        00 00 00 00     | throttle_time_ms
        00 00           | error_code
        00              | error_message: null
        02              | results: 1
        02 66           |   feature: "f"
        00 00           |   error_code
        03 6f 6b        |   error_message: "ok"
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        UpdateFeaturesResponse(error_code=95, error_message="no", results=[]),
        2,
        """
        00 00 00 00     | throttle_time_ms
        00 5f           | error_code: INVALID_UPDATE_VERSION
        03 6e 6f        | error_message: "no"
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeProducersRequest(topics=[TopicRequest(name="t", partition_indexes=[1, 2])]),
        0,
        """
        02              | topics: 1
        02 74           |   name: "t"
        03              |   partition_indexes: 2
        00 00 00 01     |     1
        00 00 00 02     |     2
        00              |   no tagged fields
        00              | no tagged fields
        """,
    ),
    Golden(
        DescribeProducersResponse(
            topics=[
                TopicResponse(
                    name="t",
                    partitions=[
                        PartitionResponse(
                            partition_index=1,
                            error_code=0,
                            active_producers=[
                                ProducerState(
                                    producer_id=258,
                                    producer_epoch=3,
                                    last_sequence=6,
                                    last_timestamp=7,
                                    coordinator_epoch=-1,
                                    current_txn_start_offset=-1,
                                )
                            ],
                        )
                    ],
                )
            ]
        ),
        0,
        """
        00 00 00 00                     | throttle_time_ms
        02                              | topics: 1
        02 74                           |   name: "t"
        02                              |   partitions: 1
        00 00 00 01                     |     partition_index
        00 00                           |     error_code
        00                              |     error_message: null
        02                              |     active_producers: 1
        00 00 00 00 00 00 01 02         |       producer_id
        00 00 00 03                     |       producer_epoch
        00 00 00 06                     |       last_sequence
        00 00 00 00 00 00 00 07         |       last_timestamp
        ff ff ff ff                     |       coordinator_epoch
        ff ff ff ff ff ff ff ff         |       current_txn_start_offset: none
        00                              |       no tagged fields
        00                              |     no tagged fields
        00                              |   no tagged fields
        00                              | no tagged fields
        """,
    ),
    Golden(
        UnregisterBrokerRequest(broker_id=9),
        0,
        """
        00 00 00 09     | broker_id
        00              | no tagged fields
        """,
    ),
    Golden(
        UnregisterBrokerResponse(error_code=102, error_message=None),
        0,
        """
        00 00 00 00     | throttle_time_ms
        00 66           | error_code: BROKER_ID_NOT_REGISTERED
        00              | error_message: null
        00              | no tagged fields
        """,
    ),
    Golden(
        SaslHandshakeRequest(mechanism="PLAIN"),
        1,
        """
        00 05 50 4c 41 49 4e        | mechanism: "PLAIN"
        """,
    ),
    Golden(
        SaslHandshakeResponse(error_code=33, mechanisms=["A", "BC"]),
        0,
        """
        00 21           | error_code: UNSUPPORTED_SASL_MECHANISM
        00 00 00 02     | mechanisms: 2
        00 01 41        |   "A"
        00 02 42 43     |   "BC"
        """,
    ),
    Golden(
        SaslAuthenticateRequest(auth_bytes=b"me"),
        1,
        """
        00 00 00 02     | auth_bytes: 2
        6d 65
        """,
    ),
    Golden(
        SaslAuthenticateResponse(error_code=34, error_message=None, auth_bytes=b"x", session_lifetime_ms=258),
        2,
        """
        00 22                       | error_code: ILLEGAL_SASL_STATE
        00                          | error_message: null
        02 78                       | auth_bytes: 1
        00 00 00 00 00 00 01 02     | session_lifetime_ms
        00                          | no tagged fields
        """,
    ),
]
