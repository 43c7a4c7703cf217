"""Transactions on a partition's log, as a coordinator and its clients would write them."""

from kpy.protocol.records import TRANSACTIONAL, ControlType, EndTransactionMarker, build_control_batch
from kpy.storage.partition_log import AppendOrigin, AppendResult, PartitionLog
from tests.storage.batches import NOW_MS, batch


def send(log: PartitionLog, producer_id: int, sequence: int, *values: str, leader_epoch: int = 0) -> AppendResult:
    """Records of the producer's transaction, which begins with them if none is open."""
    records = batch(
        *values, producer_id=producer_id, producer_epoch=0, base_sequence=sequence, attributes=TRANSACTIONAL
    )
    return log.append(records, leader_epoch=leader_epoch, now_ms=NOW_MS, transaction_verified=True)


def end(log: PartitionLog, producer_id: int, kind: ControlType) -> AppendResult:
    """The marker."""
    marker = EndTransactionMarker(kind, coordinator_epoch=0)
    control = build_control_batch(
        marker.record(), timestamp=NOW_MS, transactional=True, producer_id=producer_id, producer_epoch=0
    )
    return log.append(control, leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)


def abort(log: PartitionLog, producer_id: int) -> AppendResult:
    return end(log, producer_id, ControlType.ABORT)


def commit(log: PartitionLog, producer_id: int) -> AppendResult:
    return end(log, producer_id, ControlType.COMMIT)
