"""The partitions that this broker leads: logs, high watermarks, and who waits for them.

A log is opened when its partition is first asked for, so that a topic of many partitions costs nothing until used.
With one broker the in-sync replicas are the leader alone, and the high watermark follows each append at once, or where
flush.messages asks for the disk, when it is there.
"""

import errno
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

import trio

from kpy.cluster.image import Changes, ClusterImage, ResourceType, TopicImage
from kpy.cluster.topic_names import CLUSTER_METADATA
from kpy.config import BrokerConfig
from kpy.protocol.crc import Buffer
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.server.clock import Clock
from kpy.server.cold_reads import cold, suspect, unverified
from kpy.server.flushing import Flusher, WhenFlushed
from kpy.server.log_configs import log_config
from kpy.server.maintenance import Checkpoints
from kpy.server.storage_errors import StorageErrors
from kpy.server.waiters import Waiters
from kpy.server.workers import RunInWorker
from kpy.storage.batch_validation import TooMuchWork, ValidBatch, valid_batch
from kpy.storage.files import FileRange, NotResident
from kpy.storage.log_directory import LogDirectory
from kpy.storage.partition_log import AppendResult, LogConfig, LogRead, PartitionLog, TimestampOffset

logger = logging.getLogger(__name__)

KeyAndValue = tuple[bytes | None, bytes | None]


class Partition:
    """One partition on its leader. Whatever the disk refuses is KAFKA_STORAGE_ERROR.

    Invariant: log.log_start_offset <= high_watermark <= log.end_offset.
    """

    __slots__ = (
        "_clock",
        "_errors",
        "_flusher",
        "_is_flushing",
        "_log",
        "_turns",
        "_unseen_bytes",
        "_validate_in_worker",
        "high_watermark",
        "is_removed",
        "leader_epoch",
        "taking_turns",
        "waiters",
    )

    def __init__(
        self,
        log: PartitionLog,
        leader_epoch: int,
        clock: Clock,
        errors: StorageErrors,
        flusher: Flusher,
        validate_in_worker: RunInWorker,
    ) -> None:
        self._clock = clock
        self._errors = errors
        self._flusher = flusher
        self._log = log
        self._validate_in_worker = validate_in_worker
        self._turns: trio.Lock | None = None
        """Held by whose batch is validated by a worker, and handed on in the order of arrival."""
        self.taking_turns = 0
        """How many batches are validated by a worker or wait behind one; another that comes has to wait, too."""
        self.is_removed = False
        """Whether the topic is no more; one of that name is another."""
        self.leader_epoch = leader_epoch
        self.high_watermark = log.end_offset
        self.waiters = Waiters()
        self._unseen_bytes = 0
        """So much was appended that may not be read yet."""
        self._is_flushing = False

    @property
    def log(self) -> PartitionLog:
        """For questions about what is stored; appends and reads go through the partition."""
        return self._log

    def configure(self, config: LogConfig) -> None:
        """From now on its log has this configuration."""
        flush_ms, self._log.config = self._log.config.flush_ms, config
        if config.flush_ms != flush_ms:
            self._flusher.altered(self._log)

    def check_leader_epoch(self, known_epoch: int) -> None:
        """Refuse a client that knows an older or a newer leader; -1 is one that does not care (KIP-320)."""
        if known_epoch in (-1, self.leader_epoch):
            return
        if known_epoch < self.leader_epoch:
            raise KafkaError(ErrorCode.FENCED_LEADER_EPOCH, f"{known_epoch} is older than {self.leader_epoch}")
        raise KafkaError(ErrorCode.UNKNOWN_LEADER_EPOCH, f"{known_epoch} is newer than {self.leader_epoch}")

    def append(self, records: Buffer) -> AppendResult:
        """Append one batch of a producer; it is committed when this returns, unless it `must_flush`. Raises KafkaError.

        Then its producer waits for `flush`, and so do its readers: Kafka's UnifiedLog.append flushes before Partition
        moves the high watermark. Raises TooMuchWork for what takes too long for the event loop: that is for
        `append_in_turn`, and so is every batch that comes while others are `taking_turns`.
        """
        try:
            result = self._log.append(records, leader_epoch=self.leader_epoch, now_ms=self._clock.now_ms(), quick=True)
        except OSError as error:
            raise self._errors.answer(self._log.name, error) from error
        if not result.duplicate:
            self._appended(result.size_bytes)
        return result

    async def append_in_turn(self, records: Buffer, *, is_large: bool) -> AppendResult:
        """As `append`, after those who called this before; a worker validates what is large, and waits for the disk.

        As in Kafka, where the log's lock is held meanwhile, batches are stored in the order in which they came, and by
        what holds when they are stored: if the topic is altered meanwhile, the batch is validated once more.
        """
        if self._turns is None:
            self._turns = trio.Lock()
        self.taking_turns += 1
        try:
            async with self._turns:
                self._check_not_removed()
                if not is_large:
                    with suppress(TooMuchWork):
                        return self.append(records)
                return await self._append_large(memoryview(records).toreadonly())
        finally:
            self.taking_turns -= 1

    async def _append_large(self, records: memoryview) -> AppendResult:
        while True:
            config, now_ms = self._log.config, self._clock.now_ms()
            valid = await self._validate_in_worker(partial(valid_batch, records, config, now_ms=now_ms))
            await self._prepare_to_roll(valid, now_ms)
            self._check_not_removed()
            if self._log.config == config:
                return self._append_valid(valid, now_ms)

    async def _prepare_to_roll(self, valid: ValidBatch, now_ms: int) -> None:
        if self._log.waits_to_roll(valid.data, now_ms):
            try:
                await self._flusher.sync_names(self._log)
            except OSError as error:
                self._check_not_removed()
                raise self._errors.answer(self._log.name, error) from error

    def _check_not_removed(self) -> None:
        if self.is_removed:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{self._log.name} was deleted")

    def _append_valid(self, valid: ValidBatch, now_ms: int) -> AppendResult:
        with self._errors.answered(self._log.name):
            result = self._log.append_valid(valid, leader_epoch=self.leader_epoch, now_ms=now_ms)
        if not result.duplicate:
            self._appended(result.size_bytes)
        return result

    @property
    def must_flush(self) -> bool:
        """Whether who has appended has to wait for `flush` (flush.messages)."""
        return self._log.flush_is_due and self._flusher.is_durable

    async def flush(self) -> None:
        """Wait until all that was appended is on the disk. Raises KAFKA_STORAGE_ERROR."""
        await self._flusher.flush(self._log)
        self._advance()

    def when_durable(self, tell: WhenFlushed) -> None:
        """Call `tell` once what was appended is flushed, at once if flush.messages asks for nothing."""
        if self.must_flush:
            self._flusher.flush_soon(self._log, tell)
        else:
            tell(None)

    @property
    def max_batch_bytes(self) -> int:
        """The size of a batch that it takes."""
        return self._log.config.max_message_bytes

    def append_records(self, records: Sequence[KeyAndValue]) -> None:
        """Append the records of a state machine as one batch. Raises KafkaError."""
        log = self._log
        try:
            now_ms = self._clock.now_ms()
            result = log.append_records(records, leader_epoch=self.leader_epoch, now_ms=now_ms, quick=True)
        except OSError as error:
            raise self._errors.answer(log.name, error) from error
        self._appended(result.size_bytes)

    def read_records(self) -> Iterator[KeyAndValue]:
        """Every record that is stored, but for what transactions have not committed, for a state machine that loads.

        Raises KafkaError, and DecodeError for what is sound and cannot be read.
        """
        with self._errors.answered(self._log.name):
            for batch in self._log.committed_batches(self._log.log_start_offset):
                for record in batch:
                    yield record.key, record.value

    def read(
        self,
        offset: int,
        max_bytes: int,
        *,
        committed_only: bool,
        at_least_one: bool,
        readable_bytes: int | None = None,
    ) -> LogRead:
        """Batches from the one that holds `offset`, up to what a consumer may see.

        Raises OFFSET_OUT_OF_RANGE, and CORRUPT_MESSAGE for an offset whose record is damaged. Raises NotReady where the
        disk has to be waited for first. `readable_bytes` is what is known then of how much the disk gives.
        """
        up_to = self.last_stable_offset if committed_only else self.high_watermark
        if readable_bytes is not None:
            max_bytes = min(max_bytes, readable_bytes)
        try:
            read = self._log.read(offset, max_bytes, up_to=up_to, at_least_one=at_least_one, may_wait=False)
            if read.unchecked:
                raise unverified(self._log, read, self._refuse)
            for part in read.parts:
                if part.content.has_failed:
                    self._check_readable(part, readable_bytes)
        except NotResident as reason:
            raise cold(reason, self._refuse) from None
        except OSError as error:
            raise self._refuse(error) from error
        return read

    def _refuse(self, error: OSError) -> KafkaError:
        return self._errors.answer(self._log.name, error)

    def _check_readable(self, part: FileRange, readable_bytes: int | None) -> None:
        if readable_bytes is None:
            raise suspect(part, self._refuse)
        if part.size_bytes > readable_bytes:
            raise OSError(errno.EIO, f"only {readable_bytes} bytes can be read of a batch of {part.size_bytes}")

    def offset_for_timestamp(self, timestamp: int) -> TimestampOffset | None:
        """The first record whose timestamp is at least that. Raises NotReady."""
        return self._look_up(partial(self._log.offset_for_timestamp, timestamp, may_wait=False))

    def max_timestamp(self) -> TimestampOffset | None:
        """The first record that has the largest timestamp of all. Raises NotReady."""
        return self._look_up(partial(self._log.max_timestamp, may_wait=False))

    def _look_up(self, find: Callable[[], TimestampOffset | None]) -> TimestampOffset | None:
        try:
            return find()
        except NotResident as reason:
            raise cold(reason, self._refuse) from None
        except OSError as error:
            raise self._refuse(error) from error

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """The greatest epoch up to that one, and where it ends; -1 for both if there is none.

        The log knows the epochs in which something was written. The leader's own begins at its end until then, and
        those between have no place in between (Kafka's leader assigns its epoch a start as soon as it leads).
        """
        if epoch == self.leader_epoch:
            return epoch, self._log.end_offset
        latest = self._log.latest_leader_epoch
        if latest < epoch < self.leader_epoch:
            return epoch if latest < 0 else latest, self._log.end_offset
        return self._log.end_offset_for_epoch(epoch)

    @property
    def last_stable_offset(self) -> int:
        """Below it no transaction is open."""
        return min(self._log.last_stable_offset, self.high_watermark)

    def delete_records_before(self, offset: int) -> int:
        """Move the log start; -1 means the high watermark. Returns the new start. Raises OFFSET_OUT_OF_RANGE."""
        if self._log.config.cleanup_policy == {"compact"}:
            raise KafkaError(ErrorCode.POLICY_VIOLATION, "the cleanup policy of the topic keeps its records")
        target = self.high_watermark if offset == -1 else offset
        if not 0 <= target <= self.high_watermark:
            raise KafkaError(
                ErrorCode.OFFSET_OUT_OF_RANGE,
                f"cannot delete records before {offset}: the high watermark is {self.high_watermark}",
            )
        with self._errors.answered(self._log.name):
            start = self._log.delete_records_before(target)
        self.waiters.wake()
        return start

    def _appended(self, size_bytes: int) -> None:
        self._unseen_bytes += size_bytes
        self._advance()
        self._flusher.appended(self._log)

    def _advance(self) -> None:
        """Let readers see what they may; what they may not is flushed, whatever becomes of its producer."""
        high_watermark = self._log.end_offset
        if self.must_flush:
            high_watermark = max(self.high_watermark, self._log.recovery_point)
            if not self._is_flushing:
                self._is_flushing = True
                self._flusher.flush_soon(self._log, self._flushed)
        if high_watermark > self.high_watermark:
            self.high_watermark = high_watermark
            self.waiters.more_bytes(self._unseen_bytes)
            self._unseen_bytes = 0

    def _flushed(self, error: KafkaError | None) -> None:
        """If it could not be, the next append tries again."""
        self._is_flushing = False
        if error is None:
            self._advance()


class Partitions:
    """Finds the partition that a request names, and follows the cluster image."""

    def __init__(
        self,
        logs: LogDirectory,
        clock: Clock,
        flusher: Flusher,
        checkpoints: Checkpoints,
        validate_in_worker: RunInWorker,
    ) -> None:
        self.logs = logs
        self._clock = clock
        self._flusher = flusher
        self._checkpoints = checkpoints
        self._validate_in_worker = validate_in_worker
        self._image: ClusterImage | None = None
        self._config: BrokerConfig | None = None
        self._errors = StorageErrors()
        self._open: dict[tuple[str, int], Partition] = {}
        self._log_configs: dict[str, LogConfig] = {}

    @property
    def image(self) -> ClusterImage:
        """The cluster as these partitions know it."""
        if self._image is None:
            raise AssertionError("partitions are asked for before the cluster image is loaded")
        return self._image

    def find(self, topic: str, index: int) -> Partition:
        """Raises UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR."""
        found = self._open.get((topic, index))
        return found if found is not None else self._open_partition(topic, index)

    def log(self, topic: str, index: int) -> PartitionLog | None:
        """What is stored of a partition, None if that is nothing yet. Raises KAFKA_STORAGE_ERROR."""
        with self._errors.answered(f"{topic}-{index}"):
            return self.logs.get(topic, index)

    def topic_name(self, topic_id: UUID) -> str:
        """Raises UNKNOWN_TOPIC_ID."""
        topic = self.image.topic_by_id(topic_id)
        if topic is None:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_ID, f"there is no topic with id {topic_id}")
        return topic.name

    def image_changed(self, image: ClusterImage, changes: Changes, config: BrokerConfig) -> None:
        """Follow the controller: drop what was deleted, apply changed configs."""
        first = self._image is None
        self._image = image
        self._config = config
        for topic in changes.deleted:
            self._delete(topic)
        if first:
            self._set_strays_aside()
        if changes.configs:
            self._configure(changes)

    def _configure(self, changes: Changes) -> None:
        if any(kind is ResourceType.BROKER for kind, _ in changes.configs):
            self._log_configs.clear()
        for kind, name in changes.configs:
            if kind is ResourceType.TOPIC:
                self._log_configs.pop(name, None)
        for (topic, _), partition in self._open.items():
            partition.configure(self._log_config(topic))

    def tended_logs(self) -> Iterator[PartitionLog]:
        """The logs of topics, each configured as its topic is; others may be deleted while this goes on."""
        for (name, index), log in list(self.logs.logs().items()):
            topic = self.image.topic(name)
            if topic is not None and topic.topic_id == log.topic_id and self.logs.get(name, index) is log:
                log.config = self._log_config(name)
                yield log

    def last_stable_offset(self, log: PartitionLog) -> int:
        """Below it everything in the log is decided."""
        partition = self._open.get((log.topic, log.partition))
        return log.last_stable_offset if partition is None else partition.last_stable_offset

    def give_up_old_segments(self, log: PartitionLog, *, now_ms: int) -> None:
        """Let the log start behind what retention does not keep. Raises OSError, NotResident."""
        partition = self._open.get((log.topic, log.partition))
        high_watermark = log.end_offset if partition is None else partition.high_watermark
        start = log.log_start_offset
        log.give_up_old_segments(high_watermark=high_watermark, now_ms=now_ms, may_wait=False)
        if partition is not None and log.log_start_offset > start:
            partition.waiters.wake()

    def remove_deleted(self, topic: str, index: int) -> None:
        """Remove segments that a log does not start with any more; what is left of them, or refused, goes later."""
        partition = self._open.get((topic, index))
        if partition is not None:
            try:
                partition.log.remove_deleted()
            except OSError as error:
                logger.error("%s-%d: cannot remove deleted segments: %s", topic, index, error)

    async def checkpoint_log_starts(self) -> None:
        """Have on the disk where logs start. Raises KAFKA_STORAGE_ERROR."""
        with self._errors.answered("where logs start"):
            await self._checkpoints.write_log_starts()

    def wake_all(self) -> None:
        """Wake every parked request: the broker stops."""
        for partition in self._open.values():
            partition.waiters.wake()

    def _open_partition(self, name: str, index: int) -> Partition:
        topic = self.image.topic(name)
        if topic is None or not 0 <= index < len(topic.partitions):
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {name}-{index}")
        config = self._log_config(name)
        log = self.log(name, index)
        if log is None or log.topic_id != topic.topic_id:
            with self._errors.answered(f"{name}-{index}"):
                log = self.logs.create(name, index, topic.topic_id, config)
        log.config = config
        partition = Partition(
            log,
            topic.partitions[index].leader_epoch,
            self._clock,
            self._errors,
            self._flusher,
            self._validate_in_worker,
        )
        self._open[name, index] = partition
        return partition

    def _log_config(self, topic: str) -> LogConfig:
        found = self._log_configs.get(topic)
        if found is None:
            if self._config is None:
                raise AssertionError("partitions are asked for before the cluster image is loaded")
            found = log_config(self._config, self.image.config(ResourceType.TOPIC, topic))
            self._log_configs[topic] = found
        return found

    def _delete(self, topic: TopicImage) -> None:
        self._log_configs.pop(topic.name, None)
        indexes = range(len(topic.partitions))
        doomed = []
        for index in indexes:
            try:
                log = self.logs.get(topic.name, index)
                if log is not None and log.topic_id == topic.topic_id:
                    doomed.append(index)
            except OSError as error:
                logger.error("%s-%d: cannot be removed: %s; the next start will", topic.name, index, error)
        try:
            self.logs.delete(topic.name, *doomed)
        except OSError as error:
            logger.error("%s: cannot remove what is left of it: %s; the next start will", topic.name, error)
        for index in indexes:
            partition = self._open.pop((topic.name, index), None)
            if partition is not None:
                partition.is_removed = True
                partition.waiters.wake()

    def _set_strays_aside(self) -> None:
        """Logs of topics of which the controller never heard: its own log was lost, or belongs elsewhere.

        One of a topic of the same name but another id is set aside when the partition is opened.
        """
        for name, index in [*self.logs.logs(), *self.logs.unopened()]:
            if name != CLUSTER_METADATA and self.image.topic(name) is None:
                self.logs.set_aside(name, index)
