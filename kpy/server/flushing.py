"""Brings logs onto the disk: for requests that must not be answered before, and for logs whose time has come.

A log is synced by one thread at a time. Whoever appends while that goes on waits for the next sync, which is one for
all of them. A sync that fails is told to those who waited for it; see `kpy.storage.flushing` for what it means.

flush.messages makes the request wait whose records reach the number; flush.ms makes none wait. Kafka looks for logs
whose time has come every log.flush.scheduler.interval.ms; here each has a timer, set by the first append after a flush,
and anew when its flush.ms is altered.
A log that has rolled is flushed at once and nobody waits (`UnifiedLog.roll`): a start has one segment to walk at most.
So is one that fills its first segment: its names have to be on the disk before it rolls. Who is faster waits for them.
"""

import logging
from collections.abc import Callable

import trio

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.server.storage_errors import StorageErrors
from kpy.server.timers import Alarm, Timers
from kpy.server.workers import RunInWorker
from kpy.storage.flushing import NEVER
from kpy.storage.partition_log import PartitionLog

logger = logging.getLogger(__name__)

WhenFlushed = Callable[[KafkaError | None], None]
"""Called when a log is on the disk, or could not be brought there."""

FLUSH_RETRY_MS = 1000
"""When a log is flushed again that could not be: not sooner, though flush.ms be shorter."""


class _Sync:
    """One sync of one log: up to where it goes, and how it ended."""

    __slots__ = ("done", "error", "up_to")

    def __init__(self, up_to: int) -> None:
        self.up_to = up_to
        self.error: OSError | None = None
        self.done = trio.Event()


class Flusher:
    """Flushes logs. `is_durable`: there is a disk, and flushing has to wait for it."""

    def __init__(self, run_in_worker: RunInWorker, timers: Timers, *, is_durable: bool) -> None:
        self.is_durable = is_durable
        self._run_in_worker = run_in_worker
        self._timers = timers
        self._errors = StorageErrors()
        self._running: dict[PartitionLog, _Sync] = {}
        self._timed: dict[PartitionLog, Alarm] = {}
        self._urgent: set[PartitionLog] = set()
        """Those that are about to be flushed because they have rolled, or will."""
        self._wanted: dict[PartitionLog, list[WhenFlushed]] = {}
        self._woken = trio.Event()

    async def run(self) -> None:
        """Flush what nobody waits for, for ever."""
        async with trio.open_nursery() as nursery:
            while True:
                wanted, self._wanted = self._wanted, {}
                for log, when_flushed in wanted.items():
                    nursery.start_soon(self._flush_for, log, when_flushed)
                self._woken = trio.Event()
                await self._woken.wait()

    async def flush(self, log: PartitionLog) -> None:
        """Wait until all that the log has now is on the disk. Raises KAFKA_STORAGE_ERROR."""
        up_to = log.end_offset
        while log.recovery_point < up_to:
            sync = self._running.get(log)
            if sync is None:
                sync = await self._sync(log)
            else:
                await sync.done.wait()
            if sync.error is not None and sync.up_to >= up_to:
                if log.is_deleted:
                    raise KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, f"{log.name} was deleted")
                raise self._errors.answer(log.name, sync.error) from sync.error

    async def sync_names(self, log: PartitionLog) -> None:
        """Wait until the names of the log's files are on the disk, so that it may roll. Raises OSError."""
        await self._run_in_worker(log.sync_names)
        log.names_synced()

    async def _sync(self, log: PartitionLog) -> _Sync:
        sync = self._running[log] = _Sync(log.end_offset)
        try:
            plan = log.begin_flush()
            if plan is not None:
                await self._run_in_worker(plan.run)
                log.flushed(plan)
        except OSError as error:
            log.flush_failed()
            sync.error = error
        finally:  # who waited for one that was cancelled before it began looks again
            del self._running[log]
            sync.done.set()
        return sync

    def flush_soon(self, log: PartitionLog, when_flushed: WhenFlushed) -> None:
        """Have it flushed by `run`, and be told."""
        self._wanted.setdefault(log, []).append(when_flushed)
        self._woken.set()

    async def _flush_for(self, log: PartitionLog, when_flushed: list[WhenFlushed]) -> None:
        failure: KafkaError | None = None
        try:
            await self.flush(log)
        except KafkaError as error:
            failure = error
        for tell in when_flushed:
            tell(failure)

    def appended(self, log: PartitionLog) -> None:
        """See that the log is flushed in its time, if it has one, and soon if it has rolled, or is about to."""
        if not self.is_durable:
            return
        flush_ms = log.config.flush_ms
        if flush_ms != NEVER and log not in self._timed:
            self._set_timer(log, flush_ms)
        if log.must_flush_soon and log not in self._urgent:
            self._flush_urgent(log)

    def altered(self, log: PartitionLog) -> None:
        """Its flush.ms is another: what is not on the disk yet goes there in the new time."""
        alarm = self._timed.pop(log, None)
        if alarm is not None:
            alarm.cancel()
        if log.recovery_point < log.end_offset:
            self.appended(log)

    def _flush_urgent(self, log: PartitionLog) -> None:
        if log.must_flush_soon and not log.is_deleted:
            self._urgent.add(log)
            self.flush_soon(log, lambda error: self._urgent_flushed(log, error))
        else:
            self._urgent.discard(log)

    def _urgent_flushed(self, log: PartitionLog, error: KafkaError | None) -> None:
        if error is None:
            self._flush_urgent(log)  # it may have rolled again
        else:
            self._timers.alarm(lambda: self._flush_urgent(log)).set(FLUSH_RETRY_MS)

    def _set_timer(self, log: PartitionLog, delay_ms: int) -> None:
        alarm = self._timed[log] = self._timers.alarm(lambda: self._time_has_come(log))
        alarm.set(delay_ms)

    def _time_has_come(self, log: PartitionLog) -> None:
        del self._timed[log]
        self.flush_soon(log, lambda error: self._try_again(log) if error else None)

    def _try_again(self, log: PartitionLog) -> None:
        if log not in self._timed and not log.is_deleted:
            self._set_timer(log, max(log.config.flush_ms, FLUSH_RETRY_MS))
