"""Exchanges as values that JSON can say: fields and errors by name, record batches opened, bytes as text or base64.

A message shows the fields that its version has; a tagged field that was left out on the wire is left out here. What
could not be decoded is there as hex, with the reason and the position. Secrets are never shown: what SASL sends,
salts, passwords and HMACs, the values of configs named like one, and undecodable frames that may hold any of them.
"""

import base64
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

from construct import Construct

from kpy.inspect.exchange import (
    Decoded,
    Exchange,
    Frame,
    Head,
    Item,
    Problem,
    api_name,
    decode_request,
    decode_response,
    known_request,
)
from kpy.inspect.record_batches import Shown, render_bytes, render_header, render_hex, render_record
from kpy.protocol.api_keys import ApiKey
from kpy.protocol.compression import DecompressionError
from kpy.protocol.embedded import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kpy.protocol.errors import DecodeError, ErrorCode
from kpy.protocol.layout import Layout, StructType, layout
from kpy.protocol.messages import response_class
from kpy.protocol.primitives import ArrayType, Buffer, NullableStructType, RecordsType
from kpy.protocol.records import HEADER_BYTES, MAGIC, BatchHeader, InvalidRecord, RecordBatch
from kpy.protocol.schema import Data, MessageMeta

RECORDS_MAX: Final = 100_000
"""Records shown of one message."""
DECOMPRESSED_BYTES_MAX: Final = 64 * 1024 * 1024
"""What all batches of one message may become."""

SECRETS: Final = {"auth_bytes", "salt", "salted_password", "hmac"}
SECRET_CONFIG: Final = re.compile(r"password|secret|jaas|credential|token|private|keystore\.key", re.IGNORECASE)

_EMBEDDED: Final[dict[tuple[str, str], type[Data]]] = {
    ("JoinGroupRequestProtocol", "metadata"): ConsumerProtocolSubscription,
    ("JoinGroupResponseMember", "metadata"): ConsumerProtocolSubscription,
    ("SyncGroupRequestAssignment", "assignment"): ConsumerProtocolAssignment,
    ("SyncGroupResponse", "assignment"): ConsumerProtocolAssignment,
    ("DescribedGroupMember", "member_metadata"): ConsumerProtocolSubscription,
    ("DescribedGroupMember", "member_assignment"): ConsumerProtocolAssignment,
}
_ERROR_NAMES: Final = {int(code): code.name for code in ErrorCode}
_API_NAMES: Final = {int(api): api_name(api) for api in ApiKey}


def render(item: Item) -> Shown:
    """One line of output."""
    return _problem(item) if isinstance(item, Problem) else _exchange(item)


def _exchange(exchange: Exchange) -> Shown:
    request, head, response = exchange.request, exchange.head, exchange.response
    shown: Shown = {"time": _time(request.time_ns), "connection": exchange.connection}
    if head is None:
        shown["api"] = "SASL token"
        shown["request"] = _hidden(request.data)
        shown["response"] = None if response is None else _hidden(response.data)
    else:
        shown |= {"api": api_name(head.api), "version": head.version}
        shown |= {"correlation_id": head.correlation_id, "client_id": head.client_id}
        shown["request"] = _body(head, request, is_response=False)
        shown["response"] = None if response is None else _body(head, response, is_response=True)
    if response is not None and response.time_ns is not None and request.time_ns is not None:
        shown["response_after_ms"] = (response.time_ns - request.time_ns) // 1000 / 1000
    shown["note"] = exchange.note
    return {name: value for name, value in shown.items() if value is not None or name in ("client_id", "response")}


def _problem(problem: Problem) -> Shown:
    shown = {
        "time": _time(problem.time_ns),
        "connection": problem.connection,
        "problem": problem.reason,
        "from": problem.side,
        "position": problem.position,
        "bytes": render_hex(problem.data) if problem.data else None,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _body(head: Head, frame: Frame, *, is_response: bool) -> Shown:
    """The message, or why there is none. Never raises for what is in the frame."""
    secret = may_hold_secret(head.api)
    if frame.lost_bytes:
        reason = f"{frame.lost_bytes} of {len(frame.data)} bytes are not in the capture"
        return _undecoded(reason, frame.position, frame.data[: frame.lost_at], secret=secret)
    try:
        decoded = decode_response(head, frame.data) if is_response else decode_request(head, frame.data)
    except DecodeError as error:
        return _undecoded(str(error), frame.position, frame.data, secret=secret)
    shown = render_message(decoded)
    if decoded.end < len(frame.data):
        rest = frame.data[decoded.end :]
        shown["(behind the message)"] = _undecoded(
            f"{len(rest)} bytes that the declaration does not know", frame.position + decoded.end, rest, secret=secret
        )
    return shown


def render_message(decoded: Decoded) -> Shown:
    """All fields that its version has."""
    return _Renderer(decoded.version).struct(decoded.message, layout(type(decoded.message), decoded.version), None)


class _Renderer:
    """Renders one message; what it may still decompress and show is counted."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._records_left = RECORDS_MAX
        self._bytes_left = DECOMPRESSED_BYTES_MAX

    def struct(self, message: Any, tree: Layout, protocol_type: str | None) -> Shown:
        shown: Shown = {}
        protocol_type = getattr(message, "protocol_type", protocol_type)
        schema: Any = type(message)
        is_config = _is_config(schema)
        tagged = [pair for pair in tree.tagged.values() if not pair[0].is_default(getattr(message, pair[0].name))]
        for declared, construct in [*tree.fields, *tagged]:
            name, value = declared.name, getattr(message, declared.name)
            if is_config and name == "value" and isinstance(value, str) and SECRET_CONFIG.search(message.name or ""):
                shown[name] = _hidden(value.encode())
            elif name in SECRETS and isinstance(value, bytes):
                shown[name] = _hidden(value)
            elif isinstance(value, bytes) and (blob := _EMBEDDED.get((type(message).__name__, name))):
                shown[name] = self._embedded(blob, value, protocol_type)
            elif name.endswith("error_code"):
                shown[name] = _ERROR_NAMES.get(value, value)
            elif name == "api_key":
                shown[name] = _API_NAMES.get(value, value)
            else:
                shown[name] = self._value(value, construct, protocol_type)
        if message.unknown_tagged_fields:
            shown["(unknown tagged fields)"] = {
                str(tag): render_hex(data) for tag, data in message.unknown_tagged_fields.items()
            }
        return shown

    def _value(self, value: Any, construct: Construct, protocol_type: str | None) -> Any:
        if value is None:
            return None
        if isinstance(construct, Layout):
            return self.struct(value, construct, protocol_type)
        if isinstance(construct, NullableStructType):
            return self._value(value, construct.struct, protocol_type)
        if isinstance(construct, ArrayType):
            return [self._value(element, construct.element, protocol_type) for element in value]
        if isinstance(construct, RecordsType):
            return list(self._batches(memoryview(value)))
        if isinstance(value, bytes):
            return render_bytes(value)
        if isinstance(value, UUID):
            return _uuid(value)
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return value

    def _embedded(self, schema: type[Data], blob: bytes, protocol_type: str | None) -> Any:
        """What consumers tell each other through the broker, if that is what it is: Connect has another format."""
        if protocol_type in ("consumer", None, "") and len(blob) >= 2:
            number = int.from_bytes(blob[:2], "big", signed=True)
            version = min(number, schema.versions.maximum)
            try:
                message, end = schema.decode_prefix(blob, version, 2)
            except DecodeError:
                return render_bytes(blob)
            if end == len(blob) or number > version:
                return {"version": number} | self.struct(message, layout(schema, version), None)
        return render_bytes(blob)

    def _batches(self, data: memoryview) -> Iterator[Shown]:
        position = 0
        while position < len(data):
            rest = data[position:]
            if len(rest) < HEADER_BYTES:
                yield _undecoded("the start of a record batch", position, rest)
                return
            header = BatchHeader.unpack(rest)
            if header.magic != MAGIC or header.size_bytes < HEADER_BYTES:
                yield _undecoded(f"no record batch of format 2, but magic {header.magic}", position, rest)
                return
            if header.size_bytes > len(rest):
                reason = f"the first {len(rest)} bytes of a record batch of {header.size_bytes}"
                yield {"base_offset": header.base_offset} | _undecoded(reason, position, rest)
                return
            yield self._batch(RecordBatch(rest[: header.size_bytes]), position)
            position += header.size_bytes

    def _batch(self, batch: RecordBatch, position: int) -> Shown:
        header = batch.header
        shown = render_header(header)
        if not batch.is_sound():
            shown["problem"] = "the checksum is wrong"
        shown["records"] = records = []
        try:
            for record in batch.records(self._bytes_left):
                if not self._records_left:
                    shown["problem"] = f"more records than the {RECORDS_MAX} that are shown of a message"
                    break
                self._records_left -= 1
                self._bytes_left -= min(self._bytes_left, len(record.key or b"") + len(record.value or b""))
                records.append(render_record(record, is_control=header.is_control))
        except (InvalidRecord, DecompressionError) as error:
            payload = batch.buffer[HEADER_BYTES:]
            shown |= _undecoded(str(error), position + HEADER_BYTES, payload)
        return shown


@cache
def may_hold_secret(api: ApiKey) -> bool:
    """Whether a request of that API or its reply has a field that is not to be shown."""
    request = known_request(api)
    return request is None or _has_secret(request) or _has_secret(response_class(api))


def _has_secret(message: MessageMeta) -> bool:
    inside = [_innermost(declared.type) for declared in message.fields]
    return (
        _is_config(message)
        or any(declared.name in SECRETS for declared in message.fields)
        or any(_has_secret(construct.message) for construct in inside if isinstance(construct, StructType))
    )


def _innermost(construct: Construct) -> Construct:
    while isinstance(construct, ArrayType | NullableStructType):
        construct = construct.element if isinstance(construct, ArrayType) else construct.struct
    return construct


@cache
def _is_config(message: MessageMeta) -> bool:
    return {"name", "value"} <= {declared.name for declared in message.fields}


def _undecoded(reason: str, position: int, data: Buffer, *, secret: bool = False) -> Shown:
    return {"undecoded": reason, "position": position, "bytes": _hidden(data) if secret else render_hex(data)}


def _hidden(data: Buffer) -> str:
    return f"({len(data)} bytes, hidden)"


def _uuid(value: UUID) -> str:
    """As Kafka's tools write topic ids."""
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def _time(time_ns: int | None) -> str | None:
    if time_ns is None:
        return None
    seconds, rest = divmod(time_ns, 10**9)
    try:
        whole = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    except (OverflowError, OSError, ValueError):
        return f"{time_ns} ns after 1970"
    return whole.isoformat(timespec="microseconds").replace("+00:00", "Z")
