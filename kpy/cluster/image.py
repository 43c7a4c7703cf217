"""What the cluster is at one moment: brokers, topics, partitions, dynamic configs, features.

Everything here is frozen. The controller makes a new image when something has changed and shares what has not, so
that a reader may keep an image for as long as it likes and look up one topic at the cost of one dictionary access.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple, TypeAlias
from uuid import UUID

from kpy.cluster.topic_names import is_internal

NO_CONFIGS: Mapping[str, str] = MappingProxyType({})


class ResourceType(IntEnum):
    """What a dynamic config belongs to (ConfigResource.Type)."""

    UNKNOWN = 0
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32

    @classmethod
    def _missing_(cls, value: object) -> "ResourceType":  # noqa: ARG003 - whatever it is
        return cls.UNKNOWN


Resource: TypeAlias = tuple[ResourceType, str]


class Endpoint(NamedTuple):
    """Where one listener of a broker is reached by clients."""

    listener: str
    host: str
    port: int
    security_protocol: int = 0  # as in Kafka: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL


class BrokerImage(NamedTuple):
    """A registered broker. `epoch` is that of its registration, one for each start."""

    broker_id: int
    epoch: int
    incarnation_id: UUID
    endpoints: Mapping[str, Endpoint]
    rack: str | None
    fenced: bool
    log_dirs: tuple[UUID, ...] = ()


class PartitionImage(NamedTuple):
    """A partition's replicas, the preferred one first, and who leads them."""

    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int
    leader_epoch: int
    partition_epoch: int
    eligible_leaders: tuple[int, ...] = ()
    last_known_eligible_leaders: tuple[int, ...] = ()


class TopicImage(NamedTuple):
    """A topic and its partitions, which stand at their index."""

    name: str
    topic_id: UUID
    partitions: tuple[PartitionImage, ...]

    @property
    def is_internal(self) -> bool:
        """Whether clients are told to keep their hands off."""
        return is_internal(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterImage:
    """The whole. `configs` holds only what was set by a request; the resource name of all brokers is empty.

    `offset` is the number of records that the image stands on; it rises with every change.
    """

    cluster_id: str
    brokers: Mapping[int, BrokerImage]
    topics: Mapping[str, TopicImage]
    topics_by_id: Mapping[UUID, TopicImage]
    configs: Mapping[Resource, Mapping[str, str]]
    features: Mapping[str, int]
    offset: int

    def topic(self, name: str) -> TopicImage | None:
        return self.topics.get(name)

    def topic_by_id(self, topic_id: UUID) -> TopicImage | None:
        return self.topics_by_id.get(topic_id)

    def partition(self, topic: str, index: int) -> PartitionImage | None:
        found = self.topics.get(topic)
        if found is None or not 0 <= index < len(found.partitions):
            return None
        return found.partitions[index]

    def partition_racks(self, topic: str, index: int) -> list[str]:
        """The racks of a partition's replicas, as far as their brokers say one."""
        partition = self.partition(topic, index)
        brokers = [self.brokers.get(replica) for replica in (partition.replicas if partition is not None else ())]
        return [broker.rack for broker in brokers if broker is not None and broker.rack is not None]

    def config(self, resource_type: ResourceType, name: str) -> Mapping[str, str]:
        """The dynamic configs of one resource."""
        return self.configs.get((resource_type, name), NO_CONFIGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs between two images, for those who keep something per topic or per config.

    A topic that was deleted and created again is in both lists, under two ids. A topic in `created` is not in `grown`.
    One that came and went in between is in `deleted`, for something may be left of it from an earlier process.
    """

    created: tuple[TopicImage, ...] = ()
    deleted: tuple[TopicImage, ...] = ()
    grown: tuple[TopicImage, ...] = ()
    configs: frozenset[Resource] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.created or self.deleted or self.grown or self.configs)
