"""What a group coordinator may ask about topics: a view of the cluster image, which it does not import."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

NO_TOPIC_ID = UUID(int=0)


class Topic(Protocol):
    """A topic that exists."""

    @property
    def name(self) -> str: ...

    @property
    def topic_id(self) -> UUID: ...

    @property
    def partitions(self) -> Sequence[object]: ...


class Topics(Protocol):
    """The topics that exist, by name and by id."""

    @property
    def topics(self) -> Mapping[str, Topic]:
        """All of them, by name."""

    @property
    def offset(self) -> int:
        """Rises with every change."""

    def topic(self, name: str) -> Topic | None: ...

    def topic_by_id(self, topic_id: UUID) -> Topic | None: ...

    def partition_racks(self, topic: str, index: int) -> list[str]:
        """The racks of a partition's replicas, as far as their brokers say one."""


class NoTopics:
    """The view of a coordinator that has not been shown any topics yet."""

    topics: Mapping[str, Topic] = {}
    offset = 0

    def topic(self, name: str) -> Topic | None:
        return None

    def topic_by_id(self, topic_id: UUID) -> Topic | None:
        return None

    def partition_racks(self, topic: str, index: int) -> list[str]:
        return []
