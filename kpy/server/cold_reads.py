"""What has to be done before a log can be asked, by a thread that may wait for the disk.

`Partition` raises `NotReady` where batches or offsets have to be found in pages that are not in memory, where nobody
has verified them yet, or where the disk has refused to read before. Who asked has a worker do what is wanted, learns
from it, and asks again. Nobody ever waits for the disk instead.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from kpy.protocol.errors import KafkaError
from kpy.server.workers import RunInWorker
from kpy.storage.files import FileRange, NotResident
from kpy.storage.partition_log import LogRead, PartitionLog
from kpy.storage.verification import Findings

T = TypeVar("T")

PREPARATIONS_MAX = 8
"""How often a fetch prepares what it reads; then it gives what is ready, or nothing: memory may be too short, and what
was learnt is there for the next. Cold, unverified and refused bytes take one each, and some an index before.
"""
_STEPS_BYTES = (64 * 1024, 4096)


class NotReady(Exception):
    """Call `prepare` in a worker and `learn` with its result, here; that tells how many bytes can be read, if known.

    `learn` raises KafkaError, made by `refuse`, if the disk has refused.
    """

    def __init__(
        self, work: Callable[[], object], learn: Callable[[Any], int | None], refuse: Callable[[OSError], KafkaError]
    ) -> None:
        super().__init__()
        self._work = work
        self._learn = learn
        self._refuse = refuse

    def prepare(self) -> object:
        try:
            return self._work()
        except OSError as error:
            return error

    def learn(self, result: object) -> int | None:
        if isinstance(result, OSError):
            raise self._refuse(result) from result
        return self._learn(result)


def cold(reason: NotResident, refuse: Callable[[OSError], KafkaError]) -> NotReady:
    """Where it is looked for is not in memory."""

    def learn(result: object) -> None:
        reason.learn(result)

    return NotReady(reason.bring, learn, refuse)


def unverified(log: PartitionLog, read: LogRead, refuse: Callable[[OSError], KafkaError]) -> NotReady:
    """An earlier process wrote some of it, and nobody has looked since whether it is sound."""

    def learn(findings: Findings) -> None:
        log.learn(read, findings)

    return NotReady(partial(log.find_damage, read), learn, refuse)


def suspect(file_range: FileRange, refuse: Callable[[OSError], KafkaError]) -> NotReady:
    """The disk has refused to read some of the file."""

    def learn(readable: int) -> int:
        return readable

    return NotReady(partial(readable_bytes, file_range), learn, refuse)


async def when_resident(ask: Callable[[], T], read_in_worker: RunInWorker) -> T:
    """What is answered, after as many reads by a worker as it takes: `ask` raises NotResident until then."""
    while True:
        try:
            return ask()
        except NotResident as reason:
            reason.learn(await read_in_worker(reason.bring))


def prepare_all(reasons: Sequence[NotReady]) -> list[object]:
    """What a worker does for one request; for many partitions at once, for each hand-over costs."""
    return [reason.prepare() for reason in reasons]


def readable_bytes(file_range: FileRange) -> int:
    """How many bytes of a range the disk gives, from its start on."""
    position = file_range.position
    end = position + file_range.size_bytes
    for step in _STEPS_BYTES:
        with suppress(OSError):
            while position < end:
                size = min(step, end - position)
                file_range.content.bring(position, size)
                position += size
    return position - file_range.position
