"""Bringing all logs of a directory to the disk at the end, shared by as many threads as want to help.

Each log is flushed, and leaves what makes the next start short: its indexes and what is known of its producers. Kafka
does the same with num.recovery.threads.per.data.dir threads (`LogManager.shutdown`). A thread takes some logs at a
time: the disk begins with all of them before it is waited for, and the names of their directories are synced once for
all, before any of them counts as flushed.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final

from kpy.storage.files import Files
from kpy.storage.flushing import FlushPlan
from kpy.storage.partition_log import PartitionLog

_logger = logging.getLogger(__name__)

LOGS_AT_ONCE: Final = 64


class Closing:
    """The logs that are left to be closed. `failure` is the last error, None if all went well so far."""

    def __init__(self, files: Files, logs: Iterable[PartitionLog]) -> None:
        self._files = files
        self._left = iter(list(logs))
        self._lock = threading.Lock()
        self.failure: OSError | None = None

    def run(self) -> None:
        """Close logs until none is left, whatever becomes of the others; from any thread, several at once too."""
        while logs := self._take():
            self._close(logs)

    def _take(self) -> Sequence[PartitionLog]:
        with self._lock:
            return list(islice(self._left, LOGS_AT_ONCE))

    def _close(self, logs: Sequence[PartitionLog]) -> None:
        flushed: list[PartitionLog] = []
        begun: list[tuple[PartitionLog, FlushPlan]] = []
        for log in logs:
            with self._failing(log):
                log.seal()
                plan = log.begin_flush()
                if plan is None:
                    flushed.append(log)
                else:
                    plan.begin()
                    begun.append((log, plan))
        flushed += self._flush(begun)
        for log in flushed:
            with self._failing(log):
                log.close()

    def _flush(self, begun: Sequence[tuple[PartitionLog, FlushPlan]]) -> Sequence[PartitionLog]:
        """Which of them are on the disk."""
        synced: list[tuple[PartitionLog, FlushPlan]] = []
        for log, plan in begun:
            with self._failing(log):
                plan.run_within()
                synced.append((log, plan))
        flushed: list[PartitionLog] = []
        with self._failing(*(log for log, _ in synced)):
            if any(plan.has_new_names for _, plan in synced):
                self._files.sync_directory()
            for log, plan in synced:
                log.flushed(plan)
                flushed.append(log)
        return flushed

    @contextmanager
    def _failing(self, *logs: PartitionLog) -> Iterator[None]:
        """An error of the disk is one of these logs, and the others go on."""
        try:
            yield
        except OSError as error:
            self.failure = error
            for log in logs:
                log.flush_failed()
                _logger.error("%s: cannot write it: %s", log.name, error)
