"""What a group coordinator may ask about topics: a view of the cluster image, which it does not import."""

from collections.abc import Sequence
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

    def topic(self, name: str) -> Topic | None: ...

    def topic_by_id(self, topic_id: UUID) -> Topic | None: ...
