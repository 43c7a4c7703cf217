"""Record batches of format 2 (KIP-98): header, records, control records; read lazily, built for coordinators.

    base offset int64 | length int32 | leader epoch int32 | magic int8 | crc-32c uint32 of all that follows
    attributes int16 | last offset delta int32 | base timestamp int64 | max timestamp int64
    producer id int64 | producer epoch int16 | base sequence int32 | record count int32 | records

    record: length varint | attributes int8 | timestamp delta varlong | offset delta varint
            key length varint, key | value length varint, value | header count varint, headers (key, value)

Attributes: bits 0-2 codec, 3 timestamp type (log append time), 4 transactional, 5 control, 6 delete horizon (KIP-534).
Base offset and leader epoch stand before the checksum, so that a broker stamps them without computing it again.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Final, NamedTuple, Self

from kpy.protocol.compression import DECOMPRESSED_BYTES_MAX, Codec, compress, decompress
from kpy.protocol.crc import Buffer, crc32c

MAGIC: Final = 2
HEADER: Final = struct.Struct(">qiibIhiqqqhii")
HEADER_BYTES: Final = HEADER.size
LENGTH_END: Final = 12
"""The length field counts the bytes after itself: a batch's size is its length and these."""
CRC_START: Final = 21
"""The first byte that the checksum covers."""

CODEC_MASK: Final = 0x07
LOG_APPEND_TIME: Final = 0x08
TRANSACTIONAL: Final = 0x10
CONTROL: Final = 0x20
DELETE_HORIZON: Final = 0x40

NO_TIMESTAMP: Final = -1
NO_PRODUCER_ID: Final = -1
NO_PRODUCER_EPOCH: Final = -1
NO_SEQUENCE: Final = -1
NO_LEADER_EPOCH: Final = -1
SEQUENCE_MAX: Final = (1 << 31) - 1

_NULL: Final = b"\x01"
"""The varint of the length -1."""
_INT32_SIGN: Final = 1 << 31
_INT64_SIGN: Final = 1 << 63


class InvalidRecord(ValueError):
    """The bytes of a record or a batch are not what the format allows."""


class VarintTooLong(InvalidRecord):
    """A varint does not end where the longest one must."""


class BatchHeader(NamedTuple):
    """The 61 bytes before the records."""

    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @classmethod
    def unpack(cls, buffer: Buffer, position: int = 0) -> Self:
        return cls._make(HEADER.unpack_from(buffer, position))

    @property
    def size_bytes(self) -> int:
        return self.length + LENGTH_END

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        return sequence_plus(self.base_sequence, self.last_offset_delta) if self.base_sequence >= 0 else NO_SEQUENCE

    @property
    def codec(self) -> int:
        return self.attributes & CODEC_MASK

    @property
    def is_log_append_time(self) -> bool:
        return bool(self.attributes & LOG_APPEND_TIME)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL)

    @property
    def has_producer_id(self) -> bool:
        return self.producer_id > NO_PRODUCER_ID


Header = tuple[str, bytes | None]


class Record(NamedTuple):
    """One record. Built for sending, its timestamp may be None (the batch's) and its offset is ignored."""

    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    timestamp: int | None = None
    offset: int = -1


class ControlType(IntEnum):
    """What a control record says; the numbers stand in its key (Kafka's `ControlRecordType`)."""

    ABORT = 0
    COMMIT = 1
    LEADER_CHANGE = 2
    SNAPSHOT_HEADER = 3
    SNAPSHOT_FOOTER = 4
    KRAFT_VERSION = 5
    KRAFT_VOTERS = 6


class EndTransactionMarker(NamedTuple):
    """The end of a producer's transaction on a partition: version 0 of key and value."""

    type: ControlType
    coordinator_epoch: int

    def record(self) -> Record:
        return Record(_SHORT_PAIR.pack(0, self.type), _MARKER_VALUE.pack(0, self.coordinator_epoch))

    @classmethod
    def parse(cls, record: Record) -> Self:
        """Inverse of `record`, of any version, as `EndTransactionMarker.deserialize` reads it."""
        kind = control_type(record)
        if kind not in (ControlType.ABORT, ControlType.COMMIT) or record.value is None or len(record.value) < 6:
            raise InvalidRecord("the control record does not end a transaction")
        return cls(ControlType(kind), _MARKER_VALUE.unpack_from(record.value)[1])


_SHORT_PAIR: Final = struct.Struct(">hh")
_MARKER_VALUE: Final = struct.Struct(">hi")


def control_type(record: Record) -> int:
    """The type number of a control record; one that is not a `ControlType` is from the future and may be skipped."""
    if record.key is None or len(record.key) < 4:
        raise InvalidRecord("a control record has a key of at least four bytes")
    number: int = _SHORT_PAIR.unpack_from(record.key)[1]
    return number


class RecordBatch:
    """A view of one whole batch; iterating it gives its records, decompressed and checked as they come."""

    __slots__ = ("buffer", "header")

    def __init__(self, buffer: Buffer) -> None:
        if len(buffer) < HEADER_BYTES:
            raise InvalidRecord(f"a record batch takes at least {HEADER_BYTES} bytes, not {len(buffer)}")
        self.buffer = buffer
        self.header = BatchHeader.unpack(buffer)

    def is_sound(self) -> bool:
        """Whether the length fits and the checksum is that of the content."""
        header = self.header
        return header.size_bytes == len(self.buffer) and crc32c(memoryview(self.buffer)[CRC_START:]) == header.crc

    def __iter__(self) -> Iterator[Record]:
        return self.records()

    def records(self, max_bytes: int = DECOMPRESSED_BYTES_MAX) -> Iterator[Record]:
        """The records in order. InvalidRecord or DecompressionError is raised where they break the format."""
        header = self.header
        payload = memoryview(self.buffer)[HEADER_BYTES:]
        data = decompress(header.codec, payload, max_bytes) if header.codec else bytes(payload)
        position = 0
        for _ in range(header.record_count):
            record, position = _read_record(data, position, header)
            yield record
        if position != len(data):
            raise InvalidRecord("there is more in the batch than the records that it counts")


def read_batches(buffer: Buffer) -> Iterator[RecordBatch]:
    """The whole batches of format 2 in `buffer`; what is left at the end (a fetch may cut the last one) is skipped."""
    view = memoryview(buffer)
    position = 0
    while len(view) - position >= HEADER_BYTES:
        size = int.from_bytes(view[position + 8 : position + 12], "big", signed=True) + LENGTH_END
        if size < HEADER_BYTES or view[position + 16] != MAGIC:
            raise InvalidRecord(f"there is no record batch at byte {position}")
        if size > len(view) - position:
            return
        yield RecordBatch(view[position : position + size])
        position += size


def sequence_plus(sequence: int, increment: int) -> int:
    """Sequence numbers are 0 to 2^31 - 1 and then 0 again."""
    return (sequence + increment) & SEQUENCE_MAX


def build_batch(
    records: Iterable[Record | tuple[bytes | None, bytes | None]],
    *,
    timestamp: int = NO_TIMESTAMP,
    codec: int = Codec.NONE,
    base_offset: int = 0,
    leader_epoch: int = NO_LEADER_EPOCH,
    producer_id: int = NO_PRODUCER_ID,
    producer_epoch: int = NO_PRODUCER_EPOCH,
    base_sequence: int = NO_SEQUENCE,
    attributes: int = 0,
    level: int | None = None,
) -> bytearray:
    """One batch of the given records (or bare key and value pairs), at successive offsets.

    `timestamp` is that of the records which have none of their own. `attributes` adds bits such as `TRANSACTIONAL` and
    `CONTROL` to the codec.
    """
    everything = [record if isinstance(record, Record) else Record(*record) for record in records]
    if not everything:
        raise ValueError("a batch holds at least one record")
    timestamps = [timestamp if record.timestamp is None else record.timestamp for record in everything]
    payload = bytearray()
    for delta, record in enumerate(everything):
        write_record(payload, record, timestamp_delta=timestamps[delta] - timestamps[0], offset_delta=delta)
    stored = compress(codec, payload, level) if codec else payload
    batch = bytearray(HEADER_BYTES)
    HEADER.pack_into(
        batch, 0, base_offset, HEADER_BYTES - LENGTH_END + len(stored), leader_epoch, MAGIC, 0, attributes | codec,
        len(everything) - 1, timestamps[0], max(timestamps), producer_id, producer_epoch, base_sequence,
        len(everything),
    )  # fmt: skip
    batch += stored
    stamp_crc(batch)
    return batch


def build_plain_batch(records: Sequence[tuple[bytes | None, bytes | None]], timestamp: int) -> bytearray:
    """As `build_batch` of key and value pairs, all of that timestamp, which is most of what a broker itself writes."""
    pieces: list[bytes] = [bytes(HEADER_BYTES)]
    for offset_delta, (key, value) in enumerate(records):
        body = b"".join(
            (
                b"\0\0",  # no attributes, no timestamp delta
                _varint(offset_delta),
                _NULL if key is None else _varint(len(key)),
                key or b"",
                _NULL if value is None else _varint(len(value)),
                value or b"",
                b"\0",  # no headers
            )
        )
        pieces += (_varint(len(body)), body)
    batch = bytearray().join(pieces)
    HEADER.pack_into(
        batch, 0, 0, len(batch) - LENGTH_END, NO_LEADER_EPOCH, MAGIC, 0, Codec.NONE, len(records) - 1, timestamp,
        timestamp, NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE, len(records),
    )  # fmt: skip
    stamp_crc(batch)
    return batch


@lru_cache(maxsize=1024)
def _varint(value: int) -> bytes:
    out = bytearray()
    write_varint(out, value)
    return bytes(out)


def build_control_batch(record: Record, *, timestamp: int, transactional: bool = False, **fields: int) -> bytearray:
    """A batch of one control record, such as a transaction marker."""
    attributes = CONTROL | TRANSACTIONAL if transactional else CONTROL
    return build_batch([record], timestamp=timestamp, attributes=attributes, **fields)


def stamp_crc(batch: bytearray | memoryview) -> None:
    """Write the checksum that the content has now."""
    batch[CRC_START - 4 : CRC_START] = crc32c(memoryview(batch)[CRC_START:]).to_bytes(4, "big")


def write_record(out: bytearray, record: Record, *, timestamp_delta: int, offset_delta: int) -> None:
    """Append the encoded record."""
    body = bytearray(b"\x00")
    write_varint(body, timestamp_delta)
    write_varint(body, offset_delta)
    _write_nullable(body, record.key)
    _write_nullable(body, record.value)
    write_varint(body, len(record.headers))
    for name, value in record.headers:
        _write_nullable(body, name.encode())
        _write_nullable(body, value)
    write_varint(out, len(body))
    out += body


def _write_nullable(out: bytearray, data: bytes | None) -> None:
    if data is None:
        out.append(1)  # zigzag of -1
    else:
        write_varint(out, len(data))
        out += data


def write_varint(out: bytearray, value: int) -> None:
    """Append `value` (int32 or int64) as a zigzag varint."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)


def read_varint(data: Buffer, position: int) -> tuple[int, int]:
    """The zigzag varint at `position`, and where it ends. At most five bytes; IndexError at the end of the data.

    As in Java the fifth byte counts with its low four bits only.
    """
    value = 0
    for shift in (0, 7, 14, 21, 28):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            value &= 0xFFFFFFFF
            return (value >> 1) ^ -(value & 1), position
    raise VarintTooLong("a varint takes at most five bytes")


def read_varlong(data: Buffer, position: int) -> tuple[int, int]:
    """As `read_varint`, of 64 bits and at most ten bytes."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            value &= 0xFFFFFFFFFFFFFFFF
            return (value >> 1) ^ -(value & 1), position
    raise VarintTooLong("a varlong takes at most ten bytes")


def int64(value: int) -> int:
    """`value` as Java's long holds it."""
    return ((value + _INT64_SIGN) & 0xFFFFFFFFFFFFFFFF) - _INT64_SIGN


def _read_record(data: bytes | bytearray, position: int, header: BatchHeader) -> tuple[Record, int]:
    try:
        size, start = read_varint(data, position)
        timestamp_delta, position = read_varlong(data, start + 1)
        offset_delta, position = read_varint(data, position)
        key, position = _read_nullable(data, position)
        value, position = _read_nullable(data, position)
        count, position = read_varint(data, position)
        headers, position = _read_headers(data, position, count) if count else ((), position)
    except IndexError:
        raise InvalidRecord("a record ends before its fields do") from None
    if position - start != size:
        raise InvalidRecord(f"a record of {size} bytes has fields of {position - start}")
    stamped = header.is_log_append_time
    timestamp = header.max_timestamp if stamped else int64(header.base_timestamp + timestamp_delta)
    return Record(key, value, headers, timestamp, header.base_offset + offset_delta), position


def _read_nullable(data: bytes | bytearray, position: int) -> tuple[bytes | None, int]:
    size, position = read_varint(data, position)
    if size < 0:
        return None, position
    end = position + size
    if end > len(data):
        raise InvalidRecord(f"{size} bytes are announced and {len(data) - position} are left")
    return bytes(data[position:end]), end


def _read_headers(data: bytes | bytearray, position: int, count: int) -> tuple[tuple[Header, ...], int]:
    if not 0 <= count <= len(data) - position:
        raise InvalidRecord(f"a record cannot have {count} headers")
    headers: list[Header] = []
    for _ in range(count):
        name, position = _read_nullable(data, position)
        if name is None:
            raise InvalidRecord("a header has no name")
        value, position = _read_nullable(data, position)
        headers.append((name.decode(errors="replace"), value))
    return tuple(headers), position
