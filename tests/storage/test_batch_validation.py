"""The answers are those that Apache Kafka 4.3.1 gave to the same batches."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.legacy_records import LegacyRecordBatchBuilder

from kpy.protocol.compression import Codec, Decompressor, compress
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import (
    CONTROL,
    DELETE_HORIZON,
    HEADER_BYTES,
    LOG_APPEND_TIME,
    MAGIC,
    Record,
    RecordBatch,
    build_batch,
    build_control_batch,
    stamp_crc,
    write_record,
)
from kpy.storage.batch_validation import (
    QUICK_DECODED_RECORDS_MAX,
    QUICK_DECOMPRESSED_BYTES_MAX,
    QUICK_RECOMPRESSED_BYTES_MAX,
    QUICK_RECORDS_MAX,
    QUICK_UNLIKE_RECORDS_MAX,
    RECORD_ERRORS_MAX,
    RecordError,
    RecordValidationError,
    TooMuchWork,
    ValidBatch,
    check_produced,
    validate,
)
from kpy.storage.log_config import LogConfig, TimestampType
from kpy.storage.producer_states import AppendOrigin
from tests.storage.batches import NOW_MS, batch, odd_batch

CLIENT = AppendOrigin.CLIENT
HOUR_MS = 3_600_000


def check(
    records: bytearray | bytes,
    config: LogConfig | None = None,
    origin: AppendOrigin = CLIENT,
    version: int = 9,
    *,
    quick: bool = False,
) -> ValidBatch:
    if origin is CLIENT:
        check_produced(records, version)
    return validate(
        memoryview(records),
        config or LogConfig(),
        now_ms=NOW_MS,
        origin=origin,
        decompressor=Decompressor(),
        quick=quick,
    )


def code_of(records: bytearray | bytes, config: LogConfig | None = None, version: int = 9) -> ErrorCode:
    with pytest.raises(KafkaError) as caught:
        check(records, config, version=version)
    return caught.value.code


REFUSED = {
    "crc": (odd_batch(crc=12345), ErrorCode.CORRUPT_MESSAGE),
    "magic_3": (odd_batch(magic=3), ErrorCode.CORRUPT_MESSAGE),
    "magic_-1": (odd_batch(magic=-1), ErrorCode.CORRUPT_MESSAGE),
    "magic_0": (odd_batch(magic=0), ErrorCode.INVALID_RECORD),
    "magic_1": (odd_batch(magic=1), ErrorCode.INVALID_RECORD),
    "count_high": (odd_batch(record_count=5), ErrorCode.INVALID_RECORD),
    "count_low": (odd_batch((b"a", b"b"), record_count=1), ErrorCode.INVALID_RECORD),
    "count_low_and_delta": (odd_batch((b"a", b"b"), record_count=1, last_offset_delta=0), ErrorCode.INVALID_RECORD),
    "count_zero": (odd_batch((), last_offset_delta=0), ErrorCode.INVALID_RECORD),
    "count_negative": (odd_batch(record_count=-1), ErrorCode.INVALID_RECORD),
    "last_delta_high": (odd_batch(last_offset_delta=9), ErrorCode.INVALID_RECORD),
    "last_delta_negative": (odd_batch(last_offset_delta=-1), ErrorCode.INVALID_RECORD),
    "length_short": (odd_batch(length=20), ErrorCode.CORRUPT_MESSAGE),
    "length_long": (odd_batch(length=5000), ErrorCode.INVALID_RECORD),
    "length_zero": (odd_batch(length=0), ErrorCode.CORRUPT_MESSAGE),
    "length_negative": (odd_batch(length=-5), ErrorCode.CORRUPT_MESSAGE),
    "base_offset": (odd_batch(base_offset=77), ErrorCode.INVALID_RECORD),
    "control_bit": (odd_batch(attributes=CONTROL), ErrorCode.INVALID_RECORD),
    "garbage_payload": (odd_batch(payload=b"\xff" * 30), ErrorCode.UNKNOWN_SERVER_ERROR),
    "garbage_in_a_record": (odd_batch(payload=b"\x14" + b"\xff" * 10), ErrorCode.INVALID_RECORD),
    "deltas_from_one": (odd_batch((b"a", b"b"), deltas=(1, 2), last_offset_delta=2), ErrorCode.INVALID_RECORD),
    "codec_5": (odd_batch(attributes=5), ErrorCode.UNKNOWN_SERVER_ERROR),
    "codec_7": (odd_batch(attributes=7), ErrorCode.UNKNOWN_SERVER_ERROR),
    "gzip_as_snappy": (odd_batch(codec=1, declared_codec=2), ErrorCode.UNKNOWN_SERVER_ERROR),
    "plain_as_gzip": (odd_batch(declared_codec=1), ErrorCode.UNKNOWN_SERVER_ERROR),
    "plain_as_lz4": (odd_batch(declared_codec=3), ErrorCode.UNKNOWN_SERVER_ERROR),
    "plain_as_zstd": (odd_batch(declared_codec=4), ErrorCode.UNKNOWN_SERVER_ERROR),
    "gzip_as_plain": (odd_batch(codec=1, declared_codec=0), ErrorCode.INVALID_RECORD),
    "producer_without_sequence": (odd_batch(producer_id=7), ErrorCode.INVALID_RECORD),
    "negative_sequence": (
        odd_batch(producer_id=7, producer_epoch=0, base_sequence=-5),
        ErrorCode.INVALID_RECORD,
    ),
    "nothing": (b"", ErrorCode.INVALID_RECORD),
    "half": (odd_batch()[:30], ErrorCode.INVALID_RECORD),
    "two_batches": (odd_batch() + odd_batch(), ErrorCode.INVALID_RECORD),
    "garbage_behind": (odd_batch(trailing=bytes(20)), ErrorCode.CORRUPT_MESSAGE),
    "bad_magic_behind": (odd_batch(trailing=b"\xff" * 8 + b"\0\0\0\xff" + b"\xff" * 5), ErrorCode.CORRUPT_MESSAGE),
}


@pytest.mark.parametrize(("records", "code"), REFUSED.values(), ids=REFUSED)
def test_refused(records: bytearray, code: ErrorCode) -> None:
    """A damaged batch gets the code that Kafka gives it."""
    assert code_of(records) is code


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP, Codec.SNAPPY])
def test_older_formats(magic: int, codec: Codec) -> None:
    """Message sets of formats 0 and 1 are refused at every version, as Kafka 4 refuses them, compressed or not."""
    builder = LegacyRecordBatchBuilder(magic, compression_type=codec, batch_size=1 << 20)
    for offset in range(2):
        builder.append(offset, timestamp=NOW_MS, key=None, value=b"value")
    message_set = bytes(builder.build())
    for version in range(3, 14):
        assert code_of(message_set, version=version) is ErrorCode.INVALID_RECORD


STORED = {
    "unused_attribute": odd_batch(attributes=128),
    "delete_horizon": odd_batch(attributes=DELETE_HORIZON),
    "leader_epoch": odd_batch(leader_epoch=7),
    "deltas_jump": odd_batch((b"a", b"b"), deltas=(0, 5)),
    "sequence_without_producer": odd_batch(base_sequence=3),
    "no_epoch": odd_batch(producer_id=7, base_sequence=0),
    "half_a_batch_behind": odd_batch(trailing=bytes(odd_batch()[:40])),
    "few_bytes_behind": odd_batch(trailing=b"\xff" * 11),
}


@pytest.mark.parametrize("records", STORED.values(), ids=STORED)
def test_stored(records: bytearray) -> None:
    """What Kafka stores as it came is stored as it came, without what follows the batch."""
    before = bytes(records)
    valid = check(records)
    size = valid.header.size_bytes
    assert bytes(valid.data) == before[:size]


def test_max_timestamp_is_made_right() -> None:
    """A wrong largest timestamp is put right, in place, and the checksum with it."""
    records = odd_batch(max_timestamp=1 << 60)
    valid = check(records)
    assert valid.max_timestamp == valid.header.max_timestamp == NOW_MS
    assert RecordBatch(records).header.max_timestamp == NOW_MS
    assert RecordBatch(records).is_sound()


def test_read_only_records() -> None:
    """Records that cannot be changed in place are copied where they have to be changed."""
    valid = check(bytes(odd_batch(max_timestamp=5)))
    assert RecordBatch(bytes(valid.data)).header.max_timestamp == NOW_MS


@pytest.mark.parametrize("codec", Codec)
def test_too_large(codec: Codec) -> None:
    """A batch larger than max.message.bytes is refused, of that size it is not."""
    records = batch("x" * 100, codec=codec)
    size = len(records)
    assert check(records, LogConfig(max_message_bytes=size)).header.size_bytes == size
    assert code_of(records, LogConfig(max_message_bytes=size - 1)) is ErrorCode.MESSAGE_TOO_LARGE


def test_bomb() -> None:
    """A small batch that would decompress to more than a broker wants to hold is too large."""
    bomb = build_batch([(None, bytes(70_000_000))], codec=Codec.ZSTD, timestamp=NOW_MS)
    assert len(bomb) < 10_000
    assert code_of(bomb) is ErrorCode.MESSAGE_TOO_LARGE


def test_zstd_is_newer() -> None:
    """Produce before version 7 does not know zstd."""
    records = batch(codec=Codec.ZSTD)
    assert code_of(records, version=6) is ErrorCode.UNSUPPORTED_COMPRESSION_TYPE
    check(records, version=7)


TIMESTAMPS = {
    "now": (NOW_MS, True),
    "an_hour_ahead": (NOW_MS + HOUR_MS, True),
    "more_than_an_hour_ahead": (NOW_MS + HOUR_MS + 1, False),
    "zero": (0, True),
    "minus_one": (-1, True),
    "minus_two": (-2, True),
    "min": (-(1 << 63), False),
    "max": ((1 << 63) - 1, False),
}


@pytest.mark.parametrize(("timestamp", "good"), TIMESTAMPS.values(), ids=TIMESTAMPS)
@pytest.mark.parametrize("codec", [Codec.NONE, Codec.GZIP])
def test_timestamps(timestamp: int, good: bool, codec: Codec) -> None:
    """Timestamps beyond message.timestamp.after.max.ms are refused; Java's overflow decides at the ends."""
    records = odd_batch((b"a", b"b"), timestamp=timestamp, codec=codec)
    if good:
        assert check(records).max_timestamp == max(timestamp, -1)
        return
    with pytest.raises(RecordValidationError) as caught:
        check(records)
    assert caught.value.code is ErrorCode.INVALID_TIMESTAMP
    assert [error.batch_index for error in caught.value.record_errors] == [0, 1]


def test_timestamps_of_the_past() -> None:
    """message.timestamp.before.max.ms bounds the past, and no timestamp is never too old."""
    config = LogConfig(message_timestamp_before_max_ms=1000)
    check(odd_batch(timestamp=NOW_MS - 1000), config)
    check(odd_batch(timestamp=-1), config)
    assert code_of(odd_batch(timestamp=NOW_MS - 1001), config) is ErrorCode.INVALID_TIMESTAMP


def test_one_bad_record() -> None:
    """Only the records that are wrong are named."""
    records = build_batch([Record(b"k", b"v", timestamp=NOW_MS + delta) for delta in (0, 2 * HOUR_MS, 5, 3 * HOUR_MS)])
    with pytest.raises(RecordValidationError) as caught:
        check(records)
    assert [error.batch_index for error in caught.value.record_errors] == [1, 3]


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4])
def test_keys_on_a_compacted_topic(codec: Codec) -> None:
    """A compacted topic takes only records with keys, and says which have none; an empty key is one."""
    config = LogConfig(cleanup_policy=frozenset({"compact", "delete"}))
    records = build_batch([(b"k", b"1"), (None, b"2"), (b"", b"3"), (None, b"4")], codec=codec, timestamp=NOW_MS)
    with pytest.raises(RecordValidationError) as caught:
        check(records, config)
    assert caught.value.code is ErrorCode.INVALID_RECORD
    assert [error.batch_index for error in caught.value.record_errors] == [1, 3]
    assert check(records).header.record_count == 4


def test_a_bad_timestamp_outweighs_a_missing_key() -> None:
    """If records are wrong in both ways, the code is that of the timestamp."""
    config = LogConfig(cleanup_policy=frozenset({"compact"}))
    records = build_batch([Record(None, b"1", timestamp=NOW_MS), Record(b"k", b"2", timestamp=NOW_MS + 2 * HOUR_MS)])
    assert code_of(records, config) is ErrorCode.INVALID_TIMESTAMP


def test_log_append_time() -> None:
    """With log append time the batch gets the broker's time, whatever its own are."""
    config = LogConfig(message_timestamp_type=TimestampType.LOG_APPEND_TIME)
    valid = check(odd_batch(timestamp=5), config)
    assert valid.header.is_log_append_time
    stored = RecordBatch(valid.data)
    assert stored.is_sound()
    assert [record.timestamp for record in stored] == [NOW_MS]
    assert stored.header.base_timestamp == 5


def test_timestamp_type_set_by_a_producer() -> None:
    """A producer cannot say that the broker gave the time: the bit is cleared, or the batch refused if it has none."""
    valid = check(odd_batch(attributes=LOG_APPEND_TIME))
    assert not valid.header.is_log_append_time
    assert RecordBatch(valid.data).is_sound()
    assert code_of(odd_batch(attributes=LOG_APPEND_TIME, timestamp=-1)) is ErrorCode.INVALID_TIMESTAMP
    config = LogConfig(message_timestamp_type=TimestampType.LOG_APPEND_TIME)
    assert code_of(odd_batch(attributes=LOG_APPEND_TIME), config) is ErrorCode.INVALID_TIMESTAMP


@pytest.mark.parametrize("source", Codec)
@pytest.mark.parametrize("target", ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_compression_of_the_topic(source: Codec, target: str) -> None:
    """A topic's compression.type decides how batches are stored; the records stay what they are."""
    records = batch("first", "second", codec=source, producer_id=9, producer_epoch=1, base_sequence=4)
    valid = check(records, LogConfig(compression_type=target))
    expected = {"producer": source, "uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}[target]
    stored = RecordBatch(valid.data)
    assert valid.header == stored.header
    assert stored.header.codec == expected
    assert stored.is_sound()
    assert list(stored) == list(RecordBatch(records))
    assert stored.header[9:] == (9, 1, 4, 2)
    assert stored.header.max_timestamp == valid.max_timestamp == NOW_MS


@pytest.mark.parametrize("are_numbered_anew", [False, True])
@pytest.mark.parametrize(("codec", "weak", "strong"), [("gzip", 1, 9), ("lz4", 1, 17), ("zstd", -5, 19)])
def test_the_level_of_compression(codec: str, weak: int, strong: int, are_numbered_anew: bool) -> None:
    """compression.gzip.level and its like decide how hard the topic's codec tries."""
    values = tuple(b"%d" % (number * number) * 9 for number in range(200))
    deltas = (*range(199), 500) if are_numbered_anew else None
    sizes = []
    for level in (weak, strong):
        config = LogConfig(compression_type=codec, **{f"compression_{codec}_level": level})  # type: ignore[arg-type]
        sizes.append(len(check(odd_batch(values, deltas=deltas, codec=Codec.SNAPPY), config).data))
    assert sizes[1] < sizes[0]


def test_recompressed_with_log_append_time() -> None:
    """Compression and timestamp type of the topic go together."""
    config = LogConfig(compression_type="gzip", message_timestamp_type=TimestampType.LOG_APPEND_TIME)
    stored = RecordBatch(check(odd_batch(timestamp=5), config).data)
    assert stored.is_sound()
    assert stored.header.codec == Codec.GZIP
    assert [record.timestamp for record in stored] == [NOW_MS]


def test_recompressed_beyond_the_limit() -> None:
    """A batch that fits only as the producer compressed it is too large for a topic that stores it plainly."""
    records = batch("x" * 10_000, codec=Codec.ZSTD)
    config = LogConfig(compression_type="uncompressed", max_message_bytes=5000)
    assert code_of(records, config) is ErrorCode.MESSAGE_TOO_LARGE


def test_compressed_records_are_numbered_anew() -> None:
    """Compressed records whose offsets are not successive are stored with offsets that are."""
    stored = RecordBatch(check(odd_batch((b"a", b"b"), deltas=(0, 5), codec=Codec.GZIP)).data)
    assert [(record.offset, record.value) for record in stored] == [(0, b"a"), (1, b"b")]
    assert stored.is_sound()


@pytest.mark.parametrize("first_delta", [0, 3])
@pytest.mark.parametrize("deltas", [(0, 1), (0, 5)])
@pytest.mark.parametrize("target", ["uncompressed", "zstd"])
def test_recompressed_records_are_the_same(target: str, deltas: tuple[int, int], first_delta: int) -> None:
    """Whatever their offsets and timestamps are counted from; only offsets that are not successive change."""
    payload = bytearray()
    records = [Record(b"k", b"a", (("h", None),)), Record(None, b"b")]
    for record, delta, time in zip(records, deltas, (first_delta, 1), strict=True):
        write_record(payload, record, timestamp_delta=time, offset_delta=delta)
    original = odd_batch((b"a", b"b"), payload=compress(Codec.LZ4, payload), codec=Codec.LZ4)
    expected = [record._replace(offset=index) for index, record in enumerate(RecordBatch(bytes(original)))]
    valid = check(original, LogConfig(compression_type=target))
    stored = RecordBatch(valid.data)
    assert list(stored) == expected
    assert stored.is_sound()
    assert stored.header == valid.header
    assert stored.header.max_timestamp == valid.max_timestamp == NOW_MS + max(first_delta, 1)


UNLIKE = [Record(b"k", bytes(index * index % 50), timestamp=NOW_MS) for index in range(QUICK_UNLIKE_RECORDS_MAX + 1)]
ALIKE = [Record(b"k", b"x" * 100, timestamp=NOW_MS)] * (QUICK_UNLIKE_RECORDS_MAX + 1)
VALUE = random.Random(1).randbytes(QUICK_RECOMPRESSED_BYTES_MAX)
LATE = {"message_timestamp_before_max_ms": HOUR_MS}
QUICK = {
    "few": ([Record(b"k", b"v")], Codec.ZSTD, {"compression_type": "gzip"}),
    "alike": (ALIKE, Codec.NONE, {}),
    "alike_compressed": (ALIKE, Codec.GZIP, {}),
    "large_value": ([Record(b"k", VALUE * 60)], Codec.NONE, {}),
    "few_late": ([Record(b"k", b"v", timestamp=0)], Codec.NONE, LATE),
}
LONG = {
    "unlike": (UNLIKE, Codec.NONE, {}),
    "unlike_compressed": (UNLIKE, Codec.SNAPPY, {}),
    "many": ([Record(None, b"")] * (QUICK_RECORDS_MAX + 1), Codec.NONE, {}),
    "compressed": ([Record(b"k", VALUE * 9)], Codec.SNAPPY, {}),
    "bomb": ([Record(b"k", bytes(QUICK_DECOMPRESSED_BYTES_MAX))], Codec.ZSTD, {}),
    "to_be_compressed": ([Record(b"k", VALUE)], Codec.NONE, {"compression_type": "zstd"}),
    "to_be_recompressed": ([Record(b"k", bytes(len(VALUE)))], Codec.LZ4, {"compression_type": "zstd"}),
    "late": ([Record(b"k", b"v", timestamp=0)] * (QUICK_DECODED_RECORDS_MAX + 1), Codec.NONE, LATE),
}


def outcome(records: bytes, config: LogConfig, *, quick: bool) -> bytes | list[RecordError]:
    try:
        return bytes(check(records, config, quick=quick).data)
    except RecordValidationError as error:
        return list(error.record_errors)


@pytest.mark.parametrize(("records", "codec", "settings"), QUICK.values(), ids=QUICK)
def test_what_is_quick(records: list[Record], codec: Codec, settings: dict[str, object]) -> None:
    """Most batches are validated where they arrive, with the same result as elsewhere."""
    made = bytes(build_batch(records, codec=codec, timestamp=NOW_MS))
    config = LogConfig(**settings)  # type: ignore[arg-type]
    assert outcome(made, config, quick=True) == outcome(made, config, quick=False)


@pytest.mark.parametrize(("records", "codec", "settings"), LONG.values(), ids=LONG)
def test_what_takes_long(records: list[Record], codec: Codec, settings: dict[str, object]) -> None:
    """A batch that takes more time than others should wait for it is left as it was, for a worker."""
    made = build_batch(records, codec=codec, timestamp=NOW_MS)
    before = bytes(made)
    config = LogConfig(message_timestamp_type=TimestampType.CREATE_TIME, **settings)  # type: ignore[arg-type]
    with pytest.raises(TooMuchWork):
        check(made, config, quick=True)
    assert made == before
    assert outcome(before, config, quick=False)


def test_not_every_refused_record_is_named() -> None:
    """An answer does not grow with what a small batch can hold; all are counted."""
    records = build_batch([Record(None, b"")] * (RECORD_ERRORS_MAX + 7), timestamp=NOW_MS)
    with pytest.raises(RecordValidationError, match=f"{RECORD_ERRORS_MAX + 7} records") as caught:
        check(records, LogConfig(cleanup_policy=frozenset({"compact"})))
    assert [error.batch_index for error in caught.value.record_errors] == list(range(RECORD_ERRORS_MAX))


def test_control_batches_of_the_broker() -> None:
    """The broker itself writes control records, at any offset, and they are not compressed."""
    marker = build_control_batch(Record(b"\0\0\0\0", bytes(6)), timestamp=NOW_MS, base_offset=5)
    valid = check(marker, LogConfig(compression_type="gzip"), AppendOrigin.COORDINATOR)
    assert valid.header.is_control
    assert valid.header.codec == Codec.NONE


@given(data=st.data())
def test_mutations(data: st.DataObject) -> None:
    """A batch that was tampered with behind its back is stored sound, or refused with an error code."""
    records = build_batch(
        [Record(b"key", b"value", (("name", b"x"),), NOW_MS)] * data.draw(st.sampled_from([1, 3, 40])),
        codec=data.draw(st.sampled_from(Codec)),
    )
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(records) - 1))
        records[position] = data.draw(st.integers(0, 255))
    stamp_crc(records)
    try:
        valid = check(records)
    except KafkaError:
        return
    stored = RecordBatch(valid.data)
    assert stored.is_sound()
    assert stored.header.magic == MAGIC
    assert len(list(stored)) == stored.header.record_count
    assert len(valid.data) > HEADER_BYTES
