"""What has to be seen to while ranges of files go out: that they are in memory, and that nobody holds them for ever.

`sendfile` waits for the disk where a page is not in memory, and everybody would wait with it. So a range goes out in
pieces, and a piece that may be cold is read by a worker thread first; never more than that, for the client may be slow.

A reply under way keeps its files open, so that deleting and replacing them changes nothing of it. A client that does
not take its reply would keep deleted files on the disk: there is a bound in time and in bytes, and whoever passes it is
closed.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import trio

from kpy.server.log_limit import OncePerSecond
from kpy.server.workers import RunInWorker, inline
from kpy.storage.files import Content, FileRange, follows_cold

logger = logging.getLogger(__name__)

PIECE_BYTES_MAX = 1 << 20
"""What one sendfile may move, and what is read ahead of it."""
RESIDENT_SECONDS = 1.0
"""How long what was found in memory is taken to be there while the client takes nothing."""
HELD_SECONDS_MAX = 60.0
"""How long a reply may be under way after its file was deleted."""
HELD_BYTES_MAX = 1 << 32
"""How much of the disk, or of memory, deleted files may take that replies hold."""
LOOK_SECONDS = 5.0


def must_read_ahead(file_range: FileRange) -> bool:
    """Whether a worker has to read the first piece of a range before it is sent: it is cold, or nobody knows.

    Or if it follows what was cold: then the kernel has begun to read this one, some of it may be there, and to send it
    would make the kernel begin with the next, which takes milliseconds where it reads ahead by megabytes.
    """
    if file_range.is_resident is not None:
        return not file_range.is_resident
    content, position = file_range.content, file_range.position
    size_bytes = min(file_range.size_bytes, PIECE_BYTES_MAX)
    return follows_cold(content, position, size_bytes) or not content.is_resident(position, size_bytes)


class Sender(Protocol):
    """Who sends a reply."""

    def abort(self, reason: str) -> None:
        """End the connection at once."""


class _Held:
    """The files of one reply under way."""

    __slots__ = ("contents", "deleted_since")

    def __init__(self, contents: Sequence[Content]) -> None:
        self.contents = contents
        self.deleted_since: float | None = None

    def deleted_bytes(self) -> int:
        return sum(content.deleted_bytes() for content in self.contents)


class Sending:
    """All replies under way whose clients are slow to take them."""

    def __init__(self, run_in_worker: RunInWorker = inline) -> None:
        self._run_in_worker = run_in_worker
        self._held: dict[Sender, _Held] = {}
        self._begun = trio.Event()
        self._logs_failure = OncePerSecond()

    async def make_ready(self, content: Content, position: int, size_bytes: int) -> None:
        """Have a worker read a piece. OSError if it cannot be read."""
        try:
            await self._run_in_worker(partial(content.bring, position, size_bytes))
        except OSError as error:
            content.has_failed = True  # the next fetch of it is told
            if self._logs_failure():
                logger.error("a reply ends early, for the disk fails: %s", error)
            raise

    def hold(self, sender: Sender, contents: Sequence[Content]) -> None:
        """`sender` waits for its client with these files open."""
        if sender not in self._held:
            self._held[sender] = _Held(contents)
            self._begun.set()

    def let_go(self, sender: Sender) -> None:
        """Its reply is sent, or never will be."""
        self._held.pop(sender, None)

    async def watch_forever(self) -> None:
        """Close those who hold deleted files for too long, or too much of them."""
        while True:
            if not self._held:
                self._begun = trio.Event()
                await self._begun.wait()
            await trio.sleep(LOOK_SECONDS)
            self._look(trio.current_time())

    def _look(self, now: float) -> None:
        total_bytes = 0
        oldest_last: list[tuple[float, int, Sender]] = []
        for sender, held in self._held.items():
            size_bytes = held.deleted_bytes()
            if not size_bytes:
                continue
            held.deleted_since = now if held.deleted_since is None else held.deleted_since
            oldest_last.append((now - held.deleted_since, size_bytes, sender))
            total_bytes += size_bytes
        for seconds, size_bytes, sender in sorted(oldest_last, key=lambda entry: entry[0], reverse=True):
            if seconds < HELD_SECONDS_MAX and total_bytes <= HELD_BYTES_MAX:
                return
            sender.abort(f"it does not take its reply, which keeps {size_bytes} bytes of deleted files")
            total_bytes -= size_bytes
