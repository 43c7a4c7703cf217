"""Clients of earlier years, behind one face, each from an environment of its own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """A record as a client read it; `made_by` is a header that every record here has."""

    partition: int
    offset: int
    timestamp_ms: int
    key: str
    made_by: str
    value: str

    @classmethod
    def parse(cls, line: str, separator: str = " ") -> "Record":
        """From the fields in that order."""
        partition, offset, timestamp_ms, key, made_by, value = line.split(separator, 5)
        return cls(int(partition), int(offset), int(timestamp_ms), key, made_by, value)


class Member(ABC):
    """A consumer in a group, reading from the beginning what nobody has committed."""

    @abstractmethod
    def received(self) -> list[str]:
        """The values that have come so far."""

    @abstractmethod
    def leave(self) -> None:
        """With all that was received committed."""


class OldClient(ABC):
    """A client of an exact version, on one broker."""

    broken = False
    """It did not answer, and has to be started anew."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self.bootstrap = bootstrap
        self.name = name

    @abstractmethod
    def close(self) -> None:
        """Its processes are gone."""

    @abstractmethod
    def produce(
        self,
        topic: str,
        records: Sequence[tuple[str, str]],
        *,
        codec: str = "none",
        acks: str = "all",
        idempotent: bool = False,
    ) -> None:
        """Keys and values; returns when the client says that they are stored, with acks=0 when they are sent."""

    @abstractmethod
    def read(self, topic: str, count: int) -> list[Record]:
        """So many records from the beginning of all partitions, without a group."""

    @abstractmethod
    def offset_at(self, topic: str, timestamp_ms: int) -> int:
        """In partition 0, the first offset at or after that time; -1 if there is none."""

    @abstractmethod
    def bounds(self, topic: str) -> tuple[int, int]:
        """Where partition 0 begins and ends."""

    @abstractmethod
    def join(self, topic: str, group: str) -> Member: ...
