"""What a partition knows of its idempotent and transactional producers (KIP-98), and the `.snapshot` files of it.

For each producer id: its epoch, and its last five batches, against which sequence numbers are checked and duplicates
found. The rules and the error codes are those of Kafka's `ProducerAppendInfo` and `ProducerStateEntry`.

A snapshot is named by the end offset that it describes. It holds the last batch of each producer only: version int16
(1), CRC-32C of what follows, and entries of producer id int64, epoch int16, last sequence int32, last offset int64,
offset delta int32, timestamp int64, coordinator epoch int32, first offset of the open transaction int64.
"""

import struct
from collections.abc import Iterable
from enum import Enum
from typing import Final, NamedTuple

from kpy.protocol.crc import crc32c
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import (
    NO_PRODUCER_EPOCH,
    NO_SEQUENCE,
    NO_TIMESTAMP,
    SEQUENCE_MAX,
    BatchHeader,
    ControlType,
    EndTransactionMarker,
    sequence_plus,
)
from kpy.storage.transaction_index import AbortedTransaction

SNAPSHOT_SUFFIX: Final = ".snapshot"
BATCHES_KEPT: Final = 5

_SNAPSHOT_VERSION: Final = 1
_SNAPSHOT_HEAD: Final = struct.Struct(">hI")
_SNAPSHOT_COUNT: Final = struct.Struct(">i")
_SNAPSHOT_ENTRY: Final = struct.Struct(">qhiqiqiq")


class SnapshotCorrupt(Exception):
    """The file is not a sound snapshot."""


class AppendOrigin(Enum):
    """Who appends: how much is checked depends on it."""

    CLIENT = "client"
    COORDINATOR = "coordinator"
    REPLICATION = "replication"


class BatchMetadata(NamedTuple):
    """One appended batch of a producer."""

    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int

    @property
    def first_sequence(self) -> int:
        return sequence_plus(self.last_sequence, -self.offset_delta)

    @property
    def first_offset(self) -> int:
        return self.last_offset - self.offset_delta


class CompletedTransaction(NamedTuple):
    """A transaction that its marker has ended."""

    producer_id: int
    first_offset: int
    last_offset: int
    aborted: bool
    last_stable_offset: int
    """Where the oldest transaction began that is open still, or the offset after the marker."""

    def as_aborted(self) -> AbortedTransaction:
        return AbortedTransaction(self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset)


class LastRecord(NamedTuple):
    """What a log has last of a producer: its last data offset if there is one, else a marker of that epoch."""

    data_offset: int | None
    epoch: int


class ProducerState:
    """One producer. Invariant: `batches` are of `epoch`, oldest first, and at most five."""

    __slots__ = ("batches", "coordinator_epoch", "epoch", "last_timestamp", "transaction_first_offset")

    def __init__(self) -> None:
        self.epoch = NO_PRODUCER_EPOCH
        self.batches: list[BatchMetadata] = []
        self.coordinator_epoch = -1
        self.last_timestamp = NO_TIMESTAMP
        self.transaction_first_offset: int | None = None

    def add(self, epoch: int, batch: BatchMetadata) -> None:
        self.use_epoch(epoch)
        if len(self.batches) == BATCHES_KEPT:
            del self.batches[0]
        self.batches.append(batch)
        self.last_timestamp = batch.timestamp

    def use_epoch(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches.clear()

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else NO_SEQUENCE


class ProducerStates:
    """All producers of one partition, as of `end_offset`."""

    __slots__ = ("_open_transactions", "end_offset", "producers")

    def __init__(self) -> None:
        self.producers: dict[int, ProducerState] = {}
        self._open_transactions: dict[int, int] = {}
        """First offset -> producer id, in the order of the offsets."""
        self.end_offset = 0

    @property
    def first_unstable_offset(self) -> int | None:
        """Where the oldest open transaction began."""
        return next(iter(self._open_transactions), None)

    def last_record(self, producer_id: int) -> LastRecord | None:
        """What compaction has to keep of a producer, so that its state can be found in the log again."""
        state = self.producers.get(producer_id)
        if state is None:
            return None
        return LastRecord(state.batches[-1].last_offset if state.batches else None, state.epoch)

    # --- before the append

    def find_duplicate(self, header: BatchHeader) -> BatchMetadata | None:
        """The batch of the last five that has exactly these sequence numbers."""
        state = self.producers.get(header.producer_id)
        if state is None or state.epoch != header.producer_epoch:
            return None
        last_sequence = header.last_sequence
        for batch in state.batches:
            if batch.last_sequence == last_sequence and batch.first_sequence == header.base_sequence:
                return batch
        return None

    def check(self, header: BatchHeader, origin: AppendOrigin, *, offset: int, verified: bool) -> None:
        """Raise what Kafka raises for a data batch that is not this producer's next one.

        `verified`: the transaction coordinator knows that this transaction includes the partition.
        """
        state = self.producers.get(header.producer_id)
        if header.is_transactional and origin is not AppendOrigin.REPLICATION:
            self._check_transaction(header, state, verified=verified)
        if state is None:
            return
        epoch = header.producer_epoch
        if epoch < state.epoch and origin is not AppendOrigin.REPLICATION:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {header.producer_id} writes at offset {offset} with epoch {epoch}, older than {state.epoch}",
            )
        if origin is AppendOrigin.CLIENT:
            _check_sequence(header, state, offset)
        if state.transaction_first_offset is not None and not header.is_transactional:
            raise KafkaError(
                ErrorCode.INVALID_TXN_STATE,
                f"producer {header.producer_id} has an open transaction and writes a batch that is not part of it",
            )

    @staticmethod
    def _check_transaction(header: BatchHeader, state: ProducerState | None, *, verified: bool) -> None:
        if state is not None and header.producer_epoch < state.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"producer {header.producer_id} writes with epoch {header.producer_epoch}, older than {state.epoch}",
            )
        ongoing = (
            state is not None and state.transaction_first_offset is not None and state.epoch == header.producer_epoch
        )
        if not (ongoing or verified):
            raise KafkaError(ErrorCode.INVALID_TXN_STATE, "the batch is not part of an open transaction")

    # --- after it

    def appended(self, header: BatchHeader, base_offset: int, max_timestamp: int) -> None:
        """Remember a data batch; offset and timestamp are those that it has in the log."""
        state = self.producers.get(header.producer_id)
        if state is None:
            state = self.producers[header.producer_id] = ProducerState()
        delta = header.last_offset_delta
        last_offset = base_offset + delta
        state.add(header.producer_epoch, BatchMetadata(header.last_sequence, last_offset, delta, max_timestamp))
        if header.is_transactional and state.transaction_first_offset is None:
            state.transaction_first_offset = base_offset
            self._open_transactions[base_offset] = header.producer_id
        self.end_offset = last_offset + 1

    def transaction_ended(
        self, header: BatchHeader, marker: EndTransactionMarker, *, offset: int, timestamp: int
    ) -> CompletedTransaction | None:
        """Remember the marker at that offset; None if its producer had nothing open here."""
        state = self.producers.get(header.producer_id)
        if state is None:
            state = self.producers[header.producer_id] = ProducerState()
        first_offset = state.transaction_first_offset
        state.use_epoch(header.producer_epoch)
        state.coordinator_epoch = marker.coordinator_epoch
        state.last_timestamp = timestamp
        state.transaction_first_offset = None
        self.end_offset = offset + 1
        if first_offset is None:
            return None
        del self._open_transactions[first_offset]
        aborted = marker.type is ControlType.ABORT
        first_unstable = self.first_unstable_offset
        stable = offset + 1 if first_unstable is None else first_unstable
        return CompletedTransaction(header.producer_id, first_offset, offset, aborted, stable)

    def check_marker(self, header: BatchHeader, marker: EndTransactionMarker) -> None:
        """Raise if the marker comes from a coordinator, or for an epoch, that has been replaced."""
        state = self.producers.get(header.producer_id)
        if state is None:
            return
        if header.producer_epoch < state.epoch:
            raise KafkaError(
                ErrorCode.INVALID_PRODUCER_EPOCH,
                f"a marker of producer {header.producer_id} is of epoch {header.producer_epoch}, not {state.epoch}",
            )
        if marker.coordinator_epoch < state.coordinator_epoch:
            raise KafkaError(
                ErrorCode.TRANSACTION_COORDINATOR_FENCED,
                f"coordinator epoch {marker.coordinator_epoch} is older than {state.coordinator_epoch}",
            )

    def expire(self, now_ms: int, expiration_ms: int) -> None:
        """Forget producers that were idle for so long (producer.id.expiration.ms) and have nothing open."""
        gone = [
            producer_id
            for producer_id, state in self.producers.items()
            if state.transaction_first_offset is None and now_ms - state.last_timestamp >= expiration_ms
        ]
        for producer_id in gone:
            del self.producers[producer_id]

    # --- snapshots

    def encode(self) -> bytes:
        body = bytearray(_SNAPSHOT_COUNT.pack(len(self.producers)))
        for producer_id, state in self.producers.items():
            last = state.batches[-1] if state.batches else BatchMetadata(NO_SEQUENCE, -1, 0, state.last_timestamp)
            first_offset = -1 if state.transaction_first_offset is None else state.transaction_first_offset
            body += _SNAPSHOT_ENTRY.pack(
                producer_id, state.epoch, last.last_sequence, last.last_offset, last.offset_delta, state.last_timestamp,
                state.coordinator_epoch, first_offset,
            )  # fmt: skip
        return _SNAPSHOT_HEAD.pack(_SNAPSHOT_VERSION, crc32c(body)) + body

    @classmethod
    def decode(cls, data: bytes, end_offset: int) -> "ProducerStates":
        """The producers in a snapshot; SnapshotCorrupt if it is not sound."""
        body = memoryview(data)[_SNAPSHOT_HEAD.size :]
        if len(body) < _SNAPSHOT_COUNT.size:
            raise SnapshotCorrupt("it is too short")
        version, crc = _SNAPSHOT_HEAD.unpack_from(data)
        (count,) = _SNAPSHOT_COUNT.unpack_from(body)
        entries = body[_SNAPSHOT_COUNT.size :]
        if version != _SNAPSHOT_VERSION or crc != crc32c(body) or count * _SNAPSHOT_ENTRY.size != len(entries):
            raise SnapshotCorrupt(f"version {version}, checksum {crc:#x}, {count} entries in {len(entries)} bytes")
        states = cls()
        states.end_offset = end_offset
        for entry in _SNAPSHOT_ENTRY.iter_unpack(entries):
            producer_id, epoch, sequence, offset, delta, timestamp, coordinator_epoch, first_offset = entry
            state = states.producers[producer_id] = ProducerState()
            state.epoch = epoch
            state.last_timestamp = timestamp
            state.coordinator_epoch = coordinator_epoch
            if offset >= 0:
                state.batches.append(BatchMetadata(sequence, offset, delta, timestamp))
            if first_offset >= 0:
                state.transaction_first_offset = first_offset
        states._open_transactions = dict(
            sorted(
                (state.transaction_first_offset, producer_id)
                for producer_id, state in states.producers.items()
                if state.transaction_first_offset is not None
            )
        )
        return states

    def restore_history(self, headers: Iterable[BatchHeader]) -> None:
        """Learn the batches before the last one again, which a snapshot leaves out, from the log before it.

        A producer that waited for several answers when the broker stopped sends all those batches again.
        """
        found: dict[int, list[BatchMetadata]] = {}
        for header in headers:
            state = self.producers.get(header.producer_id)
            if state is not None and header.producer_epoch == state.epoch and not header.is_control:
                found.setdefault(header.producer_id, []).append(
                    BatchMetadata(
                        header.last_sequence, header.last_offset, header.last_offset_delta, header.max_timestamp
                    )
                )
        for producer_id, batches in found.items():
            state = self.producers[producer_id]
            if state.batches:
                last = state.batches[-1]
                before = [batch for batch in batches if batch.last_offset < last.last_offset]
                state.batches = [*before, last][-BATCHES_KEPT:]


def _check_sequence(header: BatchHeader, state: ProducerState, offset: int) -> None:
    first, last = header.base_sequence, state.last_sequence
    if header.producer_epoch != state.epoch:
        if first != 0 and state.epoch != NO_PRODUCER_EPOCH:
            raise KafkaError(
                ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
                f"producer {header.producer_id} begins epoch {header.producer_epoch} with sequence {first} at {offset}",
            )
    elif state.epoch != NO_PRODUCER_EPOCH and first != last + 1 and not (first == 0 and last == SEQUENCE_MAX):
        raise KafkaError(
            ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
            f"producer {header.producer_id} sends sequence {first} at offset {offset}, and {last} was its last",
        )
