"""What has to be done before a range of a log can be named in an answer, by a thread that may wait for the disk.

`Partition.read` raises `NotReady` where the batches have to be found in pages that are not in memory, or where the disk
has refused to read before. The fetch has a worker do what is asked, learns from it, and reads again.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from kpy.storage.files import FileRange, NotResident
from kpy.storage.partition_log import LogRead, PartitionLog
from kpy.storage.verification import Findings

PREPARATIONS_MAX = 3
"""How often a fetch prepares what it reads; then it waits for the disk itself: memory may be too short to prepare."""
_STEPS_BYTES = (64 * 1024, 4096)


class NotReady(Exception):
    """Call `prepare` in a worker and `learn` with its result, here; that tells how many bytes can be read, if known."""

    def __init__(self, prepare: Callable[[], object], learn: Callable[[object], int | None] = lambda _result: None):
        super().__init__()
        self.prepare = prepare
        self.learn = learn


def cold(reason: NotResident) -> NotReady:
    """Where batches are looked for is not in memory."""

    def prepare() -> None:
        with suppress(OSError):  # reading it again says so
            reason.bring()

    return NotReady(prepare)


def unverified(log: PartitionLog, read: LogRead) -> NotReady:
    """An earlier process wrote some of it, and nobody has looked since whether it is sound."""

    def learn(findings: object) -> None:
        assert isinstance(findings, Findings)
        log.learn(read, findings)

    return NotReady(partial(log.find_damage, read), learn)


def suspect(file_range: FileRange) -> NotReady:
    """The disk has refused to read some of the file."""

    def learn(result: object) -> int:
        assert isinstance(result, int)
        return result

    return NotReady(partial(readable_bytes, file_range), learn)


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
