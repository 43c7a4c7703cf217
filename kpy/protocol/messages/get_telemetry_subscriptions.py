"""GetTelemetrySubscriptions (API 71): the metrics that a client is asked to push (KIP-714)."""

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.primitives import Array, Bool, Int8, Int16, Int32, String, Uuid
from kpy.protocol.schema import Request, Response, field


class GetTelemetrySubscriptionsRequest(Request, api=ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, versions="0", flexible="0+"):
    """There is one version."""

    client_instance_id: Uuid  # zero in the first request of a client


class GetTelemetrySubscriptionsResponse(Response, api=ApiKey.GET_TELEMETRY_SUBSCRIPTIONS, versions="0", flexible="0+"):
    """There is one version."""

    throttle_time_ms: Int32 = field(default=0)
    error_code: Int16
    client_instance_id: Uuid  # a new one if the request had none
    subscription_id: Int32
    accepted_compression_types: Array[Int8]
    push_interval_ms: Int32
    telemetry_max_bytes: Int32
    delta_temporality: Bool  # counters since the last push, not since the start
    requested_metrics: Array[String]  # prefixes of names; none: nothing is wanted, one that is empty: everything
