"""From a frame to the parts of its reply: header, version, handler, encoding.

What is not served ends the connection, as in Kafka, with one line in the log that names key, version and client. The
exception is ApiVersions, whose unknown versions get an answer in version 0, so that a client can find out.
"""

import logging
import struct
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.errors import DecodeError
from kpy.protocol.messages.headers import RequestHeader
from kpy.protocol.schema import Response
from kpy.server.connection import Connection, ProtocolViolation, Reply
from kpy.server.context import RequestContext
from kpy.server.handlers import Answer, Handler
from kpy.server.handlers.api_versions import unsupported_version
from kpy.server.network import Part
from kpy.server.services import Services

logger = logging.getLogger(__name__)
