import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder

from kpy.protocol.compression import Codec, DecompressionError, compress
from kpy.protocol.crc import crc32c
from kpy.protocol.records import (
    CONTROL,
    HEADER_BYTES,
    LOG_APPEND_TIME,
    TRANSACTIONAL,
    BatchHeader,
    ControlType,
    EndTransactionMarker,
    InvalidRecord,
    Record,
    RecordBatch,
    VarintTooLong,
    build_batch,
    build_control_batch,
    build_plain_batch,
    control_type,
    read_batches,
    read_varint,
    read_varlong,
    sequence_plus,
    stamp_crc,
    write_varint,
)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
blobs = st.none() | st.binary(max_size=200)
records = st.lists(
    st.builds(
        Record,
        key=blobs,
        value=blobs,
        headers=st.lists(st.tuples(names, blobs), max_size=3).map(tuple),
        timestamp=st.integers(0, 1 << 41),
    ),
    min_size=1,
    max_size=20,
)


def test_golden_bytes() -> None:
    """A batch of one record is the bytes that the format's description gives, written out by hand."""
    body = "00 00 00 02 6b 02 76 00"  # attributes, deltas, key "k", value "v", no headers
    content = f"""
        0000 00000000 00000000 000003e8 00000000 000003e8
        ffffffffffffffff ffff ffffffff 00000001  10 {body}"""
    head = f"0000000000000000 0000003a ffffffff 02 {crc32c(bytes.fromhex(content)):08x}"
    assert build_batch([(b"k", b"v")], timestamp=1000) == bytes.fromhex(head + content)


@given(given_records=records, codec=st.sampled_from(Codec))
def test_round_trip(given_records: list[Record], codec: Codec) -> None:
    """Records that are built into a batch are read from it, at successive offsets."""
    batch = RecordBatch(build_batch(given_records, codec=codec, base_offset=7))
    assert batch.is_sound()
    assert [(r.key, r.value, r.headers, r.timestamp) for r in batch] == [
        (r.key, r.value, r.headers, r.timestamp) for r in given_records
    ]
    assert [r.offset for r in batch] == list(range(7, 7 + len(given_records)))
    header = batch.header
    assert (header.base_offset, header.next_offset) == (7, 7 + len(given_records))
    assert header.max_timestamp == max(r.timestamp or 0 for r in given_records)


@given(pairs=st.lists(st.tuples(blobs, blobs), min_size=1, max_size=200), timestamp=st.integers(0, 1 << 41))
def test_a_plain_batch(pairs: list[tuple[bytes | None, bytes | None]], timestamp: int) -> None:
    """The quick way to build a batch of keys and values gives the very bytes of the other."""
    assert build_plain_batch(pairs, timestamp) == build_batch(pairs, timestamp=timestamp)


@given(given_records=records, codec=st.sampled_from(Codec))
def test_kafka_python_reads_it(given_records: list[Record], codec: Codec) -> None:
    """What is built here, kafka-python reads as the same records."""
    batch = DefaultRecordBatch(bytes(build_batch(given_records, codec=codec)))
    assert batch.validate_crc()
    assert [(r.key, r.value, tuple(r.headers), r.timestamp) for r in batch] == [
        (r.key, r.value, r.headers, r.timestamp) for r in given_records
    ]


@given(given_records=records, codec=st.sampled_from(Codec))
def test_what_kafka_python_builds(given_records: list[Record], codec: Codec) -> None:
    """What kafka-python builds is read here as the same records."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=True, producer_id=4, producer_epoch=1, base_sequence=9,
        batch_size=1 << 20,
    )  # fmt: skip
    for offset, record in enumerate(given_records):
        builder.append(offset, record.timestamp, record.key, record.value, list(record.headers))
    batch = RecordBatch(bytes(builder.build()))
    assert batch.is_sound()
    assert [(r.key, r.value, r.headers, r.timestamp) for r in batch] == [
        (r.key, r.value, r.headers, r.timestamp) for r in given_records
    ]
    header = batch.header
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (4, 1, 9)
    assert header.is_transactional
    assert header.last_sequence == 8 + len(given_records)


def test_attributes() -> None:
    """The bits of a header have names."""
    header = RecordBatch(
        build_batch([(b"k", b"v")], codec=Codec.ZSTD, attributes=TRANSACTIONAL | CONTROL | LOG_APPEND_TIME)
    ).header
    assert (header.codec, header.is_transactional, header.is_control, header.is_log_append_time) == (
        4,
        True,
        True,
        True,
    )
    assert not header.has_producer_id


def test_log_append_time() -> None:
    """With log append time every record has the batch's timestamp."""
    batch = build_batch([Record(b"a", b"b", timestamp=5), Record(b"a", b"b", timestamp=9)], attributes=LOG_APPEND_TIME)
    assert [record.timestamp for record in RecordBatch(batch)] == [9, 9]


def test_checksum() -> None:
    """A change of any bit behind the checksum is noticed, of base offset and leader epoch it is not."""
    batch = build_batch([(b"key", b"value")])
    for position in range(len(batch)):
        if 8 <= position < 12 or position == 16:
            continue  # the length and the format are checked by themselves
        changed = bytearray(batch)
        changed[position] ^= 1
        assert RecordBatch(changed).is_sound() == (position < 16)


def test_several_batches() -> None:
    """Batches are read one after the other up to one that was cut."""
    first, second = build_batch([(b"a", b"1")]), build_batch([(b"b", b"2")], base_offset=1)
    whole = first + second
    for size in range(len(whole) + 1):
        found = list(read_batches(whole[:size]))
        assert len(found) == (size >= len(first)) + (size >= len(whole))
    with pytest.raises(InvalidRecord):
        list(read_batches(first + bytes(70)))


@pytest.mark.parametrize("codec", Codec)
def test_records_are_read_as_asked_for(codec: Codec) -> None:
    """The first record comes out of a batch whose second is broken."""
    payload = build_batch([(b"first", b"1"), (b"second", b"2")])[HEADER_BYTES:]
    payload[-10:] = b"\xff" * 10
    head = build_batch([(b"", b"")] * 2, codec=codec)[:HEADER_BYTES]
    records = iter(RecordBatch(head + compress(codec, payload)))
    assert next(records).key == b"first"
    with pytest.raises(InvalidRecord):
        next(records)


@pytest.mark.parametrize("codec", [Codec.GZIP, Codec.SNAPPY, Codec.LZ4, Codec.ZSTD])
def test_decompressed_when_asked_for(codec: Codec) -> None:
    """Nothing is decompressed before a record is wanted."""
    records = iter(RecordBatch(build_batch([(b"", b"")], codec=codec)[:HEADER_BYTES] + b"this is no stream"))
    with pytest.raises(DecompressionError):
        next(records)


def test_batches_are_read_as_asked_for() -> None:
    """The first batch comes out of bytes that go on with something else."""
    batches = read_batches(build_batch([(b"a", b"1")]) + bytes(70))
    assert [record.key for record in next(batches)] == [b"a"]
    with pytest.raises(InvalidRecord):
        next(batches)


@pytest.mark.parametrize("magic", [0, 1])
def test_older_formats(magic: int) -> None:
    """Message sets of formats 0 and 1 are refused, not taken for batches. What a producer of them is told is in
    `tests/storage/test_batch_validation.py`.
    """
    builder = LegacyRecordBatchBuilder(magic, compression_type=0, batch_size=1 << 20)
    builder.append(0, timestamp=5, key=b"key", value=b"value" * 20)
    with pytest.raises(InvalidRecord, match="no record batch"):
        list(read_batches(bytes(builder.build())))


def test_too_short() -> None:
    """A batch without its whole header is not one."""
    with pytest.raises(InvalidRecord):
        RecordBatch(bytes(HEADER_BYTES - 1))


@given(data=st.data())
def test_mutations(data: st.DataObject) -> None:
    """Records that were tampered with are read, or are refused as invalid."""
    batch = build_batch([Record(b"key", b"value" * 10, (("name", b"x"), ("other", None)), 5)] * 3)
    for _ in range(data.draw(st.integers(1, 5))):
        position = data.draw(st.integers(HEADER_BYTES, len(batch) - 1))
        batch[position] = data.draw(st.integers(0, 255))
    stamp_crc(batch)
    with contextlib.suppress(InvalidRecord):
        list(RecordBatch(batch))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_wrong_counts(count: int) -> None:
    """A count that is not that of the records is noticed."""
    batch = build_batch([(b"k", b"v")] * 2)
    batch[57:61] = count.to_bytes(4, "big")
    with pytest.raises(InvalidRecord):
        list(RecordBatch(batch))


def test_empty_batch_cannot_be_built() -> None:
    """There is no batch without records."""
    with pytest.raises(ValueError, match="at least one"):
        build_batch([])


@given(value=st.integers(-(1 << 63), (1 << 63) - 1))
def test_varints(value: int) -> None:
    """Every integer is read as it was written, by the reader of its size."""
    data = bytearray(b"x")
    write_varint(data, value)
    assert read_varlong(data, 1) == (value, len(data))
    if -(1 << 31) <= value < 1 << 31:
        assert read_varint(data, 1) == (value, len(data))


def test_long_varints() -> None:
    """Varints end after five bytes, or ten; the bits that do not fit are dropped, as in Java."""
    with pytest.raises(VarintTooLong):
        read_varint(b"\xff" * 5 + b"\x00", 0)
    with pytest.raises(VarintTooLong):
        read_varlong(b"\xff" * 10 + b"\x00", 0)
    with pytest.raises(IndexError):
        read_varint(b"\xff\xff", 0)
    assert read_varint(b"\x82\x80\x80\x80\x70", 0) == (1, 5)
    assert read_varint(b"\x82\x00", 0) == (1, 2)


def test_markers() -> None:
    """The end of a transaction is a control record that says how it ended."""
    marker = EndTransactionMarker(ControlType.COMMIT, coordinator_epoch=7)
    batch = RecordBatch(build_control_batch(marker.record(), timestamp=5, transactional=True, producer_id=3))
    assert batch.header.is_control
    assert batch.header.is_transactional
    (record,) = batch
    assert (record.key, record.value) == (b"\x00\x00\x00\x01", b"\x00\x00\x00\x00\x00\x07")
    assert EndTransactionMarker.parse(record) == marker
    assert control_type(record) == ControlType.COMMIT


def test_kafka_python_reads_markers() -> None:
    """kafka-python knows our markers for what they are."""
    for kind in (ControlType.ABORT, ControlType.COMMIT):
        marker = EndTransactionMarker(kind, coordinator_epoch=7)
        batch = DefaultRecordBatch(build_control_batch(marker.record(), timestamp=5, transactional=True, producer_id=3))
        assert batch.validate_crc()
        assert (batch.is_control_batch, batch.is_transactional, batch.producer_id) == (True, True, 3)
        (record,) = batch
        assert (record.version, record.abort, record.commit) == (
            0,
            kind is ControlType.ABORT,
            kind is ControlType.COMMIT,
        )


@pytest.mark.parametrize("record", [Record(None, b""), Record(b"\0\0\0\2", bytes(6)), Record(b"\0\0\0\0", bytes(5))])
def test_not_a_marker(record: Record) -> None:
    """A control record that does not end a transaction is not read as if it did."""
    with pytest.raises(InvalidRecord):
        EndTransactionMarker.parse(record)


def test_sequences_wrap() -> None:
    """After the largest sequence number comes 0."""
    assert sequence_plus((1 << 31) - 1, 1) == 0
    assert sequence_plus((1 << 31) - 3, 7) == 4
    assert sequence_plus(4, -7) == (1 << 31) - 3
    assert BatchHeader.unpack(build_batch([(b"", b"")])).last_sequence == -1
