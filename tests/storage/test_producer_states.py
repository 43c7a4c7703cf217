import struct
from dataclasses import dataclass, field

import pytest

from kpy.protocol.crc import crc32c
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import TRANSACTIONAL, BatchHeader, ControlType, EndTransactionMarker
from kpy.storage.producer_states import (
    AppendOrigin,
    BatchMetadata,
    CompletedTransaction,
    ProducerStates,
    SnapshotCorrupt,
)

PRODUCER = 7
SEQUENCE_MAX = (1 << 31) - 1


def header(
    sequence: int = -1, count: int = 1, epoch: int = 0, *, attributes: int = 0, producer_id: int = PRODUCER
) -> BatchHeader:
    return BatchHeader(0, 0, 0, 2, 0, attributes, count - 1, 0, 0, producer_id, epoch, sequence, count)


@dataclass
class Appends:
    """A partition that only keeps producers."""

    states: ProducerStates = field(default_factory=ProducerStates)
    end_offset: int = 0

    def append(self, sequence: int, count: int = 1, epoch: int = 0, **options: int) -> int | ErrorCode:
        """The base offset that the answer has, or the error."""
        batch = header(sequence, count, epoch, **options)
        duplicate = self.states.find_duplicate(batch)
        if duplicate is not None:
            return duplicate.first_offset
        try:
            self.states.check(batch, AppendOrigin.CLIENT, offset=self.end_offset, verified=True)
        except KafkaError as error:
            return error.code
        base_offset = self.end_offset
        self.states.appended(batch, base_offset, 1000 + base_offset)
        self.end_offset += count
        assert self.states.end_offset == self.end_offset
        return base_offset

    def end_transaction(self, kind: ControlType, epoch: int = 0) -> CompletedTransaction | None:
        marker = EndTransactionMarker(kind, coordinator_epoch=3)
        batch = header(epoch=epoch)
        self.states.check_marker(batch, marker)
        done = self.states.transaction_ended(batch, marker, offset=self.end_offset, timestamp=5000)
        self.end_offset += 1
        return done


OUT_OF_ORDER = ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
SEQUENCES = {
    "in_order": ([(0, 2, 0), (2, 1, 0), (3, 3, 0)], [0, 2, 3]),
    "duplicate_of_last": ([(0, 2, 0), (0, 2, 0)], [0, 0]),
    "duplicate_of_older": ([(0, 1, 0), (1, 1, 0), (2, 1, 0), (0, 1, 0)], [0, 1, 2, 0]),
    "duplicate_with_other_count": ([(0, 2, 0), (0, 1, 0)], [0, OUT_OF_ORDER]),
    "overlap": ([(0, 3, 0), (1, 3, 0)], [0, OUT_OF_ORDER]),
    "gap": ([(0, 1, 0), (5, 1, 0)], [0, OUT_OF_ORDER]),
    "first_not_zero": ([(5, 1, 0)], [0]),
    "older_than_five_batches": ([(i, 1, 0) for i in range(7)] + [(0, 1, 0)], [0, 1, 2, 3, 4, 5, 6, OUT_OF_ORDER]),
    "fifth_last_batch": ([(i, 1, 0) for i in range(7)] + [(2, 1, 0)], [0, 1, 2, 3, 4, 5, 6, 2]),
    "old_epoch": ([(0, 1, 1), (1, 1, 0)], [0, ErrorCode.INVALID_PRODUCER_EPOCH]),
    "new_epoch_from_zero": ([(0, 1, 0), (0, 1, 1)], [0, 1]),
    "new_epoch_not_zero": ([(0, 1, 0), (1, 1, 1)], [0, OUT_OF_ORDER]),
    "no_epoch": ([(0, 1, -1), (9, 1, -1)], [0, 1]),
    "wrap": ([(0, 1, 0), (SEQUENCE_MAX, 1, 0), (0, 1, 0)], [0, OUT_OF_ORDER, 0]),
    "gap_then_right": ([(0, 1, 0), (3, 1, 0), (1, 1, 0)], [0, OUT_OF_ORDER, 1]),
    "across_the_maximum": ([(SEQUENCE_MAX, 2, 0), (1, 1, 0), (SEQUENCE_MAX, 2, 0)], [0, 2, 0]),
    "at_the_maximum": ([(SEQUENCE_MAX, 1, 0), (0, 1, 0)], [0, 1]),
    "epoch_jump": ([(0, 1, 0), (0, 1, 9)], [0, 1]),
}


@pytest.mark.parametrize(("steps", "answers"), SEQUENCES.values(), ids=SEQUENCES)
def test_sequences(steps: list[tuple[int, int, int]], answers: list[int | ErrorCode]) -> None:
    """Each batch of (sequence, count, epoch) gets the offset or the error that Apache Kafka 4.3.1 gave."""
    log = Appends()
    assert [log.append(*step) for step in steps] == answers


def test_producers_do_not_meet() -> None:
    """Sequences are counted for each producer."""
    log = Appends()
    assert [log.append(0, 2, producer_id=1), log.append(0, 2, producer_id=2), log.append(2, producer_id=1)] == [0, 2, 4]


def test_coordinators_have_no_sequences() -> None:
    """A coordinator's batches are fenced by epoch only, a replica's not at all."""
    log = Appends()
    log.append(0, epoch=5)
    log.states.check(header(epoch=5), AppendOrigin.COORDINATOR, offset=1, verified=True)
    old = header(epoch=4)
    log.states.check(old, AppendOrigin.REPLICATION, offset=1, verified=False)
    with pytest.raises(KafkaError) as caught:
        log.states.check(old, AppendOrigin.COORDINATOR, offset=1, verified=True)
    assert caught.value.code is ErrorCode.INVALID_PRODUCER_EPOCH


def test_transactions_hold_the_stable_offset() -> None:
    """The first unstable offset is where the oldest open transaction began, until its marker."""
    log = Appends()
    log.append(0, producer_id=1, count=3)
    assert log.states.first_unstable_offset is None
    log.append(0, attributes=TRANSACTIONAL)
    log.append(0, attributes=TRANSACTIONAL, producer_id=8)
    log.append(1, attributes=TRANSACTIONAL)
    assert log.states.first_unstable_offset == 3
    assert log.states.producers[PRODUCER].transaction_first_offset == 3
    assert log.end_transaction(ControlType.ABORT) == CompletedTransaction(
        PRODUCER, 3, 6, aborted=True, last_stable_offset=4
    )
    assert log.states.first_unstable_offset == 4
    assert log.states.producers[PRODUCER].transaction_first_offset is None
    assert log.end_transaction(ControlType.COMMIT) is None


def test_transactional_batches_need_a_transaction() -> None:
    """A transactional batch is refused unless its transaction is open here or the coordinator knows of it."""
    states = ProducerStates()
    batch = header(0, attributes=TRANSACTIONAL)
    with pytest.raises(KafkaError) as caught:
        states.check(batch, AppendOrigin.CLIENT, offset=0, verified=False)
    assert caught.value.code is ErrorCode.INVALID_TXN_STATE
    states.check(batch, AppendOrigin.CLIENT, offset=0, verified=True)
    states.appended(batch, 0, 0)
    states.check(header(1, attributes=TRANSACTIONAL), AppendOrigin.CLIENT, offset=1, verified=False)
    with pytest.raises(KafkaError) as caught:
        states.check(header(1), AppendOrigin.CLIENT, offset=1, verified=False)
    assert caught.value.code is ErrorCode.INVALID_TXN_STATE


def test_fenced_markers() -> None:
    """Markers of an older epoch or coordinator are refused."""
    log = Appends()
    log.append(0, epoch=2, attributes=TRANSACTIONAL)
    with pytest.raises(KafkaError) as caught:
        log.end_transaction(ControlType.COMMIT, epoch=1)
    assert caught.value.code is ErrorCode.INVALID_PRODUCER_EPOCH
    log.end_transaction(ControlType.COMMIT, epoch=2)
    with pytest.raises(KafkaError) as caught:
        log.states.check_marker(header(epoch=2), EndTransactionMarker(ControlType.COMMIT, coordinator_epoch=2))
    assert caught.value.code is ErrorCode.TRANSACTION_COORDINATOR_FENCED
    log.states.check_marker(header(producer_id=99), EndTransactionMarker(ControlType.COMMIT, coordinator_epoch=0))


def test_a_marker_with_a_new_epoch() -> None:
    """A marker may bring the next epoch (KIP-890): then the producer begins at sequence 0."""
    log = Appends()
    log.append(0, attributes=TRANSACTIONAL)
    log.end_transaction(ControlType.COMMIT, epoch=1)
    assert log.append(1, epoch=1) is OUT_OF_ORDER
    assert log.append(0, epoch=0) is ErrorCode.INVALID_PRODUCER_EPOCH
    assert log.append(0, epoch=1) == 2


def test_expiry() -> None:
    """Idle producers are forgotten, unless they have a transaction open."""
    log = Appends()
    log.append(0, producer_id=1)
    log.append(0, producer_id=2, attributes=TRANSACTIONAL)
    log.append(0, producer_id=3)
    log.states.expire(now_ms=1102, expiration_ms=101)
    assert list(log.states.producers) == [2, 3]
    assert log.append(9, producer_id=1) == 3


def test_snapshot_format() -> None:
    """A snapshot has Kafka's bytes: version, checksum, and an entry for each producer."""
    log = Appends()
    log.append(0, 3)
    log.append(0, 1, producer_id=8, attributes=TRANSACTIONAL)
    body = struct.pack(">i", 2)
    body += struct.pack(">qhiqiqiq", PRODUCER, 0, 2, 2, 2, 1000, -1, -1)
    body += struct.pack(">qhiqiqiq", 8, 0, 0, 3, 0, 1003, -1, 3)
    assert log.states.encode() == struct.pack(">hI", 1, crc32c(body)) + body


def test_snapshot_round_trip() -> None:
    """What a snapshot holds is the last batch of each producer and its open transaction."""
    log = Appends()
    for sequence in range(3):
        log.append(sequence)
    log.append(0, producer_id=8, attributes=TRANSACTIONAL)
    log.append(0, producer_id=9, attributes=TRANSACTIONAL)
    log.end_transaction(ControlType.ABORT)
    read = Appends(ProducerStates.decode(log.states.encode(), log.end_offset), log.end_offset)
    assert read.states.end_offset == log.end_offset
    assert read.states.first_unstable_offset == 3
    assert read.states.encode() == log.states.encode()
    assert read.append(2) == 2
    assert read.append(1) is OUT_OF_ORDER
    assert read.append(3) == 6


def test_history_is_restored() -> None:
    """With the headers of the log before a snapshot, its producers have all their last batches again."""
    log = Appends()
    headers = [header(sequence)._replace(base_offset=log.append(sequence)) for sequence in range(7)]
    headers.append(header(0, epoch=9, producer_id=8))
    read = Appends(ProducerStates.decode(log.states.encode(), 7), 7)
    read.states.restore_history(headers)
    assert [read.append(sequence) for sequence in (1, 2, 6, 7)] == [OUT_OF_ORDER, 2, 6, 7]
    assert read.states.producers[PRODUCER].batches[0] == BatchMetadata(3, 3, 0, 0)


@pytest.mark.parametrize("damage", ["version", "checksum", "count", "short", "empty"])
def test_corrupt_snapshots(damage: str) -> None:
    """A snapshot that is not sound is refused."""
    log = Appends()
    log.append(0)
    data = bytearray(log.states.encode())
    if damage == "version":
        data[1] = 9
    elif damage == "checksum":
        data[20] ^= 1
    elif damage == "count":
        data[9] = 2
        data[2:6] = crc32c(data[6:]).to_bytes(4, "big")
    else:
        data = data[:7] if damage == "short" else bytearray()
    with pytest.raises(SnapshotCorrupt):
        ProducerStates.decode(bytes(data), 1)
