"""Up to where the next start may take a log for flushed, as the checkpoint of recovery points has it.

Damage before that point is quarantined, and neither the end of the log nor what is known of its producers changes (see
`kpy.storage.snapshots`). A smaller one than the recovery point is always sound: more is looked at after a crash.
"""

from collections.abc import Callable, Iterator

from kpy.storage.partition_log import PartitionLog
from kpy.storage.snapshots import Capture


def restart_point(log: PartitionLog) -> int:
    """What a checkpoint may say of the log now."""
    return log.segments.snapshots.restart_point(log.recovery_point, log.producers)


def missing(log: PartitionLog, *, may_flush: bool | None = None) -> int | None:
    """Where a snapshot is missing to bring it to the recovery point; None if it is there, or will be by itself.

    Where producers go on writing that is beyond, for which the log has to be flushed: by default only one that is
    flushed anyway by its configuration. The recovery point of any other moves where it rolls, with a snapshot.
    """
    if may_flush is None:
        may_flush = log.config.is_flushed
    return log.segments.snapshots.missing(log.recovery_point, log.end_offset, log.producers, may_flush=may_flush)


def capture(log: PartitionLog, *, may_flush: bool | None = None) -> Capture | None:
    """What has to be stored where a snapshot is `missing`."""
    offset = missing(log, may_flush=may_flush)
    return None if offset is None else Capture(offset, log.producers.encode())


def store(log: PartitionLog, captured: Capture, point_on_disk: int) -> Iterator[Callable[[], None]]:
    """The steps of storing it, each for a thread that may wait. Raises OSError.

    Snapshots that no start needs go first; `point_on_disk` is what the next one may still read in the checkpoint.
    """
    if not log.is_deleted:
        remove_needless(log, point_on_disk)
        yield from log.segments.snapshots.store(captured, lambda: log.is_deleted)


def secure(log: PartitionLog, point_on_disk: int = 0, *, may_flush: bool | None = None) -> None:
    """All of that at once."""
    captured = capture(log, may_flush=may_flush)
    if captured is not None:
        if captured.offset > log.recovery_point:
            log.flush()
        for step in store(log, captured, point_on_disk):
            step()


def remove_needless(log: PartitionLog, point_on_disk: int) -> None:
    """Remove snapshots in the middle of segments that a start from there does not need. Raises OSError."""
    snapshots = log.segments.snapshots
    snapshots.remove_unfinished()
    snapshots.remove(snapshots.superseded(log.segments.base_offsets, point_on_disk))
