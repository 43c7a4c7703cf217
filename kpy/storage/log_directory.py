"""All logs of a data directory: (topic, partition) -> log; create, delete, checkpoints, and the lock on it.

meta.properties                       cluster id, node id, directory id
.lock                                 held by the broker that runs on the directory
.kafka_cleanshutdown                  the last broker wrote all it had before it ended
recovery-point-offset-checkpoint      everything before it is on the disk
log-start-offset-checkpoint           where logs start that do not start at 0
replication-offset-checkpoint         high watermarks
<topic>-<partition>/                  see `kpy.storage.partition_log`
<topic>-<partition>.<hex>-delete/     deleted; removed at the next start at the latest
<topic>-<partition>.<n>-stray/        set aside, for nobody knows whose it is; never touched again
"""

import logging
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final, Self
from uuid import UUID

from kpy.storage import checkpoints
from kpy.storage.checkpoints import TopicPartition
from kpy.storage.files import AlreadyLocked, Files, Lock
from kpy.storage.leader_epochs import LeaderEpochs
from kpy.storage.log_config import LogConfig
from kpy.storage.partition_log import PartitionLog
from kpy.storage.producer_states import ProducerStates
from kpy.storage.recovery import LastKnown, load_log
from kpy.storage.segment import Segment

_logger = logging.getLogger(__name__)

_LOCK: Final = ".lock"
_CLEAN_SHUTDOWN: Final = ".kafka_cleanshutdown"
_META: Final = "meta.properties"
_PARTITION_METADATA: Final = "partition.metadata"
_DELETE_SUFFIX: Final = "-delete"
_STRAY_SUFFIX: Final = "-stray"
_NAME_BYTES_MAX: Final = 255


class DirectoryLocked(Exception):
    """Another broker runs on the directory."""


class LogDirectory:
    """The logs of one data directory. A log has the default configuration until its owner sets another."""

    __slots__ = ("_checkpointed", "_files", "_lock", "_logs", "high_watermarks", "meta")

    def __init__(self, files: Files, lock: Lock) -> None:
        self._files = files
        self._lock = lock
        self._logs: dict[TopicPartition, PartitionLog] = {}
        self._checkpointed: set[TopicPartition] = set()
        """What the checkpoints on the disk may have an entry of."""
        self.meta: Mapping[str, str] = {}
        """The content of meta.properties, empty for a directory that is new."""
        self.high_watermarks: Mapping[TopicPartition, int] = {}
        """As the last checkpoint had them."""

    @classmethod
    def open(cls, files: Files, check_owner: Callable[[Mapping[str, str]], None] | None = None) -> Self:
        """Take the lock and load every log: quickly after a clean shutdown, otherwise with recovery.

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

    # --- logs

    def get(self, topic: str, partition: int) -> PartitionLog | None:
        return self._logs.get((topic, partition))

    def logs(self) -> Mapping[TopicPartition, PartitionLog]:
        return self._logs

    def create(self, topic: str, partition: int, topic_id: UUID, config: LogConfig | None = None) -> PartitionLog:
        """A new, empty log, which never sees what an older topic of that name left behind."""
        key = (topic, partition)
        old = self._logs.get(key)
        if old is not None:
            if old.topic_id == topic_id:
                raise ValueError(f"there is a log for {topic}-{partition} already")
            self.delete(topic, partition)
        name = f"{topic}-{partition}"
        if self._files.exists(name):
            self._set_aside(name)
        if key in self._checkpointed:
            self.checkpoint()  # what they say is of an older topic, which may have been longer
        try:
            log = self._logs[key] = self._make(name, topic, partition, topic_id, config or LogConfig())
        except OSError:
            self._files.remove_directory(name)
            raise
        return log

    def _make(self, name: str, topic: str, partition: int, topic_id: UUID, config: LogConfig) -> PartitionLog:
        files = self._files
        files.make_directory(name)
        segment = Segment.create(files, name, 0, config.index_interval_bytes)
        metadata = {"version": "0", "topic_id": checkpoints.uuid_text(topic_id)}
        files.replace(f"{name}/{_PARTITION_METADATA}", checkpoints.encode_properties(metadata, ": "))
        files.sync_directory()
        return PartitionLog(
            files,
            name,
            topic=topic,
            partition=partition,
            topic_id=topic_id,
            config=config,
            segments=[segment],
            epochs=LeaderEpochs(files, name),
            producers=ProducerStates(),
            snapshots=(),
            log_start_offset=0,
            end_offset=0,
            recovery_point=0,
        )

    def delete(self, topic: str, *partitions: int) -> None:
        """Remove logs, those that are there. Ranges that were read of them stay readable."""
        doomed = []
        try:
            for partition in partitions:
                log = self._logs.pop((topic, partition), None)
                if log is not None:
                    target = _with_suffix(log.name, f".{log.topic_id.hex}{_DELETE_SUFFIX}")
                    self._files.rename(log.name, target)
                    doomed.append(target)
            if doomed:
                self._files.sync_directory()
        finally:
            for target in doomed:
                self._files.remove_directory(target)

    def set_aside(self, topic: str, partition: int) -> None:
        """Keep the files of a log that nobody knows, but not as a log: they may be all that is left of some data."""
        log = self._logs.pop((topic, partition))
        self._set_aside(log.name)

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
        logs = self._logs
        if high_watermarks is None:
            high_watermarks = {key: log.end_offset for key, log in logs.items()}
        recovery_points = {key: log.recovery_point for key, log in logs.items()}
        self._files.replace(checkpoints.RECOVERY_POINT, checkpoints.encode_offsets(recovery_points))
        self.checkpoint_log_starts()
        self._files.replace(checkpoints.REPLICATION_OFFSET, checkpoints.encode_offsets(high_watermarks))
        self._checkpointed = set(logs)

    def checkpoint_log_starts(self) -> None:
        """Write where logs start, so that records which were deleted stay deleted; then remove their segments.

        Also where a log starts with a segment: a power cut may bring back the segments that were before it.
        """
        starts = {key: log.log_start_offset for key, log in self._logs.items() if log.log_start_offset > 0}
        self._files.replace(checkpoints.LOG_START_OFFSET, checkpoints.encode_offsets(starts))
        self._checkpointed |= starts.keys()
        for log in self._logs.values():
            log.remove_deleted()

    def flush(self) -> None:
        """What was appended to any log is on the disk when this returns."""
        for log in self._logs.values():
            log.flush()

    def close(self, *, clean: bool = True, high_watermarks: Mapping[TopicPartition, int] | None = None) -> None:
        """Release the lock; if `clean`, write all there is before, so that the next start is short."""
        try:
            if clean:
                self._close_logs()
                self.checkpoint(high_watermarks)
                self._files.replace(_CLEAN_SHUTDOWN, b'{"version":0,"brokerEpoch":-1}')
        finally:
            self._lock.release()

    def _close_logs(self) -> None:
        """Flush and close every log, whatever becomes of the others; then raise if one could not be written."""
        failure: OSError | None = None
        for log in self._logs.values():
            try:
                log.close()
            except OSError as error:
                _logger.error("%s: cannot write it: %s", log.name, error)
                failure = error
        if failure is not None:
            raise failure

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
        not_flushed = None if clean or recovery_points is None else 0
        starts = self._read_offsets(checkpoints.LOG_START_OFFSET) or {}
        cleaned = self._read_offsets(checkpoints.CLEANER_OFFSET) or {}
        self._checkpointed = {*(recovery_points or {}), *starts}
        self.high_watermarks = self._read_offsets(checkpoints.REPLICATION_OFFSET) or {}
        for name in names:
            if name.endswith(_DELETE_SUFFIX):
                files.remove_directory(name)
                continue
            topic, dash, number = name.rpartition("-")
            topic_id = self._read_topic_id(name) if dash and topic and number.isdecimal() else None
            if topic_id is None:
                continue
            key = (topic, int(number))
            known = LastKnown(
                clean=clean,
                recovery_point=(recovery_points or {}).get(key, not_flushed),
                log_start_offset=starts.get(key, 0),
                sparse_before=cleaned.get(key, 0),
            )
            self._logs[key] = load_log(
                files, name, topic=topic, partition=key[1], topic_id=topic_id, config=LogConfig(), known=known
            )

    def _read_offsets(self, name: str) -> dict[TopicPartition, int] | None:
        """The offsets of a checkpoint, none if there is no such file; None if it cannot be read."""
        data = self._files.read(name)
        try:
            return {} if data is None else checkpoints.decode_offsets(data)
        except checkpoints.CheckpointCorrupt as reason:
            _logger.warning("%s: ignoring it: %s", name, reason)
            return None

    def _read_topic_id(self, name: str) -> UUID | None:
        data = self._files.read(f"{name}/{_PARTITION_METADATA}") or b""
        try:
            return checkpoints.parse_uuid(checkpoints.decode_properties(data, ":")["topic_id"])
        except (KeyError, ValueError):
            _logger.error("%s: skipped, for it has no readable %s", name, _PARTITION_METADATA)
            return None


def _with_suffix(name: str, suffix: str) -> str:
    """A directory's name may not be longer than the file system allows."""
    return name[: _NAME_BYTES_MAX - len(suffix)] + suffix
