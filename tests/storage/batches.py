"""Record batches as tests need them: sound ones of a few words, and ones with any field made wrong."""

import struct

from kpy.protocol.compression import Codec, compress
from kpy.protocol.crc import crc32c
from kpy.protocol.records import HEADER, HEADER_BYTES, Record, build_batch, write_record

NOW_MS = 1_700_000_000_000


def batch(*values: str, **fields: int) -> bytearray:
    """A sound batch of records with these values; `fields` as of `build_batch`."""
    fields.setdefault("timestamp", NOW_MS)
    return build_batch([(b"key", value.encode()) for value in values or ("value",)], **fields)


def sized_batch(size_bytes: int, **fields: int) -> bytearray:
    """A sound batch of one record that takes so many bytes."""
    fields.setdefault("timestamp", NOW_MS)
    for value_bytes in range(size_bytes - HEADER_BYTES, 0, -1):
        made = build_batch([(None, bytes(value_bytes))], **fields)
        if len(made) == size_bytes:
            return made
    raise AssertionError(f"no batch takes {size_bytes} bytes")


def odd_batch(
    values: tuple[bytes, ...] = (b"v",),
    *,
    deltas: tuple[int, ...] | None = None,
    payload: bytes | None = None,
    codec: int = Codec.NONE,
    declared_codec: int | None = None,
    crc: int | None = None,
    key: bytes | None = b"k",
    trailing: bytes = b"",
    **fields: int,
) -> bytearray:
    """A batch whose header fields, payload and checksum are what is asked for; the rest fits them."""
    records = bytearray()
    for delta, value in zip(deltas or range(len(values)), values, strict=True):
        write_record(records, Record(key, value), timestamp_delta=0, offset_delta=delta)
    stored = compress(codec, records) if payload is None else payload
    timestamp = fields.get("timestamp", NOW_MS)
    header = {
        "base_offset": 0,
        "length": HEADER_BYTES - 12 + len(stored),
        "leader_epoch": -1,
        "magic": 2,
        "crc": 0,
        "attributes": 0,
        "last_offset_delta": len(values) - 1,
        "base_timestamp": timestamp,
        "max_timestamp": timestamp,
        "producer_id": -1,
        "producer_epoch": -1,
        "base_sequence": -1,
        "record_count": len(values),
    }
    header |= {name: value for name, value in fields.items() if name != "timestamp"}
    header["attributes"] |= codec if declared_codec is None else declared_codec
    made = bytearray(HEADER.pack(*header.values()) + stored)
    struct.pack_into(">I", made, 17, crc32c(made[21:]) if crc is None else crc)
    return made + trailing
