"""Old segments are deleted: all logs every `log.retention.check.interval.ms`, those of a topic when it is altered.

First the starts of logs move, then they are written down, then the files go. A few segments at a time, and then others
run, so that no request waits for all of them. How old cold segments are a worker reads.
"""

import logging
from collections.abc import Callable, Collection, Iterable

import trio

from kpy.config import BrokerConfig
from kpy.protocol.errors import KafkaError
from kpy.server.clock import Clock
from kpy.server.cold_reads import when_resident
from kpy.server.partitions import Partitions
from kpy.server.workers import RunInWorker
from kpy.storage.partition_log import PartitionLog

logger = logging.getLogger(__name__)


class Retention:
    """The one task that deletes segments because of their age, their size, or the log start."""

    def __init__(
        self,
        partitions: Partitions,
        config: Callable[[], BrokerConfig],
        clock: Clock,
        read_in_worker: RunInWorker,
    ) -> None:
        self._partitions = partitions
        self._config = config
        self._clock = clock
        self._read_in_worker = read_in_worker
        self._altered: set[str] = set()
        self._woken = trio.Event()

    def check_soon(self, topics: Collection[str]) -> None:
        """Look at the logs of these topics now: how long they keep what they have may be another."""
        self._altered.update(topics)
        self._woken.set()

    async def run(self) -> None:
        """Check for ever, at first after `log.initial.task.delay.ms`."""
        self._altered.clear()  # what was there at the start was not altered
        next_check = trio.current_time() + self._config().log_initial_task_delay_ms / 1000
        while True:
            with trio.move_on_at(next_check):
                await self._woken.wait()
            self._woken = trio.Event()
            altered, self._altered = self._altered, set()
            if trio.current_time() >= next_check:
                await self._check(self._partitions.tended_logs())
                next_check = trio.current_time() + self._config().log_retention_check_interval_ms / 1000
            else:
                await self._check(log for log in self._partitions.tended_logs() if log.topic in altered)

    async def _check(self, logs: Iterable[PartitionLog]) -> None:
        doomed = []
        for log in logs:
            try:
                await self._give_up_old_segments(log)
            except OSError as error:
                if not log.is_deleted:
                    logger.error("%s: cannot tell what is old: %s", log.name, error)
            if log.has_deleted:
                doomed.append(log)
            await trio.lowlevel.checkpoint()
        if not doomed:
            return
        try:
            await self._partitions.checkpoint_log_starts()
        except KafkaError as error:
            logger.error("no old segment is deleted: %s", error)
            return
        for log in doomed:
            while self._remove_some(log):
                await trio.lowlevel.checkpoint()

    async def _give_up_old_segments(self, log: PartitionLog) -> None:
        """Ask as often as it takes to find out how old segments are, unless the log is deleted meanwhile."""

        def give_up() -> None:
            if not log.is_deleted:
                self._partitions.give_up_old_segments(log, now_ms=self._clock.now_ms())

        await when_resident(give_up, self._read_in_worker)

    def _remove_some(self, log: PartitionLog) -> bool:
        try:
            return log.remove_deleted() > 0
        except OSError as error:
            logger.error("%s: cannot delete old segments: %s", log.name, error)
            return False
