"""All logs of a data directory: (topic, partition) -> log; create, delete, checkpoints, and the lock on it.

meta.properties                       cluster id, node id, directory id
.lock                                 held by the broker that runs on the directory
.kafka_cleanshutdown                  the last broker wrote all it had before it ended
recovery-point-offset-checkpoint      everything before it is on the disk
log-start-offset-checkpoint           where logs start that do not start at 0
replication-offset-checkpoint         high watermarks
cleaner-offset-checkpoint             up to where logs have been compacted
<topic>-<partition>/                  see `kpy.storage.partition_log`
<topic>-<partition>.<hex>-delete/     deleted; removed at the next start at the latest
<topic>-<partition>.<n>-stray/        set aside, for nobody knows whose it is; never touched again
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Final, NamedTuple, Self
from uuid import UUID

from kpy.storage import checkpoints
from kpy.storage.checkpoints import TopicPartition
from kpy.storage.closing import Closing
from kpy.storage.files import AlreadyLocked, Files, Lock
from kpy.storage.leader_epochs import LeaderEpochs
from kpy.storage.log_config import LogConfig
from kpy.storage.log_context import LogContext
from kpy.storage.partition_log import METADATA_NAME, PartitionLog
from kpy.storage.producer_states import ProducerStates
from kpy.storage.recovery import LastKnown, load_log
from kpy.storage.restart_points import remove_needless, restart_point
from kpy.storage.segment import Segment
from kpy.storage.segments import Segments
from kpy.storage.snapshots import Snapshots

_logger = logging.getLogger(__name__)

_LOCK: Final = ".lock"
_CLEAN_SHUTDOWN: Final = ".kafka_cleanshutdown"
_META: Final = "meta.properties"
_DELETE_SUFFIX: Final = "-delete"
_STRAY_SUFFIX: Final = "-stray"
_NAME_BYTES_MAX: Final = 255


class CheckpointOffsets(NamedTuple):
    """Offsets by partition, for each checkpoint file by its name; what was put together later has a larger version."""

    version: int
    files: Mapping[str, Mapping[TopicPartition, int]]
    shortened: Sequence[tuple[PartitionLog, int]] = ()
    """Logs with segments before their start, which may go when the start is on the disk."""


class DirectoryLocked(Exception):
    """Another broker runs on the directory."""


class _Unopened(NamedTuple):
    """A log on the disk that nobody has asked for yet."""

    directory: str
    known: LastKnown


class LogDirectory:
    """The logs of one data directory. A log has the default configuration until its owner sets another.

    After a clean shutdown a log is opened when it is first asked for, so that ten thousand cost no time at the start.
    """

    __slots__ = (
        "_checkpointed",
        "_cleaner_offsets",
        "_files",
        "_lock",
        "_logs",
        "_restart_points",
        "_unopened",
        "_version",
        "_writing",
        "_written",
        "context",
        "high_watermarks",
        "meta",
    )

    def __init__(self, files: Files, lock: Lock) -> None:
        self._files = files
        self._lock = lock
        self._logs: dict[TopicPartition, PartitionLog] = {}
        self._unopened: dict[TopicPartition, _Unopened] = {}
        self.context = LogContext.without_owner(files)
        """What the logs are given by their owner; one for all."""
        self._cleaner_offsets: dict[TopicPartition, int] = {}
        self._checkpointed: dict[TopicPartition, int] = {}
        """Of which logs the checkpoints on the disk may say something, and the last version of them that does."""
        self._restart_points: Mapping[TopicPartition, int] = {}
        """Those in the checkpoint on the disk."""
        self._version = 0
        self._written: dict[str, int] = {}
        """The version of each checkpoint that is on the disk."""
        self._writing = threading.Lock()
        self.meta: Mapping[str, str] = {}
        """The content of meta.properties, empty for a directory that is new."""
        self.high_watermarks: Mapping[TopicPartition, int] = {}
        """As the last checkpoint had them."""

    @classmethod
    def open(cls, files: Files, check_owner: Callable[[Mapping[str, str]], None] | None = None) -> Self:
        """Take the lock and find every log; after anything but a clean shutdown, open and recover all of them.

        `check_owner` is shown the meta.properties of a directory that is not new, and may raise: nothing has been
        changed by then.
        """
        try:
            lock = files.lock(_LOCK)
        except AlreadyLocked:
            message = f"another broker is running on {files.location}: it holds the lock on {_LOCK}"
            raise DirectoryLocked(message) from None
        directory = cls(files, lock)
        try:
            directory._read_meta(check_owner)
            directory._load()
        except BaseException:
            lock.release()
            raise
        return directory

    @property
    def files(self) -> Files:
        return self._files

    @property
    def is_durable(self) -> bool:
        """Whether there is a disk to wait for."""
        return self._files.is_durable

    # --- logs

    def get(self, topic: str, partition: int) -> PartitionLog | None:
        """The log, opened if it has not been yet; OSError if it cannot be read."""
        key = (topic, partition)
        log = self._logs.get(key)
        if log is None and (unopened := self._unopened.get(key)) is not None:
            log = self._open_log(key, unopened)
        return log

    def logs(self) -> Mapping[TopicPartition, PartitionLog]:
        """Those that are open."""
        return self._logs

    def unopened(self) -> Sequence[TopicPartition]:
        """Those on the disk that are not open."""
        return tuple(self._unopened)

    def create(self, topic: str, partition: int, topic_id: UUID, config: LogConfig | None = None) -> PartitionLog:
        """A new, empty log, which never sees what an older topic of that name left behind."""
        key = (topic, partition)
        old = self.get(topic, partition)
        if old is not None:
            if old.topic_id == topic_id:
                raise ValueError(f"there is a log for {topic}-{partition} already")
            self.set_aside(topic, partition)
        name = f"{topic}-{partition}"
        if self._files.exists(name):
            self._set_aside(name)
        if key in self._checkpointed:  # a checkpoint would be taken to be of this one
            self.checkpoint()
        try:
            log = self._logs[key] = self._make(name, topic, partition, topic_id, config or LogConfig())
        except OSError:
            self._files.remove_directory(name)
            raise
        log.context = self.context
        return log

    def _make(self, name: str, topic: str, partition: int, topic_id: UUID, config: LogConfig) -> PartitionLog:
        files = self._files
        files.make_directory(name)
        segment = Segment.create(files, name, 0, config.index_interval_bytes)
        metadata = {"version": "0", "topic_id": checkpoints.uuid_text(topic_id)}
        text = checkpoints.encode_properties(metadata, ": ").rstrip()  # Kafka's has no line end
        files.replace(f"{name}/{METADATA_NAME}", text, sync=False)
        return PartitionLog(
            files,
            name,
            topic=topic,
            partition=partition,
            topic_id=topic_id,
            config=config,
            segments=Segments(files, name, [segment], Snapshots(files, name, ())),
            epochs=LeaderEpochs(files, name),
            producers=ProducerStates(),
            log_start_offset=0,
            end_offset=0,
            recovery_point=0,
        )

    def delete(self, topic: str, *partitions: int) -> None:
        """Remove logs, those that are there; the files go in their time. Ranges that were read stay readable.

        What the disk refuses of one is raised when the others are removed. The disk is not waited for: a power cut may
        bring them back until their files go, and before there are new ones in their place a checkpoint is written.
        """
        doomed = []
        delay_ms = 0
        failure: OSError | None = None
        for partition in partitions:
            try:
                log = self.get(topic, partition)
                if log is not None:
                    log.is_deleted = True
                    del self._logs[topic, partition]
                    self._cleaner_offsets.pop((topic, partition), None)
                    target = _with_suffix(topic, f"-{partition}.{log.topic_id.hex}{_DELETE_SUFFIX}")
                    self._files.rename(log.name, target)
                    doomed.append(target)
                    delay_ms = max(delay_ms, log.config.file_delete_delay_ms)
            except OSError as error:
                failure = error
        if doomed:
            self.context.remove_later(doomed, delay_ms)
        if failure is not None:
            raise failure

    def set_aside(self, topic: str, partition: int) -> None:
        """Keep the files of a log that nobody knows, but not as a log: they may be all that is left of some data."""
        self._logs.pop((topic, partition), None)
        self._unopened.pop((topic, partition), None)
        self._set_aside(f"{topic}-{partition}")

    def _set_aside(self, name: str) -> None:
        target = next(
            target
            for number in count()
            if not self._files.exists(target := _with_suffix(name, f".{number}{_STRAY_SUFFIX}"))
        )
        self._files.rename(name, target)
        _logger.warning("%s: no topic that is known has this log; it is set aside as %s", name, target)

    # --- keeping

    def store_meta(self, properties: Mapping[str, str]) -> None:
        """Write meta.properties."""
        self.meta = dict(properties)
        self._files.replace(_META, checkpoints.encode_properties(properties))

    def checkpoint(self, high_watermarks: Mapping[TopicPartition, int] | None = None) -> None:
        """Write recovery points, log starts and high watermarks (by default, the ends of the logs)."""
        offsets = self.checkpoint_offsets(high_watermarks)
        self.write(offsets)
        self.checkpoint_written(offsets)

    def checkpoint_offsets(self, high_watermarks: Mapping[TopicPartition, int] | None = None) -> CheckpointOffsets:
        """What a checkpoint consists of, as it is now; of what is not open, what it was."""
        unopened = self._unopened
        if high_watermarks is None:
            high_watermarks = {key: log.end_offset for key, log in self._logs.items()}
        points = {key: log.known.recovery_point for key, log in unopened.items()}
        recovery_points = {key: point for key, point in points.items() if point is not None}
        recovery_points |= {key: restart_point(log) for key, log in self._logs.items()}
        kept = {key: offset for key, offset in self.high_watermarks.items() if key in unopened}
        starts = self.log_start_offsets()
        self._checkpointed |= dict.fromkeys(recovery_points, starts.version)
        files = {
            checkpoints.RECOVERY_POINT: recovery_points,
            **starts.files,
            checkpoints.REPLICATION_OFFSET: kept | dict(high_watermarks),
        }
        return starts._replace(files=files)

    def log_start_offsets(self) -> CheckpointOffsets:
        """Where logs start, so that records which were deleted stay deleted.

        Also of logs that start with a segment: a power cut may bring back those that were before it.
        """
        starts = {key: log.known.log_start_offset for key, log in self._unopened.items()}
        starts |= {key: log.log_start_offset for key, log in self._logs.items()}
        starts = {key: start for key, start in starts.items() if start > 0}
        shortened = [(log, log.log_start_offset) for log in self._logs.values() if log.has_deleted]
        self._version += 1
        self._checkpointed |= dict.fromkeys(starts, self._version)
        return CheckpointOffsets(self._version, {checkpoints.LOG_START_OFFSET: starts}, shortened)

    def write(self, offsets: CheckpointOffsets) -> None:
        """Write and sync these checkpoints, but for those of which a later version has been; from any thread.

        The names of the segments that stay are brought to the disk before others may go.
        """
        ready = [(log, start) for log, start in offsets.shortened if _names_are_synced(log)]
        for name, rows in offsets.files.items():
            with self._writing:
                if self._written.get(name, 0) < offsets.version:
                    self._files.replace(name, checkpoints.encode_offsets(rows))
                    self._written[name] = offsets.version
                    if name == checkpoints.RECOVERY_POINT:
                        self._restart_points = rows
        for log, start in ready:
            log.start_on_disk = max(log.start_on_disk, start)

    def checkpoint_written(self, offsets: CheckpointOffsets) -> None:
        """These, of all kinds, are on the disk: nothing there speaks of logs any more that were deleted before."""
        self._checkpointed = {key: last for key, last in self._checkpointed.items() if last >= offsets.version}

    @property
    def must_forget(self) -> bool:
        """Whether checkpoints on the disk may say something of logs that are no more."""
        return any(key not in self._logs and key not in self._unopened for key in self._checkpointed)

    def restart_point_on_disk(self, log: PartitionLog) -> int:
        """What the next start would read if the broker was killed now."""
        return self._restart_points.get((log.topic, log.partition), 0)

    def cleaner_offset(self, topic: str, partition: int) -> int | None:
        """Up to where the log was compacted, as far as that is known."""
        return self._cleaner_offsets.get((topic, partition))

    def compacted(self, topic: str, partition: int, offset: int) -> None:
        """The log was compacted up to that offset."""
        self._cleaner_offsets[topic, partition] = offset

    def cleaner_offsets(self) -> CheckpointOffsets:
        """Up to where logs have been compacted. If that is lost, more is compacted again than is new."""
        self._version += 1
        return CheckpointOffsets(self._version, {checkpoints.CLEANER_OFFSET: dict(self._cleaner_offsets)})

    def flush(self) -> None:
        """What was appended to any log is on the disk when this returns."""
        for log in self._logs.values():
            log.flush()

    def closing(self) -> Closing:
        """What several threads may work on together before `close` is called with it."""
        return Closing(self._files, self._logs.values())

    def close(
        self,
        *,
        clean: bool = True,
        closing: Closing | None = None,
        high_watermarks: Mapping[TopicPartition, int] | None = None,
    ) -> None:
        """Release the lock; if `clean`, write all there is before, so that the next start is short."""
        try:
            if clean:
                closing = closing or self.closing()
                closing.run()
                if closing.failure is not None:
                    raise closing.failure
                self.checkpoint(high_watermarks)
                self._remove_needless()
                if all(log.known.clean for log in self._unopened.values()):  # what was never recovered has to be
                    self._files.replace(_CLEAN_SHUTDOWN, b'{"version":0,"brokerEpoch":-1}')
        finally:
            self._lock.release()

    def _remove_needless(self) -> None:
        """Leave no snapshots but those that Kafka would."""
        for log in self._logs.values():
            try:
                remove_needless(log, self.restart_point_on_disk(log))
            except OSError as error:
                _logger.error("%s: cannot remove outdated snapshots: %s; the next start will", log.name, error)

    # --- loading

    def _read_meta(self, check_owner: Callable[[Mapping[str, str]], None] | None) -> None:
        data = self._files.read(_META)
        if data is not None:
            self.meta = checkpoints.decode_properties(data)
            if check_owner is not None:
                check_owner(self.meta)

    def _load(self) -> None:
        files = self._files
        names = files.list()
        clean = _CLEAN_SHUTDOWN in names
        if clean:
            files.remove(_CLEAN_SHUTDOWN)
        # What is read here was perhaps not on the disk yet when the last broker was killed; and a power cut must not
        # bring the marker back, which would let it all be taken for flushed.
        files.sync_directory()
        recovery_points = self._read_offsets(checkpoints.RECOVERY_POINT)
        is_known = recovery_points is not None and files.exists(checkpoints.RECOVERY_POINT)
        not_flushed = 0 if is_known and not clean else None
        starts = self._read_offsets(checkpoints.LOG_START_OFFSET) or {}
        self._checkpointed = dict.fromkeys({*(recovery_points or {}), *starts}, self._version)
        self._restart_points = recovery_points or {}
        self._cleaner_offsets = self._read_offsets(checkpoints.CLEANER_OFFSET) or {}
        self.high_watermarks = self._read_offsets(checkpoints.REPLICATION_OFFSET) or {}
        for name in names:
            if name.endswith(_DELETE_SUFFIX):
                self._remove_deleted(name)
                continue
            topic, dash, number = name.rpartition("-")
            if not (dash and topic and number.isdecimal()):
                continue
            key = (topic, int(number))
            known = LastKnown(
                clean=clean,
                recovery_point=(recovery_points or {}).get(key, not_flushed),
                log_start_offset=starts.get(key, 0),
                sparse_before=self._cleaner_offsets.get(key, 0),
            )
            self._unopened[key] = _Unopened(name, known)
            if not clean or known.recovery_point is None:
                self._recover(key)
        if not files.exists(checkpoints.RECOVERY_POINT):
            self.checkpoint()  # that there is none means from now on that somebody has removed it

    def _remove_deleted(self, name: str) -> None:
        try:
            self._files.remove_directory(name)
        except OSError as error:
            _logger.error("cannot remove %s: %s; the next start will", name, error)

    def _recover(self, key: TopicPartition) -> None:
        """Open a log now, for it may have to be cut; one that cannot be read is tried again by who asks for it."""
        try:
            self.get(*key)
        except OSError as error:
            _logger.error("%s-%d: cannot be opened now: %s", *key, error)

    def _open_log(self, key: TopicPartition, unopened: _Unopened) -> PartitionLog | None:
        """Open it, or pass it over if it does not say whose it is."""
        name = unopened.directory
        topic_id = self._read_topic_id(name)
        if topic_id is None:
            log = None
        else:
            topic, partition = key
            log = self._logs[key] = load_log(
                self._files,
                name,
                topic=topic,
                partition=partition,
                topic_id=topic_id,
                config=LogConfig(),
                known=unopened.known,
            )
            log.context = self.context
        del self._unopened[key]
        return log

    def _read_offsets(self, name: str) -> dict[TopicPartition, int] | None:
        """The offsets of a checkpoint, none if there is no such file; None if it cannot be read."""
        data = self._files.read(name)
        try:
            return {} if data is None else checkpoints.decode_offsets(data)
        except checkpoints.CheckpointCorrupt as reason:
            _logger.warning("%s: ignoring it: %s", name, reason)
            return None

    def _read_topic_id(self, name: str) -> UUID | None:
        data = self._files.read(f"{name}/{METADATA_NAME}") or b""
        try:
            return checkpoints.parse_uuid(checkpoints.decode_properties(data, ":")["topic_id"])
        except (KeyError, ValueError):
            _logger.error("%s: skipped, for it has no readable %s", name, METADATA_NAME)
            return None


def _names_are_synced(log: PartitionLog) -> bool:
    try:
        log.segments.sync_names()
    except OSError as error:
        if not log.is_deleted:
            _logger.error("%s: segments before its start are kept: %s", log.name, error)
        return False
    return True


def _with_suffix(name: str, suffix: str) -> str:
    """A directory's name may not be longer than the file system allows."""
    return name[: _NAME_BYTES_MAX - len(suffix)] + suffix
