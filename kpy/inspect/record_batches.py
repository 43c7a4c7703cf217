"""Record batches and records as values that JSON can say."""

import base64
from typing import Any, Final

from kpy.protocol.compression import Codec
from kpy.protocol.crc import Buffer
from kpy.protocol.records import BatchHeader, ControlType, Record
from kpy.protocol.records import control_type as control_type_of

Shown = dict[str, Any]

HEX_BYTES_MAX: Final = 256
"""What is shown of bytes that could not be decoded."""

_CODEC_NAMES: Final = {int(codec): codec.name.lower() for codec in Codec}
_CONTROL_TYPES: Final = frozenset(ControlType)
_SPACES: Final = str.maketrans("", "", "\n\r\t")


def render_header(header: BatchHeader) -> Shown:
    """What is said of a batch, but for its records."""
    shown: Shown = {
        "base_offset": header.base_offset,
        "last_offset": header.last_offset,
        "leader_epoch": header.leader_epoch,
        "codec": _CODEC_NAMES.get(header.codec, header.codec),
    }
    if header.has_producer_id:
        shown |= {"producer_id": header.producer_id, "producer_epoch": header.producer_epoch}
        shown["base_sequence"] = header.base_sequence
    shown |= {name: True for name in ("transactional", "control") if getattr(header, f"is_{name}")}
    if header.is_log_append_time:
        shown["timestamp_type"] = "LogAppendTime"
    return shown


def render_record(record: Record, *, is_control: bool) -> Shown:
    """All that is in a record; InvalidRecord if it should be a control record and is none."""
    shown: Shown = {"offset": record.offset, "timestamp": record.timestamp}
    if is_control:
        number = control_type_of(record)
        shown["control_type"] = ControlType(number).name if number in _CONTROL_TYPES else number
    shown |= {"key": render_bytes(record.key), "value": render_bytes(record.value)}
    if record.headers:
        shown["headers"] = [{"key": name, "value": render_bytes(value)} for name, value in record.headers]
    return shown


def render_bytes(data: bytes | None) -> str | dict[str, str] | None:
    """Text if that is what a reader would take it for."""
    if data is None:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    return text if not text or text.translate(_SPACES).isprintable() else {"base64": base64.b64encode(data).decode()}


def render_hex(data: Buffer) -> str:
    more = f" ... ({len(data)} bytes)" if len(data) > HEX_BYTES_MAX else ""
    return bytes(data[:HEX_BYTES_MAX]).hex() + more
