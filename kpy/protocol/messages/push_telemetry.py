"""PushTelemetry (API 72): a client's metrics, as OpenTelemetry's MetricsData in protobuf (KIP-714)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Bool, Bytes, Int8, Int16, Int32, Uuid
from kpy.protocol.schema import Request, Response, field


class PushTelemetryRequest(Request, api=ApiKey.PUSH_TELEMETRY, versions="0", flexible="0+"):
    """There is one version."""

    client_instance_id: Uuid
    subscription_id: Int32
    terminating: Bool  # the last one of this client
    compression_type: Int8  # as in record batches
    metrics: Bytes


class PushTelemetryResponse(Response, api=ApiKey.PUSH_TELEMETRY, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
