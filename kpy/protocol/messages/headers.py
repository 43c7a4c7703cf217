"""What stands before every request and response. `Request.header_version` and `Response.header_version` say which."""

from kpy.protocol.primitives import Int16, Int32, NullableString
from kpy.protocol.schema import Data, field


class RequestHeader(Data, versions="1-2", flexible="2+"):
    """Versions:

    - 1: with the client id
    - 2: flexible (KIP-482), but the client id keeps its plain length, so that a broker can read the header of an
      ApiVersions request that is newer than itself (KIP-511)

    Version 0, without a client id, was only that of ControlledShutdown and is gone since Kafka 4.0.
    """

    request_api_key: Int16
    request_api_version: Int16
    correlation_id: Int32
    client_id: NullableString = field(flexible="none")


class ResponseHeader(Data, versions="0-1", flexible="1+"):
    """Version 1 is flexible (KIP-482)."""

    correlation_id: Int32
