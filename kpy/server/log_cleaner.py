"""Compaction in the background: the log with the largest dirty part first, `log.cleaner.threads` of them at a time.

A round (`kpy.storage.compaction`) goes in steps of about a millisecond, between which requests are served; what waits
for the disk is done by a worker thread. A log whose bytes or records are not sound is set aside until the next start,
with a line in the log, and one that the disk refused until RETRY_AFTER_SECONDS later: neither is tried again and again.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import trio

from kpy.config import BrokerConfig
from kpy.protocol.compression import DecompressionError
from kpy.protocol.errors import KafkaError
from kpy.protocol.records import InvalidRecord
from kpy.server.clock import Clock
from kpy.server.cold_reads import when_resident
from kpy.server.flushing import Flusher
from kpy.server.maintenance import Checkpoints
from kpy.server.partitions import Partitions
from kpy.server.workers import RunInWorker
from kpy.storage.cleaning_plan import (
    CleaningPlan,
    SegmentFacts,
    needs_times,
    plan_cleaning,
    valid_first_dirty_offset,
)
from kpy.storage.compaction import Compaction, LogDamaged, Steps, facts_of
from kpy.storage.log_config import LogConfig
from kpy.storage.offset_map import OffsetMap
from kpy.storage.partition_log import PartitionLog
from kpy.storage.segment_swap import SwapIncomplete

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS: Final = 60
SEGMENTS_AT_ONCE: Final = 100
"""So many are looked at before others run."""
THROTTLE_SECONDS: Final = 0.05
"""How far a round may be ahead of `log.cleaner.io.max.bytes.per.second`."""


class Throttle:
    """Spreads bytes over time. All rounds together share it."""

    def __init__(self, bytes_per_second: Callable[[], float]) -> None:
        self._bytes_per_second = bytes_per_second
        self._free_at = 0.0

    async def spend(self, size_bytes: int) -> None:
        """Wait until there is room for what was read or written; always lets others run."""
        now = trio.current_time()
        self._free_at = max(self._free_at, now) + size_bytes / max(self._bytes_per_second(), 1.0)
        if self._free_at - now > THROTTLE_SECONDS:
            await trio.sleep_until(self._free_at)
        else:
            await trio.lowlevel.checkpoint()


class LogCleaner:
    """The task that finds logs to compact, and runs the rounds."""

    def __init__(
        self,
        partitions: Partitions,
        flusher: Flusher,
        checkpoints: Checkpoints,
        config: Callable[[], BrokerConfig],
        clock: Clock,
        run_in_worker: RunInWorker,
    ) -> None:
        self._partitions = partitions
        self._flusher = flusher
        self._checkpoints = checkpoints
        self._config = config
        self._clock = clock
        self._run_in_worker = run_in_worker
        self._throttle = Throttle(lambda: config().log_cleaner_io_max_bytes_per_second)
        self._under_way: set[PartitionLog] = set()
        self._resting: dict[PartitionLog, float] = {}
        """Logs that are left alone, and until when."""
        self._woken = trio.Event()

    def check_soon(self) -> None:
        """Look for logs to compact now: topics were altered."""
        self._woken.set()

    async def run(self) -> None:
        """Compact for ever, whenever there is something to compact; it is looked for every `log.cleaner.backoff.ms`."""
        if not self._config().log_cleaner_enable:
            return
        async with trio.open_nursery() as nursery:
            while True:
                self._woken = trio.Event()
                await self._start_rounds(nursery)
                with trio.move_on_after(self._config().log_cleaner_backoff_ms / 1000):
                    await self._woken.wait()

    async def _start_rounds(self, nursery: trio.Nursery) -> None:
        while len(self._under_way) < self._config().log_cleaner_threads:
            found = await self._dirtiest()
            if found is None:
                return
            self._under_way.add(found[0])
            nursery.start_soon(self._compact, *found)

    async def _dirtiest(self) -> tuple[PartitionLog, CleaningPlan] | None:
        """The log of which the largest part is dirty, of those that are due."""
        best = None
        for log in self._candidates():
            plan = await self._plan(log)
            if plan is not None and plan.is_due(log.config) and (best is None or plan.ratio > best[1].ratio):
                best = log, plan
            await trio.lowlevel.checkpoint()
        return best if best is None or self._is_alive(best[0]) else None

    def _candidates(self) -> Iterator[PartitionLog]:
        now = trio.current_time()
        self._resting = {log: until for log, until in self._resting.items() if until > now and self._is_alive(log)}
        for log in self._partitions.tended_logs():
            if log.config.compacted and log not in self._under_way and log not in self._resting:
                yield log

    async def _plan(self, log: PartitionLog) -> CleaningPlan | None:
        config = log.config
        try:
            facts = await self._facts(log, config)
        except OSError as error:
            if self._is_alive(log):
                self._set_aside(log, f"cannot be looked at: {error}", RETRY_AFTER_SECONDS)
            return None
        known = self._partitions.logs.cleaner_offset(log.topic, log.partition)
        start = valid_first_dirty_offset(known, log_start_offset=log.log_start_offset, end_offset=log.end_offset)
        return plan_cleaning(
            facts,
            config,
            first_dirty_offset=start,
            last_stable_offset=self._partitions.last_stable_offset(log),
            now_ms=self._clock.now_ms(),
        )

    async def _facts(self, log: PartitionLog, config: LogConfig) -> list[SegmentFacts]:
        """What is known of the segments; what has to be read for it, a worker reads, one segment after the other."""
        with_times = needs_times(config)
        facts = []
        for number, segment in enumerate(tuple(log.segments), start=1):
            ask = partial(facts_of, segment, with_times=with_times, may_wait=False)
            facts.append(await when_resident(ask, self._run_in_worker))
            if number % SEGMENTS_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        return facts

    async def _compact(self, log: PartitionLog, plan: CleaningPlan) -> None:
        config = self._config()
        threads = max(config.log_cleaner_threads, 1)
        offsets = OffsetMap(config.log_cleaner_dedupe_buffer_size // threads, config.log_cleaner_io_buffer_load_factor)
        buffer_bytes = config.log_cleaner_io_buffer_size // threads // 2
        round_ = Compaction(log, plan, offsets=offsets, now_ms=self._clock.now_ms(), buffer_bytes=buffer_bytes)
        try:
            await self._clean(log, plan, round_)
            for _ in offsets.forget():
                await trio.lowlevel.checkpoint()
        finally:
            self._under_way.discard(log)
            self._woken.set()

    async def _clean(self, log: PartitionLog, plan: CleaningPlan, round_: Compaction) -> None:
        started = trio.current_time()
        try:
            await self._flush(log)
            if await self._take(round_.steps(), log):
                self._partitions.logs.compacted(log.topic, log.partition, round_.end_offset)
                await self._checkpoints.write_cleaner_offsets()
                logger.info(
                    "%s: compacted from offset %d to %d in %.1f s: %d bytes became %d",
                    log.name, plan.first_dirty_offset, round_.end_offset, trio.current_time() - started,
                    round_.bytes_before, round_.bytes_after,
                )  # fmt: skip
        except (OSError, KafkaError) as error:
            if self._is_alive(log):
                self._set_aside(log, f"the disk fails: {error}", RETRY_AFTER_SECONDS)
        except (LogDamaged, InvalidRecord, DecompressionError, SwapIncomplete) as error:
            self._set_aside(log, str(error), float("inf"))
        except Exception:
            logger.exception("a bug in the broker: %s is not compacted until the next start", log.name)
            self._resting[log] = float("inf")  # as Kafka does: the others are compacted

    async def _flush(self, log: PartitionLog) -> None:
        """Have on the disk what is compacted, and the next start know it.

        It cuts a log behind its recovery point where offsets are missing. Raises KafkaError, OSError.
        """
        if self._partitions.logs.is_durable:
            await self._flusher.flush(log)
            await self._checkpoints.secure(log, may_flush=True)
            await self._checkpoints.write()

    async def _take(self, steps: Steps[None], log: PartitionLog) -> bool:
        """Take all steps; False if the log was deleted meanwhile."""
        try:
            step = next(steps)
            while True:
                result = None if step.call is None else await self._run_in_worker(step.call)
                await self._throttle.spend(step.io_bytes)
                if not self._is_alive(log):
                    return False
                step = steps.send(result)
        except StopIteration:
            return True
        finally:
            steps.close()

    def _is_alive(self, log: PartitionLog) -> bool:
        return self._partitions.logs.logs().get((log.topic, log.partition)) is log

    def _set_aside(self, log: PartitionLog, why: str, seconds: float) -> None:
        self._resting[log] = trio.current_time() + seconds
        until = "until the next start" if seconds == float("inf") else f"for {seconds:g} s"
        logger.error("%s: cannot be compacted, and is left alone %s: %s", log.name, until, why)
