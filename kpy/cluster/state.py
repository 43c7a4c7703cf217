"""What the records of the metadata log add up to.

Replaying is cheap: topics whose partitions change, and the image itself, are put together only when an image is
asked for, so that a creation of a thousand partitions or the loading of a long log makes one image and not thousands.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from uuid import UUID

from kpy.cluster.image import (
    BrokerImage,
    Changes,
    ClusterImage,
    Endpoint,
    PartitionImage,
    Resource,
    ResourceType,
    TopicImage,
)
from kpy.cluster.topic_names import collision_key
from kpy.protocol.metadata_records import (
    ConfigRecord,
    FeatureLevelRecord,
    PartitionChangeRecord,
    PartitionRecord,
    ProducerIdsRecord,
    RegisterBrokerRecord,
    RemoveTopicRecord,
    TopicRecord,
)
from kpy.protocol.schema import Data

UNCHANGED_LEADER = -2  # of a PartitionChangeRecord


class ClusterState:
    """The brokers, topics, configs, features and counters that the records add up to."""

    def __init__(self, cluster_id: str) -> None:
        self._cluster_id = cluster_id
        self.brokers: dict[int, BrokerImage] = {}
        self.features: dict[str, int] = {}
        self.offset = 0
        self.next_producer_id = 0
        self._topics: dict[str, TopicImage] = {}
        self._topics_by_id: dict[UUID, TopicImage] = {}
        self._partitions: dict[UUID, list[PartitionImage]] = {}  # of topics that are newer than their TopicImage
        self._names: dict[str, list[str]] = {}  # collision key -> topics
        self._configs: dict[Resource, Mapping[str, str]] = {}
        self._image: ClusterImage | None = None
        self._created: dict[UUID, None] = {}
        self._deleted: list[TopicImage] = []
        self._grown: dict[UUID, None] = {}
        self._changed_configs: set[Resource] = set()
        self._replays: dict[type[Data], Callable[..., None]] = {
            RegisterBrokerRecord: self._replay_register_broker,
            TopicRecord: self._replay_topic,
            PartitionRecord: self._replay_partition,
            PartitionChangeRecord: self._replay_partition_change,
            RemoveTopicRecord: self._replay_remove_topic,
            ConfigRecord: self._replay_config,
            ProducerIdsRecord: self._replay_producer_ids,
            FeatureLevelRecord: self._replay_feature_level,
        }

    def image(self) -> ClusterImage:
        if self._image is None:
            self._settle_partitions()
            self._image = ClusterImage(
                cluster_id=self._cluster_id,
                brokers=MappingProxyType(self.brokers.copy()),
                topics=MappingProxyType(self._topics.copy()),
                topics_by_id=MappingProxyType(self._topics_by_id.copy()),
                configs=MappingProxyType(self._configs.copy()),
                features=MappingProxyType(self.features.copy()),
                offset=self.offset,
            )
        return self._image

    def take_changes(self) -> Changes:
        self._settle_partitions()
        changes = Changes(
            created=tuple(self._topics_by_id[topic_id] for topic_id in self._created),
            deleted=tuple(self._deleted),
            grown=tuple(self._topics_by_id[topic_id] for topic_id in self._grown),
            configs=frozenset(self._changed_configs),
        )
        self._created.clear()
        self._deleted.clear()
        self._grown.clear()
        self._changed_configs.clear()
        return changes

    def colliding_topic(self, name: str) -> str | None:
        """An existing topic that `name` collides with."""
        return next((other for other in self._names.get(collision_key(name), ()) if other != name), None)

    def replay(self, message: Data) -> None:
        self._image = None
        self.offset += 1
        replay = self._replays.get(type(message))
        if replay is not None:
            replay(message)

    def _settle_partitions(self) -> None:
        for topic_id, partitions in self._partitions.items():
            topic = TopicImage(self._topics_by_id[topic_id].name, topic_id, tuple(partitions))
            self._topics_by_id[topic_id] = self._topics[topic.name] = topic
        self._partitions.clear()

    def _partitions_of(self, topic_id: UUID) -> list[PartitionImage]:
        partitions = self._partitions.get(topic_id)
        if partitions is None:
            partitions = self._partitions[topic_id] = list(self._topics_by_id[topic_id].partitions)
        return partitions

    def _replay_register_broker(self, record: RegisterBrokerRecord) -> None:
        self.brokers[record.broker_id] = BrokerImage(
            broker_id=record.broker_id,
            epoch=record.broker_epoch,
            incarnation_id=record.incarnation_id,
            endpoints=MappingProxyType(
                {
                    endpoint.name: Endpoint(endpoint.name, endpoint.host, endpoint.port, endpoint.security_protocol)
                    for endpoint in record.end_points
                }
            ),
            rack=record.rack,
            fenced=record.fenced,
            log_dirs=tuple(record.log_dirs),
        )
        # Kafka fences a broker that went away and elects it again when it is back, a record for each partition and
        # step. With one broker the outcome is known, so its registration alone stands for it.
        for topic_id in self._topics_by_id:
            partitions = self._partitions_of(topic_id)
            partitions[:] = [
                _led_anew(partition) if partition.leader == record.broker_id else partition for partition in partitions
            ]

    def _replay_topic(self, record: TopicRecord) -> None:
        topic = TopicImage(record.name, record.topic_id, ())
        self._topics[record.name] = self._topics_by_id[record.topic_id] = topic
        self._names.setdefault(collision_key(record.name), []).append(record.name)
        self._created[record.topic_id] = None

    def _replay_partition(self, record: PartitionRecord) -> None:
        partitions = self._partitions_of(record.topic_id)
        assert record.partition_id == len(partitions), f"partition {record.partition_id} of {len(partitions)}"
        partitions.append(
            PartitionImage(
                replicas=tuple(record.replicas),
                isr=tuple(record.isr),
                leader=record.leader,
                leader_epoch=record.leader_epoch,
                partition_epoch=record.partition_epoch,
                eligible_leaders=tuple(record.eligible_leader_replicas or ()),
                last_known_eligible_leaders=tuple(record.last_known_elr or ()),
            )
        )
        if record.topic_id not in self._created:
            self._grown[record.topic_id] = None

    def _replay_partition_change(self, record: PartitionChangeRecord) -> None:
        partitions = self._partitions_of(record.topic_id)
        old = partitions[record.partition_id]
        led_anew = record.leader != UNCHANGED_LEADER
        partitions[record.partition_id] = PartitionImage(
            replicas=old.replicas if record.replicas is None else tuple(record.replicas),
            isr=old.isr if record.isr is None else tuple(record.isr),
            leader=record.leader if led_anew else old.leader,
            leader_epoch=old.leader_epoch + led_anew,
            partition_epoch=old.partition_epoch + 1,
            eligible_leaders=(
                old.eligible_leaders
                if record.eligible_leader_replicas is None
                else tuple(record.eligible_leader_replicas)
            ),
            last_known_eligible_leaders=(
                old.last_known_eligible_leaders if record.last_known_elr is None else tuple(record.last_known_elr)
            ),
        )

    def _replay_remove_topic(self, record: RemoveTopicRecord) -> None:
        self._settle_partitions()
        topic = self._topics_by_id.pop(record.topic_id)
        del self._topics[topic.name]
        names = self._names[collision_key(topic.name)]
        names.remove(topic.name)
        if not names:
            del self._names[collision_key(topic.name)]
        self._configs.pop((ResourceType.TOPIC, topic.name), None)
        self._grown.pop(record.topic_id, None)
        self._created.pop(record.topic_id, None)
        self._deleted.append(topic)

    def _replay_config(self, record: ConfigRecord) -> None:
        resource = (ResourceType(record.resource_type), record.resource_name)
        configs = dict(self._configs.pop(resource, {}))
        if record.value is None:
            configs.pop(record.name, None)
        else:
            configs[record.name] = record.value
        if configs:
            self._configs[resource] = MappingProxyType(configs)
        self._changed_configs.add(resource)

    def _replay_producer_ids(self, record: ProducerIdsRecord) -> None:
        self.next_producer_id = record.next_producer_id

    def _replay_feature_level(self, record: FeatureLevelRecord) -> None:
        if record.feature_level:
            self.features[record.name] = record.feature_level
        else:
            self.features.pop(record.name, None)


def _led_anew(partition: PartitionImage) -> PartitionImage:
    return PartitionImage(
        replicas=partition.replicas,
        isr=partition.isr,
        leader=partition.leader,
        leader_epoch=partition.leader_epoch + 1,
        partition_epoch=partition.partition_epoch + 1,
        eligible_leaders=partition.eligible_leaders,
        last_known_eligible_leaders=partition.last_known_eligible_leaders,
    )
