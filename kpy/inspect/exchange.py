"""Frames as messages: what a request's header says, and whether a body is what it is said to be.

A body is only taken for a message if the message ends where the frame does: that is what tells a frame from bytes that
look like one, when a capture begins in the middle or requests and replies are in one file.
"""

import struct
from functools import cache
from typing import Final, NamedTuple

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import DecodeError
from kpy.protocol.messages import request_class, response_class
from kpy.protocol.messages.headers import RequestHeader, ResponseHeader
from kpy.protocol.messages.produce import ProduceRequest
from kpy.protocol.schema import Data, Request

FRAME_BYTES_MAX: Final = 100 * 1024 * 1024
"""Kafka's own default (`socket.request.max.bytes`)."""
SIZE_BYTES: Final = 4

_HEAD: Final = struct.Struct(">hhih")
_NUMBERS: Final = frozenset(ApiKey)


class Frame(NamedTuple):
    """A frame without its size, at `position` in the bytes of its side.

    `lost_bytes` of it, the first of them at `lost_at`, are not in the capture and zero here.
    """

    data: bytes
    position: int
    time_ns: int | None = None
    lost_bytes: int = 0
    lost_at: int = 0

    @property
    def correlation_id(self) -> int | None:
        """What a reply begins with; None if the frame is too short."""
        return int.from_bytes(self.data[:4], "big", signed=True) if len(self.data) >= 4 else None


class Head(NamedTuple):
    """The header of a request. `body` is where the message begins, None if this version of it is not declared."""

    api: ApiKey
    version: int
    correlation_id: int
    client_id: str | None
    body: int | None


class Exchange(NamedTuple):
    """A request and what is known of its reply. Without a head it is a SASL token, which has no header."""

    connection: str | None
    request: Frame
    head: Head | None
    response: Frame | None = None
    note: str | None = None


class Problem(NamedTuple):
    """Something that could not be explained. `data` is what may be shown of it."""

    reason: str
    connection: str | None = None
    side: str | None = None
    position: int | None = None
    time_ns: int | None = None
    data: bytes = b""


Item = Exchange | Problem


class Decoded(NamedTuple):
    """A message of that version, and where it ends in its frame."""

    message: Data
    version: int
    end: int


@cache
def known_request(number: int) -> type[Request] | None:
    """The request of that API key, if it is declared."""
    try:
        return request_class(ApiKey(number))
    except (KeyError, ValueError):
        return None


def read_head(data: bytes) -> Head:
    """The header of a request. DecodeError says what is wrong with it."""
    if len(data) < _HEAD.size:
        raise DecodeError(f"a request has a header of at least {_HEAD.size} bytes, not {len(data)}")
    number, version, correlation_id, client_id_bytes = _HEAD.unpack_from(data)
    end = _HEAD.size + max(client_id_bytes, 0)
    if client_id_bytes < -1 or end > len(data):
        raise DecodeError(f"a client id of {client_id_bytes} bytes in a frame of {len(data)}")
    if number not in _NUMBERS:
        raise DecodeError(f"there is no API of key {number}")
    try:
        client_id = None if client_id_bytes < 0 else data[_HEAD.size : end].decode()
    except UnicodeDecodeError:
        raise DecodeError("the client id is not UTF-8") from None
    request = known_request(number)
    body = None
    if request is not None and version in request.versions:
        _, body = RequestHeader.decode_prefix(data, request.header_version(version))
    return Head(ApiKey(number), version, correlation_id, client_id, body)


def decode_request(head: Head, data: bytes) -> Decoded:
    """The body of a request. DecodeError if it is malformed, or of a version that is not declared."""
    if head.body is None:
        request = known_request(head.api)
        versions = request.versions if request else "none"
        raise DecodeError(f"version {head.version} of {api_name(head.api)} is not declared here, {versions} are")
    message, end = request_class(head.api).decode_prefix(data, head.version, head.body)
    return Decoded(message, head.version, end)


def decode_response(head: Head, data: bytes) -> Decoded:
    """The reply to a request, without its header. A broker that does not know a version of ApiVersions answers it in
    version 0 (KIP-511).
    """
    if known_request(head.api) is None:
        raise DecodeError(f"{api_name(head.api)} is not declared here")
    try:
        decoded = _response(head.api, head.version, data)
    except DecodeError:
        if head.api != ApiKey.API_VERSIONS:
            raise
    else:
        if decoded.end == len(data) or head.api != ApiKey.API_VERSIONS:
            return decoded
    return _response(head.api, 0, data)


def _response(api: ApiKey, version: int, data: bytes) -> Decoded:
    response = response_class(api)
    if version not in response.versions:
        raise DecodeError(f"version {version} of {api_name(api)} is not declared here, {response.versions} are")
    _, start = ResponseHeader.decode_prefix(data, response.header_version(version))
    message, end = response.decode_prefix(data, version, start)
    return Decoded(message, version, end)


def explains_request(data: bytes) -> bool:
    """Whether the frame is a request, wholly and exactly."""
    try:
        return decode_request(read_head(data), data).end == len(data)
    except DecodeError:
        return False


def explains_response(head: Head, data: bytes) -> bool:
    """Whether the frame is a reply to that request, wholly and exactly."""
    try:
        return decode_response(head, data).end == len(data)
    except DecodeError:
        return False


def may_begin_request(data: bytes) -> bool:
    """Whether the first bytes of a request, as many as there are, could be one's."""
    number, version, _, client_id_bytes = _HEAD.unpack_from(data)
    request = known_request(number)
    client_id = data[_HEAD.size : _HEAD.size + max(client_id_bytes, 0)]
    return request is not None and version in request.versions and client_id.decode(errors="replace").isprintable()


def has_no_reply(head: Head, frame: Frame) -> bool:
    """Whether the client wants none: Produce with acks 0."""
    if head.api != ApiKey.PRODUCE or frame.lost_bytes:
        return False
    try:
        message = decode_request(head, frame.data).message
    except DecodeError:
        return False
    return isinstance(message, ProduceRequest) and message.acks == 0


def api_name(api: ApiKey) -> str:
    """The name as Kafka's documentation has it: ListOffsets."""
    return api.name.title().replace("_", "")
