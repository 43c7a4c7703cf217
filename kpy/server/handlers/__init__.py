"""One module per API, named as in `kpy.protocol.messages`; each registers its handler with `handles`.

A handler is called with the request and a `RequestContext` and gives the response, None where the client expects no
reply, or an awaitable of either where the request has to wait. One that never waits is a plain function: its reply
leaves together with those around it. An awaitable is awaited whatever becomes of the connection, if only to be
cancelled, so that it can take down what was set up for it.

ApiVersions is derived from this registry, so that what is advertised is what is served.
"""

from collections.abc import Awaitable, Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.schema import Request, Response, VersionRange
from kpy.server.context import RequestContext

MODULES = (
    "alter_configs",
    "alter_replica_log_dirs",
    "api_versions",
    "consumer_group_describe",
    "consumer_group_heartbeat",
    "create_partitions",
    "create_topics",
    "delete_groups",
    "delete_records",
    "delete_topics",
    "describe_cluster",
    "describe_configs",
    "describe_groups",
    "describe_log_dirs",
    "describe_producers",
    "describe_topic_partitions",
    "elect_leaders",
    "fetch",
    "find_coordinator",
    "heartbeat",
    "incremental_alter_configs",
    "init_producer_id",
    "join_group",
    "leave_group",
    "list_config_resources",
    "list_groups",
    "list_offsets",
    "list_partition_reassignments",
    "metadata",
    "offset_commit",
    "offset_delete",
    "offset_fetch",
    "offset_for_leader_epoch",
    "produce",
    "sasl_authenticate",
    "sasl_handshake",
    "sync_group",
    "unregister_broker",
    "update_features",
)

RequestType = TypeVar("RequestType", bound=Request)
Answer = Response | None
HandlerFunction = Callable[[Any, RequestContext], Answer | Awaitable[Answer]]
F = TypeVar("F", bound=HandlerFunction)


class Handler(NamedTuple):
    """How one API is served.

    `served` are the versions that get an answer, `advertised` what ApiVersions says: the two differ where Kafka
    advertises more than it serves (Produce) or keeps an unstable version to itself (InitProducerId).
    """

    request_class: type[Request]
    function: HandlerFunction
    served: VersionRange
    advertised: VersionRange


_handlers: dict[ApiKey, Handler] = {}


def handles(
    request_class: type[Request], *, served: str | None = None, advertised: str | None = None
) -> Callable[[F], F]:
    """Register the decorated function for an API, at all declared versions unless `served` says which."""

    def register(function: F) -> F:
        versions = VersionRange.parse(served) if served else request_class.versions
        _handlers[request_class.api] = Handler(
            request_class, function, versions, VersionRange.parse(advertised) if advertised else versions
        )
        return function

    return register


@cache
def all_handlers() -> dict[ApiKey, Handler]:
    """Every API that is served, in the order of the keys."""
    for name in MODULES:
        import_module(f"{__name__}.{name}")
    return dict(sorted(_handlers.items()))
