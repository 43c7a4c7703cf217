"""ListConfigResources: what has configs, or could have."""

from collections.abc import Sequence

from kpy.cluster.config_changes import Operation
from kpy.cluster.image import ResourceType
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.list_config_resources import ListConfigResourcesRequest
from kpy.server.handlers.list_config_resources import list_config_resources
from tests.cluster.controller_context import changes
from tests.server.handlers.handler_context import HandlerContext

TOPIC, BROKER, LOGGER = ResourceType.TOPIC, ResourceType.BROKER, ResourceType.BROKER_LOGGER
METRICS, GROUP = ResourceType.CLIENT_METRICS, ResourceType.GROUP


def ask(broker: HandlerContext, kinds: Sequence[int], version: int = 1) -> tuple[int, list[tuple[str, int]]]:
    request = ListConfigResourcesRequest(resource_types=list(kinds)) if version else ListConfigResourcesRequest()
    response = broker.call(list_config_resources, request, version)
    return response.error_code, [
        (resource.resource_name, resource.resource_type) for resource in response.config_resources
    ]


def test_by_type(broker: HandlerContext) -> None:
    """Topics and brokers are listed with or without configs, subscriptions if they have some."""
    broker.created("t")
    broker.state.alter(changes(METRICS, "m", ("interval.ms", Operation.SET, "1000")))
    assert ask(broker, [TOPIC]) == (0, [("t", TOPIC)])
    assert ask(broker, [BROKER, LOGGER]) == (0, [("1", LOGGER), ("1", BROKER)])
    assert ask(broker, [GROUP]) == (0, [])
    assert ask(broker, [TOPIC, TOPIC]) == (0, [("t", TOPIC)])
    assert ask(broker, []) == (0, [("m", METRICS), ("1", LOGGER), ("1", BROKER), ("t", TOPIC)])


def test_version_0_knows_subscriptions_only(broker: HandlerContext) -> None:
    """In version 0, when it had another name, the API lists client metrics."""
    broker.created("t")
    broker.state.alter(changes(METRICS, "m", ("interval.ms", Operation.SET, "1000")))
    assert ask(broker, [], version=0) == (0, [("m", METRICS)])


def test_unknown_types(broker: HandlerContext) -> None:
    """A type that is not known fails the request, whatever else it asks for."""
    broker.created("t")
    assert ask(broker, [TOPIC, 99]) == (ErrorCode.UNSUPPORTED_VERSION, [])
