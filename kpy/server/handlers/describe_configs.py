"""DescribeConfigs (32): configs in force, the layer each comes from, and the layers below (KIP-133, KIP-226).

Versions: 1 has synonyms; 3 has types and documentation (KIP-569).
"""

from collections.abc import Iterable

from kpy.cluster.image import ResourceType
from kpy.cluster.topic_names import check
from kpy.config.client_metrics import client_metrics_entries
from kpy.config.describe import (
    ConfigEntry,
    ConfigSource,
    broker_entries,
    dynamic_default_entries,
    topic_entries,
)
from kpy.config.group import group_entries
from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from kpy.server import broker_loggers
from kpy.server.context import RequestContext
from kpy.server.handlers import handles
from kpy.server.services import Services


@handles(DescribeConfigsRequest)
def describe_configs(request: DescribeConfigsRequest, context: RequestContext) -> DescribeConfigsResponse:
    """Answer for each resource by itself; a type that does not exist fails all of them, as in Kafka."""
    unknown = next(
        (asked for asked in request.resources if ResourceType(asked.resource_type) is ResourceType.UNKNOWN), None
    )
    if unknown is not None:
        message = f"Unexpected resource type {unknown.resource_type} for resource {unknown.resource_name}"
        error = KafkaError(ErrorCode.INVALID_REQUEST, message)
        return DescribeConfigsResponse(results=[_refusal(asked, error) for asked in request.resources])
    return DescribeConfigsResponse(
        results=[_described(asked, request, context.services) for asked in _each_once(request.resources)]
    )


def _each_once(resources: Iterable[DescribeConfigsResource]) -> Iterable[DescribeConfigsResource]:
    """Unlike Apache Kafka, which answers a resource as often as it is named: ten bytes would ask for ten thousand."""
    merged: dict[tuple[int, str], DescribeConfigsResource] = {}
    for asked in resources:
        known = merged.setdefault((asked.resource_type, asked.resource_name), asked)
        if known is asked or known.configuration_keys is None:
            continue
        if asked.configuration_keys is None:
            known.configuration_keys = None
        else:
            known.configuration_keys += asked.configuration_keys
    return merged.values()


def _described(
    asked: DescribeConfigsResource, request: DescribeConfigsRequest, services: Services
) -> DescribeConfigsResult:
    try:
        configs = _configs(asked, request, services)
    except KafkaError as error:
        return _refusal(asked, error)
    return DescribeConfigsResult(
        error_code=ErrorCode.NONE,
        error_message="",
        resource_type=asked.resource_type,
        resource_name=asked.resource_name,
        configs=configs,
    )


def _refusal(asked: DescribeConfigsResource, error: KafkaError) -> DescribeConfigsResult:
    return DescribeConfigsResult(
        error_code=error.code,
        # Of a topic that there is not, Kafka says so without words; it leaves the message at its default, as above.
        error_message="" if error.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION else error.message,
        resource_type=asked.resource_type,
        resource_name=asked.resource_name,
        configs=[],
    )


def _configs(
    asked: DescribeConfigsResource, request: DescribeConfigsRequest, services: Services
) -> list[DescribeConfigsResourceResult]:
    kind, name = ResourceType(asked.resource_type), asked.resource_name
    keys = None if asked.configuration_keys is None else set(asked.configuration_keys)
    if kind is ResourceType.BROKER_LOGGER:
        return [
            _logger(logger, level)
            for logger, level in _broker_loggers(name, services).items()
            if keys is None or logger in keys
        ]
    return [_config(entry, request) for entry in _entries(kind, name, services) if keys is None or entry.name in keys]


def _entries(kind: ResourceType, name: str, services: Services) -> Iterable[ConfigEntry]:
    rules, image = services.cluster.controller.config_rules, services.cluster.image
    if kind is ResourceType.TOPIC:
        check(name)
        if name not in image.topics:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return topic_entries(image.config(kind, name), services.config)
    if kind is ResourceType.CLIENT_METRICS:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Client metrics subscription name must not be empty")
        return client_metrics_entries(image.config(kind, name))
    if kind is ResourceType.GROUP:
        if not name:
            raise KafkaError(ErrorCode.INVALID_REQUEST, "Group name must not be empty")
        return group_entries(image.config(kind, name), services.config)
    if kind is not ResourceType.BROKER:
        raise AssertionError(f"there are no configs of resource type {kind.name}")
    if not name:
        return dynamic_default_entries(services.config)
    rules.check_own_name(name)
    return broker_entries(services.config)


def _broker_loggers(name: str, services: Services) -> dict[str, str]:
    if not name:
        raise KafkaError(ErrorCode.INVALID_REQUEST, "Broker id must not be empty")
    services.cluster.controller.config_rules.check_own_name(name)
    return broker_loggers.levels()


def _config(entry: ConfigEntry, request: DescribeConfigsRequest) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=entry.name,
        value=entry.value,
        read_only=entry.read_only,
        config_source=entry.source,
        is_sensitive=entry.is_sensitive,
        synonyms=[
            DescribeConfigsSynonym(name=setting.name, value=setting.value, source=setting.source)
            for setting in (entry.synonyms if request.include_synonyms else ())
        ],
        config_type=entry.type,
        documentation=entry.documentation if request.include_documentation else None,
    )


def _logger(name: str, level: str) -> DescribeConfigsResourceResult:
    return DescribeConfigsResourceResult(
        name=name,
        value=level,
        read_only=False,
        config_source=ConfigSource.DYNAMIC_BROKER_LOGGER_CONFIG,
        is_sensitive=False,
        synonyms=[],
        documentation=None,
    )
