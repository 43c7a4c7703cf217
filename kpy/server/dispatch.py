"""From a frame to the parts of its reply: header, version, handler, encoding.

What is not served ends the connection, as in Kafka, with one line in the log that names key, version and client. The
exception is ApiVersions, whose unknown versions get an answer in version 0, so that a client can find out.

A request that has changed the cluster's metadata, or may tell of a change that another has made, is answered when the
change is on the disk. If it cannot be brought there the connection is closed: whether it holds will be seen.
"""

import logging
import struct
from collections.abc import Awaitable, Mapping

import trio

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import DecodeError, KafkaError
from kpy.protocol.messages import response_class
from kpy.protocol.messages.headers import RequestHeader
from kpy.protocol.schema import Response
from kpy.server.connection import Connection, ProtocolViolation
from kpy.server.context import RequestContext
from kpy.server.handlers import Answer, Handler
from kpy.server.handlers.api_versions import unsupported_version_response
from kpy.server.network import Part
from kpy.server.replies import Promise, Reply, ReplySlot
from kpy.server.services import Services
from kpy.storage.files import FileRange

logger = logging.getLogger(__name__)

_KEY_AND_VERSION = struct.Struct(">hh")
_FRAME_HEAD = struct.Struct(">ii")
_FRAME_HEAD_FLEXIBLE = struct.Struct(">iix")


CHANGING_APIS = frozenset(
    {
        ApiKey.ALTER_CONFIGS,
        ApiKey.CREATE_PARTITIONS,
        ApiKey.CREATE_TOPICS,
        ApiKey.DELETE_TOPICS,
        ApiKey.INCREMENTAL_ALTER_CONFIGS,
        ApiKey.INIT_PRODUCER_ID,
        ApiKey.UNREGISTER_BROKER,
        ApiKey.UPDATE_FEATURES,
    }
)


class Route:
    """How requests of one API and version are read, handled and answered."""

    __slots__ = (
        "changes_metadata", "decode", "decode_header", "encode", "function", "name", "response_head", "version"
    )  # fmt: skip

    def __init__(self, handler: Handler, version: int) -> None:
        request_class = handler.request_class
        self.name = request_class.api.name
        self.changes_metadata = request_class.api in CHANGING_APIS
        self.version = version
        self.function = handler.function
        self.decode_header = RequestHeader.decoder(request_class.header_version(version))
        self.decode = request_class.decoder(version)
        response = response_class(request_class.api)
        self.encode = response.encoder(version)
        self.response_head = _FRAME_HEAD_FLEXIBLE if response.header_version(version) == 1 else _FRAME_HEAD


class Dispatcher:
    """Answers the frames of all connections; called with a frame and the connection that it came by."""

    def __init__(self, services: Services, handlers: Mapping[ApiKey, Handler]) -> None:
        self._services = services
        self._metadata = services.cluster.log
        self._handlers = handlers
        self._routes: dict[tuple[int, int], Route] = {}

    def __call__(self, frame: memoryview, connection: Connection) -> Reply | Promise | Awaitable[Reply]:
        if len(frame) < _KEY_AND_VERSION.size:
            raise ProtocolViolation(f"a request of {len(frame)} bytes, too short for a header")
        route = self._routes.get(_KEY_AND_VERSION.unpack_from(frame)) or self._find_route(frame)
        if route is None:
            return self._unsupported_api_versions(frame)
        try:
            header, position = route.decode_header(frame, 0)
            request, _ = route.decode(frame, position)
        except DecodeError as error:
            raise ProtocolViolation(f"a malformed {route.name} v{route.version} request: {error}") from error
        context = RequestContext(self._services, connection, route.version, header.client_id)
        started = trio.current_time() if logger.isEnabledFor(logging.DEBUG) else None
        metadata = self._metadata
        known = metadata.end_offset
        answer = route.function(request, context)
        if metadata.end_offset != known or route.changes_metadata:
            answer = self._when_safe(answer)
        if answer is None or isinstance(answer, Response):
            return self._reply(answer, route, header, started)
        if isinstance(answer, ReplySlot):
            return Promise(answer, self._reply, route, header, started)
        return self._reply_later(answer, route, header, started)

    def _when_safe(self, answer: Answer | Awaitable[Answer]) -> Answer | Awaitable[Answer]:
        return self._flush_metadata(answer) if self._services.cluster.must_flush else answer

    async def _flush_metadata(self, answer: Answer | Awaitable[Answer]) -> Answer:
        made = answer if answer is None or isinstance(answer, Response) else await answer
        try:
            await self._services.cluster.flush()
        except KafkaError as error:
            raise ProtocolViolation(f"a change of the cluster cannot be brought onto the disk: {error}") from error
        return made

    async def _reply_later(
        self, answer: Awaitable[Answer], route: Route, header: RequestHeader, started: float | None
    ) -> Reply:
        return self._reply(await answer, route, header, started)

    def _reply(self, answer: Answer, route: Route, header: RequestHeader, started: float | None) -> Reply:
        if started is not None:
            elapsed_ms = (trio.current_time() - started) * 1000
            logger.debug("%s v%d from %r: %.3f ms", route.name, route.version, header.client_id, elapsed_ms)
        if answer is None:
            return None
        parts: list[Part] = route.encode(answer)  # type: ignore[assignment]  # the handlers put nothing else in
        head = route.response_head
        size_bytes = head.size - 4
        for part in parts:
            size_bytes += part.size_bytes if isinstance(part, FileRange) else len(part)
        return [head.pack(size_bytes, header.correlation_id), *parts]

    def _find_route(self, frame: memoryview) -> Route | None:
        """The route of a key and version seen for the first time; None for ApiVersions at an unknown version."""
        key, version = _KEY_AND_VERSION.unpack_from(frame)
        handler = self._handlers.get(key)
        if handler is not None and version in handler.served:
            route = self._routes[key, version] = Route(handler, version)
            return route
        if key == ApiKey.API_VERSIONS:
            return None
        raise ProtocolViolation(f"a request that is not served: {describe(frame)}")

    def _unsupported_api_versions(self, frame: memoryview) -> Reply:
        header = _basic_header(frame)
        body = unsupported_version_response().encode(0)
        return [_FRAME_HEAD.pack(4 + len(body), header.correlation_id) + body]


def _basic_header(frame: memoryview) -> RequestHeader:
    """The header as far as every version has it."""
    try:
        return RequestHeader.decode_prefix(frame, 1)[0]
    except DecodeError as error:
        raise ProtocolViolation(f"a malformed request header: {error}") from error


def describe(frame: memoryview) -> str:
    """Key, version and client id of a request, for the log."""
    header = _basic_header(frame)
    try:
        name = f" ({ApiKey(header.request_api_key).name})"
    except ValueError:
        name = ""
    return f"API key {header.request_api_key}{name} version {header.request_api_version}, client {header.client_id!r}"
