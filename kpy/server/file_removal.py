"""Removes the files of deleted segments and topics, `file.delete.delay.ms` after they were renamed.

Until then whoever deleted too much can copy them back. A large file takes the kernel a while, so a worker thread does
it. What is not removed when the broker stops goes at the next start.
"""

import heapq
import logging
from collections.abc import Sequence
from functools import partial
from itertools import count

import trio

from kpy.server.workers import RunInWorker
from kpy.storage.files import Files
from kpy.storage.log_context import remove_file_or_directory, sync_last_names

logger = logging.getLogger(__name__)


class FileRemoval:
    """What has to be removed, and when."""

    def __init__(self, files: Files, run_in_worker: RunInWorker) -> None:
        self._files = files
        self._run_in_worker = run_in_worker
        self._due: list[tuple[float, int, Sequence[str]]] = []
        self._order = count()
        self._earlier = trio.Event()

    def later(self, paths: Sequence[str], delay_ms: int) -> None:
        """Remove these files and directories after so many milliseconds; those that are not there are no error."""
        heapq.heappush(self._due, (trio.current_time() + delay_ms / 1000, next(self._order), paths))
        self._earlier.set()

    async def run(self) -> None:
        """Remove what comes due, for ever."""
        while True:
            while self._due and self._due[0][0] <= trio.current_time():
                _, _, paths = heapq.heappop(self._due)
                await self._run_in_worker(partial(self._remove, paths))
            self._earlier = trio.Event()
            with trio.move_on_at(self._due[0][0] if self._due else float("inf")):
                await self._earlier.wait()

    def _remove(self, paths: Sequence[str]) -> None:
        try:
            sync_last_names(self._files, paths)
        except OSError as error:
            logger.error("cannot remove %s: %s; the next start will", ", ".join(paths), error)
            return
        for path in paths:
            try:
                remove_file_or_directory(self._files, path)
            except OSError as error:
                logger.error("cannot remove %s: %s; the next start will", path, error)
