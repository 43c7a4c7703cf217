"""Clients behind one face: a program that sends lines, a program that prints lines, and an admin."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
SESSION_TIMEOUT_MS = 4000
HEARTBEAT_INTERVAL_MS = 200
AUTO_COMMIT_INTERVAL_MS = 200
RECONNECT_BACKOFF_MAX_MS = 500
"""A broker may be away for ten seconds on a busy machine: nobody shall wait as long again for the next attempt."""


@dataclass(frozen=True, slots=True)
class TopicDescription:
    partitions: int
    retention_ms: str


class Client(ABC):
    """A client library or tool, as its users run it."""

    name: str

    @abstractmethod
    def require(self) -> None:
        """Raise ToolchainMissing if this machine lacks it."""

    @abstractmethod
    def producer(self, bootstrap: str, topic: str, codec: str = "none") -> Sequence[str]:
        """The command of a program that sends each line of its input, idempotently, and ends well if all are stored."""

    @abstractmethod
    def consumer(self, bootstrap: str, topic: str, group: str) -> Sequence[str]:
        """The command of a program that joins the group and prints each value, from the beginning, until SIGTERM."""

    @abstractmethod
    def create_topic(self, bootstrap: str, topic: str, partitions: int, retention_ms: int) -> None: ...

    @abstractmethod
    def describe_topic(self, bootstrap: str, topic: str) -> TopicDescription | None:
        """None if there is no such topic."""

    @abstractmethod
    def delete_topic(self, bootstrap: str, topic: str) -> None: ...
