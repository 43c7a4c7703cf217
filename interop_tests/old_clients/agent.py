"""The frame of an agent: a program in an old client's environment that does with it what lines of input say.

A command is a line of words with tabs between them, and so is its answer: `ok` and what was asked for, or `error` and
why.

    produce TOPIC CODEC ACKS IDEMPOTENT RECORD...   RECORD is `KEY VALUE`; ends when all are acknowledged
    read TOPIC COUNT                                records from the beginning, without a group
    offset TOPIC PARTITION TIMESTAMP                the first at or after that time, -1 if there is none
    bounds TOPIC PARTITION                          where the partition begins and ends
    join MEMBER TOPIC GROUP                         a consumer that polls until it leaves
    received MEMBER                                 the values that it has got so far
    leave MEMBER                                    commits what it has got, and leaves
    create TOPIC PARTITIONS RETENTION, grow TOPIC PARTITIONS, configure TOPIC RETENTION, delete TOPIC
    topics                                          their names
    describe TOPIC                                  its number of partitions, and retention.ms
    groups                                          their names
    members GROUP                                   its state, and the client id of each member

This module and those of the agents run with nothing of kpy around them, in the old client's environment.
"""

import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

HEADER = "made-by"
"""Every record that an agent produces has a header of this name with the client's id."""

SESSION_TIMEOUT_MS = 6000
HEARTBEAT_INTERVAL_MS = 200
TIMEOUT_S = 60.0


class Member(ABC):
    """A consumer in a group, polled by a thread of its own as a user's program does."""

    def __init__(self, topic: str, group: str) -> None:
        self.values: list[str] = []
        self._arguments = (topic, group)
        self._leaving = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @abstractmethod
    def open(self, topic: str, group: str) -> Any:
        """The consumer, which commits nothing by itself."""

    @abstractmethod
    def poll(self, consumer: Any) -> Iterable[bytes]:
        """The values that have come within a moment."""

    @abstractmethod
    def commit_and_close(self, consumer: Any) -> None: ...

    def received(self) -> list[str]:
        self._check()
        return list(self.values)

    def leave(self) -> None:
        self._leaving.set()
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "the consumer hangs"
        self._check()

    def _check(self) -> None:
        if self._failure:
            raise self._failure

    def _run(self) -> None:
        try:
            consumer = self.open(*self._arguments)
            while not self._leaving.is_set():
                self.values.extend(value.decode() for value in self.poll(consumer))
            self.commit_and_close(consumer)
        except BaseException as failure:  # noqa: BLE001  # told to who asks next
            self._failure = failure


class Agent(ABC):
    """What every client can do; one that administers offers more commands of the list above."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self.bootstrap = bootstrap
        self.client_id = client_id
        self._members: dict[str, Member] = {}

    @abstractmethod
    def produce(self, topic: str, codec: str, acks: str, idempotent: str, *records: str) -> Sequence[object]: ...

    @abstractmethod
    def read(self, topic: str, count: str) -> Sequence[object]: ...

    @abstractmethod
    def offset(self, topic: str, partition: str, timestamp_ms: str) -> Sequence[object]: ...

    @abstractmethod
    def bounds(self, topic: str, partition: str) -> Sequence[object]: ...

    @abstractmethod
    def member(self, topic: str, group: str) -> Member: ...

    def join(self, name: str, topic: str, group: str) -> Sequence[object]:
        self._members[name] = self.member(topic, group)
        return []

    def received(self, name: str) -> Sequence[object]:
        return self._members[name].received()

    def leave(self, name: str) -> Sequence[object]:
        self._members.pop(name).leave()
        return []


def record_word(
    partition: int, offset: int, timestamp_ms: int, key: bytes, value: bytes, headers: Iterable[tuple[str, bytes]]
) -> str:
    """A record as `read` answers it."""
    made_by = dict(headers).get(HEADER, b"-")
    return f"{partition} {offset} {timestamp_ms} {key.decode()} {made_by.decode()} {value.decode()}"


def serve(agent: Agent) -> None:
    """Answer every line of input; nothing but answers goes out."""
    for line in sys.stdin:
        name, *arguments = line.rstrip("\n").split("\t")
        action: Callable[..., Sequence[object]] = getattr(agent, name)
        try:
            answer = ["ok", *action(*arguments)]
        except Exception:  # noqa: BLE001  # told to who asked
            answer = ["error", " | ".join(traceback.format_exc().split("\n"))]
        print(*answer, sep="\t", flush=True)
