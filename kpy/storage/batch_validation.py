"""What a record batch has to be before it is stored, in the order and with the error codes of Apache Kafka 4.3.

`check_produced` are the checks of a request (`ProduceRequest.validateRecords`). `validate` are those of a log
(`UnifiedLog.analyzeAndValidateRecords` and `LogValidator`): header, checksum, records, timestamps, keys on a compacted
topic. It also gives the batch the form in which it is stored, short of base offset and leader epoch.

Kafka does this in one of many threads. Here an event loop serves everyone, so that a batch which takes more than a few
milliseconds is for another thread: `validate` changes nothing but the batch, and tells when it is asked to be quick.
"""

import sys
from collections.abc import Sequence
from struct import Struct
from threading import local
from typing import Final, NamedTuple

from kpy.protocol.compression import (
    DECOMPRESSED_BYTES_MAX,
    Codec,
    DecompressedTooLarge,
    DecompressionError,
    Decompressor,
    compress,
)
from kpy.protocol.crc import Buffer, crc32c
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.records import (
    CRC_START,
    HEADER,
    HEADER_BYTES,
    LENGTH_END,
    LOG_APPEND_TIME,
    MAGIC,
    NO_LEADER_EPOCH,
    NO_TIMESTAMP,
    TRANSACTIONAL,
    BatchHeader,
    InvalidRecord,
    Record,
    RecordBatch,
    build_batch,
    int64,
    read_varint,
    read_varlong,
    stamp_crc,
)
from kpy.storage.log_config import INT64_MAX, LogConfig, TimestampType
from kpy.storage.producer_states import AppendOrigin
from kpy.storage.record_walk import RecordLengthTooLong, TooManyUnlike, Walk, walk

_LENGTH: Final = Struct(">i")
_SIZE_END: Final = 12
_MAGIC_END: Final = 17
_FLAGS: Final = 22
"""The lower byte of the attributes: nothing is defined in the other."""
_LEGACY_OVERHEAD: Final = 14
"""The least length that a batch of any format can have (`LegacyRecord.RECORD_OVERHEAD_V0`)."""
_ZSTD_PRODUCE_VERSION: Final = 7
_INT64_MIN: Final = -(1 << 63)

QUICK_COMPRESSED_BYTES_MAX: Final = 128 * 1024
QUICK_DECOMPRESSED_BYTES_MAX: Final = 512 * 1024
QUICK_RECOMPRESSED_BYTES_MAX: Final = 16 * 1024
"""Plain bytes that are compressed; the strongest levels take a millisecond for them."""
QUICK_RECORDS_MAX: Final = 64 * 1024
QUICK_UNLIKE_RECORDS_MAX: Final = 2048
"""Records that are read one by one, of which a millisecond takes a thousand or more."""
QUICK_DECODED_RECORDS_MAX: Final = 256
"""Records that are decoded, too."""
RECORD_ERRORS_MAX: Final = 1000
"""So many refused records are named; Kafka names all, which in one small compressed batch may be millions."""


class TooMuchWork(Exception):
    """The batch takes more time than is to be spent at once."""


class RecordError(NamedTuple):
    """One record that was refused."""

    batch_index: int
    message: str


class RecordValidationError(KafkaError):
    """A batch was refused for what is in its records; the produce response names them (KIP-467)."""

    def __init__(self, code: ErrorCode, message: str, record_errors: Sequence[RecordError]) -> None:
        super().__init__(code, message)
        self.record_errors = record_errors


class ValidBatch(NamedTuple):
    """A batch as it is to be stored, but for base offset and leader epoch."""

    header: BatchHeader
    data: bytearray | memoryview
    max_timestamp: int


def check_produced(records: Buffer | None, version: int) -> Buffer:
    """The records, after the checks that a Produce request of that version has to pass before any log is asked."""
    size = _batch_size(records, 0) if records is not None else None
    if records is None or size is None:
        raise KafkaError(ErrorCode.INVALID_RECORD, "there is no record batch")
    if records[16] != MAGIC:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"record batches have format 2, not {records[16]}")
    if version < _ZSTD_PRODUCE_VERSION and len(records) > _FLAGS and records[_FLAGS] & 7 == Codec.ZSTD:
        raise KafkaError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, "zstd takes Produce 7 or later")
    if size != len(records) and _another_follows(records, size):
        raise KafkaError(ErrorCode.INVALID_RECORD, "there is more than one record batch")
    return records


def _another_follows(records: Buffer, position: int) -> bool:
    """Bytes that cannot be a batch are refused without words; for those of the first one Kafka fails earlier, with."""
    try:
        return _batch_size(records, position) is not None
    except KafkaError as error:
        raise KafkaError(error.code, "") from error


def is_transactional(records: Buffer) -> bool:
    """Whether a batch that `check_produced` has let pass belongs to a transaction."""
    return len(records) >= HEADER_BYTES and bool(records[_FLAGS] & TRANSACTIONAL)


def _batch_size(records: Buffer, position: int) -> int | None:
    """The size of the batch at that position, None if it is not all there (`ByteBufferLogInputStream`)."""
    rest = len(records) - position
    if rest < _SIZE_END:
        return None
    length: int = _LENGTH.unpack_from(records, position + 8)[0]
    if length < _LEGACY_OVERHEAD:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"a batch cannot have the length {length}")
    if rest < _MAGIC_END:
        return None
    if records[position + 16] > MAGIC:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"there is no record format {records[position + 16]}")
    return length + LENGTH_END if length + LENGTH_END <= rest else None


def validate(
    records: memoryview,
    config: LogConfig,
    *,
    now_ms: int,
    origin: AppendOrigin,
    decompressor: Decompressor,
    quick: bool = False,
) -> ValidBatch:
    """The one batch in `records`, checked; what follows it is ignored. `records` may be changed if it is writable.

    If it has to be `quick` and cannot be, TooMuchWork is raised and `records` are as they were.
    """
    batch, header = _check_header(records, config, origin, quick=quick)
    source = header.codec
    target = source if config.target_codec is None or header.is_control else config.target_codec
    payload_bytes_max = _quick_bytes_max(source, target) if quick and (source or target) else DECOMPRESSED_BYTES_MAX
    payload, walked = _walk_records(batch, header, decompressor, payload_bytes_max, quick)
    max_timestamp = _max_timestamp(walked, header, config, now_ms)
    if max_timestamp is None:
        if quick and header.record_count > QUICK_DECODED_RECORDS_MAX:
            raise TooMuchWork
        max_timestamp = _check_each_record(batch, header, config, now_ms)
    if source != target or (source and not walked.offsets_ascend):
        if _can_keep_payload(payload, header, walked):
            return _recompress(payload, header, config, now_ms, Codec(target), max_timestamp)
        if quick and (len(payload) > QUICK_RECOMPRESSED_BYTES_MAX or header.record_count > QUICK_DECODED_RECORDS_MAX):
            raise TooMuchWork
        return _rebuild(batch, header, config, now_ms, Codec(target))
    if config.message_timestamp_type is TimestampType.LOG_APPEND_TIME:
        return _stamped(batch, header, header.attributes | LOG_APPEND_TIME, now_ms)
    if max_timestamp != header.max_timestamp or header.attributes & LOG_APPEND_TIME:
        return _stamped(batch, header, header.attributes & ~LOG_APPEND_TIME, max_timestamp)
    return ValidBatch(header, batch, max_timestamp)


class _Scratch(local):
    """What the validations of one thread share: what the decompressor returns is used before the next batch comes."""

    def __init__(self) -> None:
        self.decompressor = Decompressor()


_scratch: Final = _Scratch()


def valid_batch(
    records: memoryview,
    config: LogConfig,
    *,
    now_ms: int,
    origin: AppendOrigin = AppendOrigin.CLIENT,
    quick: bool = False,
) -> ValidBatch:
    """As `validate`, in any thread."""
    decompressor = _scratch.decompressor
    return validate(records, config, now_ms=now_ms, origin=origin, decompressor=decompressor, quick=quick)


def _check_header(
    records: memoryview, config: LogConfig, origin: AppendOrigin, *, quick: bool
) -> tuple[memoryview, BatchHeader]:
    """The checks that need no record, in Kafka's order."""
    size = _batch_size(records, 0)
    if size is None or records[16] != MAGIC:
        raise KafkaError(ErrorCode.INVALID_RECORD, "there is no record batch of format 2")
    if size < HEADER_BYTES:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, f"a batch of {size} bytes has no whole header")
    header = BatchHeader._make(HEADER.unpack_from(records))
    batch = records if size == len(records) else records[:size]
    client = origin is AppendOrigin.CLIENT
    if client and header.base_offset != 0:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"the base offset has to be 0, not {header.base_offset}")
    if size > config.max_message_bytes:
        message = f"a batch of {size} bytes is larger than max.message.bytes, {config.max_message_bytes}"
        raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, message)
    if quick and (header.record_count > QUICK_RECORDS_MAX or (header.codec and size > QUICK_COMPRESSED_BYTES_MAX)):
        raise TooMuchWork
    if crc32c(batch[CRC_START:]) != header.crc:
        raise KafkaError(ErrorCode.CORRUPT_MESSAGE, "the checksum is wrong")
    if header.attributes & 7 > Codec.ZSTD:
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"there is no codec {header.codec}")
    if client:
        _check_client_header(header)
    return batch, header


def _check_client_header(header: BatchHeader) -> None:
    """What a client's batch must be besides (`LogValidator.validateBatch`)."""
    count = header.record_count
    if header.last_offset_delta < 0:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"the last offset delta is {header.last_offset_delta}")
    if count <= 0:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"the record count is {count}")
    if header.last_offset_delta + 1 != count:
        message = f"{count} records cannot have the last offset delta {header.last_offset_delta}"
        raise KafkaError(ErrorCode.INVALID_RECORD, message)
    if header.is_control:
        raise KafkaError(ErrorCode.INVALID_RECORD, "clients may not write control records")
    if header.has_producer_id and header.base_sequence < 0:
        raise KafkaError(ErrorCode.INVALID_RECORD, f"the base sequence is {header.base_sequence}")


def _quick_bytes_max(source: int, target: int) -> int:
    """How large the plain records of a batch may be that is compressed, or will be."""
    return QUICK_DECOMPRESSED_BYTES_MAX if source == target else QUICK_RECOMPRESSED_BYTES_MAX


def _walk_records(
    batch: memoryview, header: BatchHeader, decompressor: Decompressor, payload_bytes_max: int, quick: bool
) -> tuple[Buffer, Walk]:
    """The plain records, valid until the next batch is decompressed, and what they have in common."""
    payload: Buffer = batch[HEADER_BYTES:]
    try:
        if header.codec:
            payload = decompressor.decompress(header.codec, payload, payload_bytes_max)
        elif quick and len(payload) > payload_bytes_max:
            raise TooMuchWork
        unlike_max = QUICK_UNLIKE_RECORDS_MAX if quick else sys.maxsize
        return payload, walk(payload, header.record_count, unlike_max=unlike_max)
    except TooManyUnlike:
        raise TooMuchWork from None
    except DecompressedTooLarge as error:
        if quick:
            raise TooMuchWork from None
        raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, str(error)) from None
    except DecompressionError as error:  # a KafkaException in Kafka, for which there is no code
        raise KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, f"the records cannot be decompressed: {error}") from None
    except RecordLengthTooLong as error:
        # Kafka catches the IllegalArgumentException of this varint in compressed records only.
        code = ErrorCode.INVALID_RECORD if header.codec else ErrorCode.UNKNOWN_SERVER_ERROR
        raise KafkaError(code, str(error)) from None
    except InvalidRecord as error:
        raise KafkaError(ErrorCode.INVALID_RECORD, str(error)) from None


def _max_timestamp(walked: Walk, header: BatchHeader, config: LogConfig, now_ms: int) -> int | None:
    """The largest timestamp of the records; None if they have to be looked at one by one."""
    if walked.has_null_keys and config.compacted:
        return None
    if header.attributes & LOG_APPEND_TIME or header.record_count == 0:
        return None
    low = header.base_timestamp + walked.min_timestamp_delta
    high = header.base_timestamp + walked.max_timestamp_delta
    if low < _INT64_MIN or high > INT64_MAX:
        return None
    if config.message_timestamp_type is TimestampType.CREATE_TIME and (
        high - now_ms > config.message_timestamp_after_max_ms
        or now_ms - low > min(config.message_timestamp_before_max_ms, INT64_MAX)
    ):
        return None
    return max(high, NO_TIMESTAMP)


def _check_each_record(batch: memoryview, header: BatchHeader, config: LogConfig, now_ms: int) -> int:
    """The largest timestamp, or RecordValidationError with the records that are refused (`LogValidator`)."""
    errors: list[RecordError] = []
    error_count = 0
    code = ErrorCode.INVALID_RECORD
    max_timestamp = NO_TIMESTAMP
    for index, record in enumerate(RecordBatch(batch)):
        timestamp = NO_TIMESTAMP if record.timestamp is None else record.timestamp
        max_timestamp = max(max_timestamp, timestamp)
        if config.compacted and record.key is None:
            message = "A compacted topic takes no record without a key."
        elif message := _timestamp_error(timestamp, header, config, now_ms):
            code = ErrorCode.INVALID_TIMESTAMP
        else:
            continue
        error_count += 1
        if error_count <= RECORD_ERRORS_MAX:
            errors.append(RecordError(index, message))
    if errors:
        what = "timestamps" if code is ErrorCode.INVALID_TIMESTAMP else "keys"
        raise RecordValidationError(code, f"{error_count} records were refused for their {what}.", errors)
    return max_timestamp


def _timestamp_error(timestamp: int, header: BatchHeader, config: LogConfig, now_ms: int) -> str:
    """Kafka's checks with Java's arithmetic, in which a difference that overflows is out of range on the other side."""
    if config.message_timestamp_type is TimestampType.CREATE_TIME and timestamp != NO_TIMESTAMP:
        before_max, after_max = config.message_timestamp_before_max_ms, config.message_timestamp_after_max_ms
        behind = int64(now_ms - timestamp)
        if behind > before_max or int64(-behind) > after_max:
            return f"Timestamp {timestamp} is not within {before_max} ms before and {after_max} ms after {now_ms}."
    elif header.attributes & LOG_APPEND_TIME:
        return "A producer cannot set the timestamp type to log append time."
    return ""


def _stamped(batch: memoryview, header: BatchHeader, attributes: int, max_timestamp: int) -> ValidBatch:
    data = bytearray(batch) if batch.readonly else batch
    header = header._replace(attributes=attributes, max_timestamp=max_timestamp)
    HEADER.pack_into(data, 0, *header)
    stamp_crc(data)
    return ValidBatch(header, data, max_timestamp)


def _can_keep_payload(payload: Buffer, header: BatchHeader, walked: Walk) -> bool:
    """Whether the plain records may be stored as they are: what all but very odd producers send may."""
    if not walked.offsets_ascend or header.last_offset_delta + 1 != header.record_count or header.is_log_append_time:
        return False
    _, position = read_varint(payload, 0)
    return read_varlong(payload, position + 1)[0] == 0


def _recompress(
    payload: Buffer, header: BatchHeader, config: LogConfig, now_ms: int, codec: Codec, max_timestamp: int
) -> ValidBatch:
    """The same records, with the topic's codec (compression.type)."""
    stored = compress(codec, payload, config.compression_level(codec))
    new_header = header._replace(
        base_offset=0,
        length=HEADER_BYTES - LENGTH_END + len(stored),
        leader_epoch=NO_LEADER_EPOCH,
        attributes=header.attributes & ~7 | codec,
        max_timestamp=max_timestamp,
    )
    data = bytearray(HEADER_BYTES)
    HEADER.pack_into(data, 0, *new_header)
    data += stored
    stamp_crc(data)
    return _made_anew(data, config, now_ms)


def _rebuild(batch: memoryview, header: BatchHeader, config: LogConfig, now_ms: int, codec: Codec) -> ValidBatch:
    """The records in a new batch: with the topic's codec (compression.type), at successive offsets."""
    records: list[Record] = list(RecordBatch(batch))
    attributes = header.attributes & ~(7 | LOG_APPEND_TIME)
    data = build_batch(
        records,
        codec=codec,
        attributes=attributes,
        producer_id=header.producer_id,
        producer_epoch=header.producer_epoch,
        base_sequence=header.base_sequence,
        level=config.compression_level(codec),
    )
    return _made_anew(data, config, now_ms)


def _made_anew(data: bytearray, config: LogConfig, now_ms: int) -> ValidBatch:
    header = BatchHeader._make(HEADER.unpack_from(data))
    if len(data) > config.max_message_bytes:
        message = f"a batch of {len(data)} bytes is larger than max.message.bytes, {config.max_message_bytes}"
        raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, message)
    if config.message_timestamp_type is TimestampType.LOG_APPEND_TIME:
        return _stamped(memoryview(data), header, header.attributes | LOG_APPEND_TIME, now_ms)
    return ValidBatch(header, data, header.max_timestamp)
