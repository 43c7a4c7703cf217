"""What has to be done from time to time, whoever asks or does not: checkpoints, and producers long unseen.

A checkpoint tells the next start where logs begin and how far they are on the disk. What it has to find of producers is
brought there first. Each round looks at one log, or some, and then lets others run, so that no request waits for all.
"""

import logging
from collections.abc import Callable
from functools import partial

import trio

from kpy.config import BrokerConfig
from kpy.protocol.errors import KafkaError
from kpy.server.clock import Clock
from kpy.server.flushing import Flusher
from kpy.server.workers import RunInWorker
from kpy.storage.log_directory import CheckpointOffsets, LogDirectory
from kpy.storage.partition_log import PartitionLog
from kpy.storage.restart_points import capture, missing, store

logger = logging.getLogger(__name__)

LOGS_AT_ONCE = 64


async def open_logs(logs: LogDirectory) -> None:
    """Open what nobody has asked for since the start, so that it is looked after as all others are."""
    for topic, partition in logs.unopened():
        try:
            logs.get(topic, partition)
        except OSError as error:
            logger.error("%s-%d: cannot be opened now: %s", topic, partition, error)
        await trio.lowlevel.checkpoint()


class Checkpoints:
    """Writes checkpoints one after the other: what was true later is written later."""

    def __init__(self, logs: LogDirectory, run_in_worker: RunInWorker, flusher: Flusher) -> None:
        self._logs = logs
        self._run_in_worker = run_in_worker
        self._flusher = flusher
        self._turn = trio.Lock()
        self._securing = trio.Lock()

    async def secure_all(self) -> None:
        """Have on the disk what is known of producers, so that checkpoints may say how far logs are.

        One log after the other: others wait for the same disk, and this is not urgent.
        """
        for number, log in enumerate(tuple(self._logs.logs().values())):
            try:
                await self.secure(log)
            except (OSError, KafkaError) as error:
                if not log.is_deleted:
                    logger.error("%s: cannot write what is known of its producers: %s", log.name, error)
            if number % LOGS_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    async def secure(self, log: PartitionLog, *, may_flush: bool | None = None) -> None:
        """As `secure_all`, of one log; `may_flush` as of `restart_points.missing`. Raises OSError, KafkaError."""
        if not self._logs.is_durable or log.is_deleted or missing(log, may_flush=may_flush) is None:
            return
        async with self._securing:
            captured = capture(log, may_flush=may_flush)
            if captured is None:
                return
            if captured.offset > log.recovery_point:
                await self._flusher.flush(log)
            for step in store(log, captured, self._logs.restart_point_on_disk(log)):
                await self._run_in_worker(step)

    async def write(self) -> None:
        """All of them. Raises OSError."""
        self._logs.checkpoint_written(await self._write(self._logs.checkpoint_offsets))

    @property
    def must_forget(self) -> bool:
        """Whether checkpoints on the disk may say something of logs that are no more."""
        return self._logs.must_forget

    async def forget_deleted(self) -> None:
        """Write them without those logs. If the disk refuses, whoever makes a new log in their place has to."""
        try:
            await self.write()
        except OSError as error:
            logger.error("cannot write the checkpoints: %s", error)

    async def write_log_starts(self) -> None:
        """Have on the disk where logs start now. Raises OSError."""
        await self._write(self._logs.log_start_offsets)

    async def write_cleaner_offsets(self) -> None:
        """Have on the disk up to where logs have been compacted. Raises OSError."""
        await self._write(self._logs.cleaner_offsets)

    async def _write(self, offsets: Callable[[], CheckpointOffsets]) -> CheckpointOffsets:
        async with self._turn:
            written = offsets()
            await self._run_in_worker(partial(self._logs.write, written))
        return written


async def write_checkpoints_forever(checkpoints: Checkpoints, config: BrokerConfig) -> None:
    """Every `log.flush.offset.checkpoint.interval.ms`. A disk that refuses is tried again the next time."""
    while True:
        await trio.sleep(config.log_flush_offset_checkpoint_interval_ms / 1000)
        await checkpoints.secure_all()
        try:
            await checkpoints.write()
        except OSError as error:
            logger.error("cannot write the checkpoints: %s", error)


async def expire_producers_forever(logs: LogDirectory, config: Callable[[], BrokerConfig], clock: Clock) -> None:
    """Forget the sequence numbers of producers that have not written for `producer.id.expiration.ms`."""
    while True:
        await trio.sleep(config().producer_id_expiration_check_interval_ms / 1000)
        for log in list(logs.logs().values()):
            log.producers.expire(clock.now_ms(), config().producer_id_expiration_ms)
            await trio.lowlevel.checkpoint()
