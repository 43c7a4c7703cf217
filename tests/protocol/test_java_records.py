"""Apache Kafka's own record classes and ours read each other's batches, and write the same bytes where nothing is
compressed.
"""

from itertools import accumulate
from typing import Any

import cramjam
import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.compression import Codec, compress
from kpy.protocol.records import (
    DELETE_HORIZON,
    HEADER_BYTES,
    LOG_APPEND_TIME,
    NO_LEADER_EPOCH,
    NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID,
    NO_SEQUENCE,
    NO_TIMESTAMP,
    SEQUENCE_MAX,
    TRANSACTIONAL,
    ControlType,
    EndTransactionMarker,
    Record,
    RecordBatch,
    build_batch,
    build_control_batch,
    read_batches,
    sequence_plus,
    stamp_crc,
)
from tests.protocol.java_codec import JavaCodec, JavaError, to_base64
from tests.sweeps import examples

INT64_MAX = (1 << 63) - 1
FRAMED = [Record(f"key {number}".encode(), bytes(100)) for number in range(4)]
PAYLOAD = bytes(build_batch(FRAMED, timestamp=5)[HEADER_BYTES:])
timestamps = st.sampled_from([0, INT64_MAX]) | st.integers(0, 1 << 42)
blobs = st.none() | st.binary(max_size=40) | st.builds(bytes, st.integers(100, 40_000))
header_names = st.text(max_size=10)
records = st.builds(
    Record,
    key=blobs,
    value=blobs,
    headers=st.lists(st.tuples(header_names, st.none() | st.binary(max_size=20)), max_size=3).map(tuple),
    timestamp=timestamps,
)
several_records = st.lists(records, min_size=1, max_size=8)
offsets = st.sampled_from([0, INT64_MAX - 100]) | st.integers(0, 1 << 50)
epochs = st.sampled_from([NO_LEADER_EPOCH, (1 << 31) - 1]) | st.integers(0, 1000)
producers = st.just((NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE)) | st.tuples(
    st.integers(0, INT64_MAX), st.integers(0, (1 << 15) - 1), st.integers(0, 9) | st.just(SEQUENCE_MAX)
)
"""Producer id, epoch and first sequence number; the last of them may have wrapped around."""


def built(given_records: list[Record], producer: tuple[int, int, int], **fields: int) -> bytearray:
    producer_id, producer_epoch, base_sequence = producer
    return build_batch(
        given_records, producer_id=producer_id, producer_epoch=producer_epoch, base_sequence=base_sequence, **fields
    )


def described_batch(batch: RecordBatch) -> dict[str, Any]:
    """What we read, in the words of the Java process."""
    header = batch.header
    assert batch.is_sound()
    return {
        "magic": header.magic,
        "size_bytes": header.size_bytes,
        "base_offset": header.base_offset,
        "last_offset": header.last_offset,
        "leader_epoch": header.leader_epoch,
        "codec": header.codec,
        "is_log_append_time": header.is_log_append_time,
        "is_transactional": header.is_transactional,
        "is_control": header.is_control,
        "delete_horizon_ms": header.base_timestamp if header.attributes & DELETE_HORIZON else NO_TIMESTAMP,
        "max_timestamp": header.max_timestamp,
        "producer_id": header.producer_id,
        "producer_epoch": header.producer_epoch,
        "base_sequence": header.base_sequence,
        "last_sequence": header.last_sequence,
        "record_count": header.record_count,
        "records": [described_record(record, header.is_control) for record in batch],
    }


def described_record(record: Record, is_control: bool) -> dict[str, Any]:
    described = {
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": to_base64(record.key),
        "value": to_base64(record.value),
        "headers": [[name, to_base64(value)] for name, value in record.headers],
    }
    if is_control:
        marker = EndTransactionMarker.parse(record)
        described |= {"control_type": marker.type.name, "coordinator_epoch": marker.coordinator_epoch}
    return described


@pytest.mark.parametrize("codec", Codec)
@given(several_records, producers, offsets, epochs, st.sampled_from([0, TRANSACTIONAL, LOG_APPEND_TIME]))
@settings(max_examples=examples(30))
def test_java_reads_ours(
    java: JavaCodec,
    codec: Codec,
    given_records: list[Record],
    producer: tuple[int, int, int],
    base_offset: int,
    leader_epoch: int,
    attributes: int,
) -> None:
    """A batch that we build says the same to Java as to us."""
    encoded = built(
        given_records, producer, codec=codec, base_offset=base_offset, leader_epoch=leader_epoch, attributes=attributes
    )
    assert java.read_batches(encoded) == [described_batch(RecordBatch(encoded))]


@pytest.mark.parametrize("codec", Codec)
@given(several_records, producers, offsets, epochs, st.data())
@settings(max_examples=examples(30))
def test_we_read_javas(
    java: JavaCodec,
    codec: Codec,
    given_records: list[Record],
    producer: tuple[int, int, int],
    base_offset: int,
    leader_epoch: int,
    data: st.DataObject,
) -> None:
    """A batch that Java builds says to us what Java was told to write, also with gaps between the offsets, with the
    broker's time and with a delete horizon (KIP-534).
    """
    asked = described_batch(
        RecordBatch(built(given_records, producer, base_offset=base_offset, leader_epoch=leader_epoch))
    )
    asked |= {"codec": codec, "is_log_append_time": data.draw(st.booleans())}
    if asked["is_log_append_time"]:
        asked["max_timestamp"] = data.draw(timestamps)
        asked["records"] = [record | {"timestamp": asked["max_timestamp"]} for record in asked["records"]]
    asked["delete_horizon_ms"] = data.draw(st.just(NO_TIMESTAMP) | st.integers(0, 1 << 42))
    asked["is_transactional"] = producer[0] != NO_PRODUCER_ID and data.draw(st.booleans())
    gaps = data.draw(st.lists(st.integers(0, 5), min_size=len(given_records), max_size=len(given_records)))
    for record, gap in zip(asked["records"], accumulate(gaps[1:], initial=0), strict=True):
        record["offset"] += gap
    asked["last_offset"] += sum(gaps[1:])
    if producer[0] != NO_PRODUCER_ID:
        asked["last_sequence"] = sequence_plus(asked["last_sequence"], sum(gaps[1:]))
    encoded = java.write_batch(asked)

    assert described_batch(RecordBatch(encoded)) == asked | {"size_bytes": len(encoded)}


@given(several_records, producers, offsets, epochs, st.booleans())
@settings(max_examples=examples(60))
def test_same_bytes(
    java: JavaCodec,
    given_records: list[Record],
    producer: tuple[int, int, int],
    base_offset: int,
    leader_epoch: int,
    transactional: bool,
) -> None:
    """Without compression a batch is the same bytes, whoever builds it."""
    attributes = TRANSACTIONAL if transactional and producer[0] != NO_PRODUCER_ID else 0
    ours = built(given_records, producer, base_offset=base_offset, leader_epoch=leader_epoch, attributes=attributes)
    assert java.write_batch(described_batch(RecordBatch(ours))) == ours


@given(
    st.sampled_from([ControlType.ABORT, ControlType.COMMIT]), st.integers(0, (1 << 31) - 1), timestamps, offsets, epochs
)
@settings(max_examples=examples(20))
def test_transaction_markers(
    java: JavaCodec, kind: ControlType, coordinator_epoch: int, timestamp: int, base_offset: int, leader_epoch: int
) -> None:
    """The end of a transaction is the same bytes, whoever writes it, and Java reads ours."""
    marker = EndTransactionMarker(kind, coordinator_epoch)
    ours = build_control_batch(
        marker.record(), timestamp=timestamp, transactional=True, producer_id=7, producer_epoch=2,
        base_offset=base_offset, leader_epoch=leader_epoch,
    )  # fmt: skip
    described = described_batch(RecordBatch(ours))
    assert java.read_batches(ours) == [described]
    assert java.write_batch(described) == ours


@given(st.lists(several_records, min_size=2, max_size=4), st.lists(st.sampled_from(Codec), min_size=4, max_size=4))
@settings(max_examples=examples(10))
def test_several_batches(java: JavaCodec, batches: list[list[Record]], codecs: list[Codec]) -> None:
    """Batches that stand one after the other are the same ones to both, a part of one at the end is none to both."""
    encoded = b"".join(
        build_batch(given_records, codec=codec) for given_records, codec in zip(batches, codecs, strict=False)
    )
    for readable in (encoded, encoded + encoded[:40], encoded[:-1]):
        assert java.read_batches(readable) == [described_batch(batch) for batch in read_batches(readable)]


def raw_snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def xerial(*blocks: bytes) -> bytes:
    head = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
    return head + b"".join(len(block).to_bytes(4, "big") + block for block in blocks)


def zstd_stream(data: bytes, level: int) -> bytes:
    """As Java's stream writes it, which does not know the size and so takes the window of the level."""
    stream = zstandard.ZstdCompressor(level).compressobj()
    return bytes(stream.compress(data) + stream.flush())


HALVES = (PAYLOAD[: len(PAYLOAD) // 2], PAYLOAD[len(PAYLOAD) // 2 :])
FRAMINGS: dict[str, tuple[Codec, bytes]] = {
    "gzip members": (Codec.GZIP, b"".join(compress(Codec.GZIP, half) for half in HALVES)),
    "raw snappy": (Codec.SNAPPY, raw_snappy(PAYLOAD)),
    "xerial blocks": (Codec.SNAPPY, xerial(*map(raw_snappy, HALVES))),
    "xerial streams": (Codec.SNAPPY, b"".join(compress(Codec.SNAPPY, half) for half in HALVES)),
    "an empty xerial block": (Codec.SNAPPY, xerial(raw_snappy(PAYLOAD), raw_snappy(b""))),
    "lz4 with its size": (Codec.LZ4, lz4.frame.compress(PAYLOAD, block_linked=False, store_size=True)),
    "lz4 with checksums": (
        Codec.LZ4,
        lz4.frame.compress(PAYLOAD, block_linked=False, content_checksum=True, block_checksum=True),
    ),
    "zstd frames": (Codec.ZSTD, b"".join(compress(Codec.ZSTD, half) for half in HALVES)),
    "zstd behind a frame to skip": (Codec.ZSTD, b"\x50\x2a\x4d\x18\x03\0\0\0abc" + compress(Codec.ZSTD, PAYLOAD)),
    "zstd with a checksum": (Codec.ZSTD, zstandard.ZstdCompressor(write_checksum=True).compress(PAYLOAD)),
    "zstd without its size": (Codec.ZSTD, zstandard.ZstdCompressor(write_content_size=False).compress(PAYLOAD)),
    "zstd with the largest window": (Codec.ZSTD, zstd_stream(PAYLOAD, level=22)),
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_framings(java: JavaCodec, framing: str) -> None:
    """Whatever a client's library makes of records is read by both: raw snappy and xerial's framing, several frames one
    after the other, frames with and without sizes and checksums.
    """
    codec, stored = FRAMINGS[framing]
    batch = build_batch(FRAMED, timestamp=5)[:HEADER_BYTES] + stored
    batch[8:12] = (len(batch) - 12).to_bytes(4, "big")
    batch[21:23] = codec.to_bytes(2, "big")
    stamp_crc(batch)

    described = described_batch(RecordBatch(batch))
    assert [record["value"] for record in described["records"]] == [to_base64(record.value) for record in FRAMED]
    assert java.read_batches(batch) == [described]


def test_checksum(java: JavaCodec) -> None:
    """A changed bit is noticed by both."""
    encoded = build_batch([(b"key", b"value")])
    encoded[-1] ^= 1
    assert not RecordBatch(encoded).is_sound()
    with pytest.raises(JavaError, match="CorruptRecordException"):
        java.read_batches(encoded)
