"""The metadata controller: a replicated state machine over `__cluster_metadata-0`.

It decides about brokers, topics, dynamic configs, features and producer ids; its records are KRaft's own. Everything
else reads the `ClusterImage` that its replay yields. Decisions answer at once: nothing is parked and no timer is set.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from random import Random
from uuid import UUID

from kpy.cluster import config_changes, feature_changes, features, topics
from kpy.cluster.config_rules import ConfigRules
from kpy.cluster.image import Changes, ClusterImage, Endpoint
from kpy.cluster.producer_ids import BLOCK_SIZE
from kpy.cluster.state import ClusterState
from kpy.config import BrokerConfig
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.alter_configs import AlterConfigsRequest
from kpy.protocol.messages.create_partitions import CreatePartitionsRequest
from kpy.protocol.messages.create_topics import CreateTopicsRequest
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest
from kpy.protocol.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from kpy.protocol.messages.update_features import UpdateFeaturesRequest
from kpy.protocol.metadata_records import (
    BrokerEndpoint,
    BrokerFeature,
    FeatureLevelRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
    decode_record,
    encode_record,
)
from kpy.protocol.schema import Data
from kpy.state_machine import NOTHING, Decision, Record, Reply, ReplyTo

MAX_PRODUCER_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRegistration:
    """What a broker says of itself when it starts. `incarnation_id` is new at every start, directory ids stay."""

    incarnation_id: UUID
    endpoints: Sequence[Endpoint]
    rack: str | None
    log_dirs: Sequence[UUID]


class Controller:
    """Decides, and replays what was decided. `new_uuid` and `random` are its only sources of chance."""

    def __init__(self, *, cluster_id: str, config: BrokerConfig, new_uuid: Callable[[], UUID], random: Random) -> None:
        self._node_id = config.node_id
        self._state = ClusterState(cluster_id)
        self.config_rules = ConfigRules(config)
        self._topic_rules = topics.TopicRules(
            num_partitions=config.num_partitions,
            default_replication_factor=config.default_replication_factor,
            delete_topic_enable=config.delete_topic_enable,
            configs=self.config_rules,
            colliding=self._state.colliding_topic,
            new_uuid=new_uuid,
            random=random,
        )
        self._min_insync_replicas = config.min_insync_replicas

    @property
    def image(self) -> ClusterImage:
        """The cluster as of the last record replayed."""
        return self._state.image()

    def take_changes(self) -> Changes:
        """What has changed since this was last called; after loading, every topic there is counts as created."""
        return self._state.take_changes()

    # Decisions

    def register_broker(self, registration: BrokerRegistration) -> Decision:
        """A broker, this one, has started, and leads what it led before, each partition in a new leader epoch."""
        record = RegisterBrokerRecord(
            broker_id=self._node_id,
            incarnation_id=registration.incarnation_id,
            broker_epoch=self._state.offset,
            end_points=[
                BrokerEndpoint(
                    name=endpoint.listener,
                    host=endpoint.host,
                    port=endpoint.port,
                    security_protocol=endpoint.security_protocol,
                )
                for endpoint in registration.endpoints
            ],
            features=[
                BrokerFeature(name=name, min_supported_version=low, max_supported_version=high)
                for name, (low, high) in features.SUPPORTED.items()
            ],
            rack=registration.rack,
            fenced=False,
            log_dirs=list(registration.log_dirs),
        )
        return _decision([record])

    def create_topics(self, request: CreateTopicsRequest, reply_to: ReplyTo) -> Decision:
        records, response = topics.create_topics(self.image, request, self._topic_rules)
        return _decision(records, Reply(reply_to, response))

    def delete_topics(self, request: DeleteTopicsRequest, version: int, reply_to: ReplyTo) -> Decision:
        records, response = topics.delete_topics(self.image, request, version=version, rules=self._topic_rules)
        return _decision(records, Reply(reply_to, response))

    def create_partitions(self, request: CreatePartitionsRequest, reply_to: ReplyTo) -> Decision:
        records, response = topics.create_partitions(self.image, request, self._topic_rules)
        return _decision(records, Reply(reply_to, response))

    def incremental_alter_configs(self, request: IncrementalAlterConfigsRequest, reply_to: ReplyTo) -> Decision:
        records, response = config_changes.incremental_alter_configs(self.image, request, self.config_rules)
        return _decision(records, Reply(reply_to, response))

    def alter_configs(self, request: AlterConfigsRequest, reply_to: ReplyTo) -> Decision:
        records, response = config_changes.alter_configs(self.image, request, self.config_rules)
        return _decision(records, Reply(reply_to, response))

    def update_features(self, request: UpdateFeaturesRequest, reply_to: ReplyTo) -> Decision:
        records, response = feature_changes.update_features(
            self.image, request, node_id=self._node_id, min_insync_replicas=self._min_insync_replicas
        )
        return _decision(records, Reply(reply_to, response))

    def allocate_producer_ids(self, reply_to: ReplyTo) -> Decision:
        """The next block of producer ids; the reply is the record that gives it (see ProducerIds)."""
        first = self._state.next_producer_id
        if first > MAX_PRODUCER_ID - BLOCK_SIZE:
            raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "every producer id has been used")
        broker = self._state.brokers[self._node_id]
        record = ProducerIdsRecord(
            broker_id=self._node_id, broker_epoch=broker.epoch, next_producer_id=first + BLOCK_SIZE
        )
        return _decision([record], Reply(reply_to, record))

    # The state machine

    def replay(self, record: Record) -> None:
        assert record.value is not None
        self._state.replay(record.value)

    def expire(self, key: Hashable, *, now_ms: int) -> Decision:
        return NOTHING

    def loaded(self, *, now_ms: int) -> Decision:
        """An empty log is formatted: the features, and what they ask for (ActivationRecordsGenerator)."""
        if features.METADATA_VERSION in self._state.features:
            return NOTHING
        records: list[Data] = [
            FeatureLevelRecord(name=name, feature_level=level) for name, level in features.AT_FORMAT.items()
        ]
        records.append(feature_changes.cluster_min_insync_replicas(self._min_insync_replicas))
        return _decision(records)

    def encode(self, record: Record) -> tuple[bytes | None, bytes | None]:
        assert record.value is not None
        return None, encode_record(record.value)

    def decode(self, key: bytes | None, value: bytes | None) -> Record | None:
        message = None if value is None else decode_record(value)
        return None if message is None else Record(None, message)


def _decision(records: Sequence[Data], reply: Reply | None = None) -> Decision:
    return Decision(records=[Record(None, record) for record in records], replies=() if reply is None else (reply,))
