"""IncrementalAlterConfigs: loggers here, all else with the controller, answers in the order of the request."""

import logging
from collections.abc import Iterator

import pytest

from kpy.cluster.config_changes import Operation
from kpy.cluster.image import ResourceType
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.incremental_alter_configs import AlterConfigsResource, IncrementalAlterConfigsRequest
from kpy.server.handlers.incremental_alter_configs import incremental_alter_configs
from tests.cluster.controller_context import changes
from tests.server.handlers.handler_context import HandlerContext

TOPIC, LOGGER = ResourceType.TOPIC, ResourceType.BROKER_LOGGER
SET, DELETE, APPEND = Operation.SET, Operation.DELETE, Operation.APPEND


@pytest.fixture(autouse=True)
def _levels_as_they_were() -> Iterator[None]:
    kpy = logging.getLogger("kpy")
    level = kpy.level
    yield
    kpy.setLevel(level)


def ask(broker: HandlerContext, *resources: AlterConfigsResource, validate_only: bool = False) -> list[int]:
    request = IncrementalAlterConfigsRequest(resources=list(resources), validate_only=validate_only)
    responses = broker.call(incremental_alter_configs, request, 1).responses
    assert [(response.resource_type, response.resource_name) for response in responses] == [
        (resource.resource_type, resource.resource_name) for resource in resources
    ]
    return [response.error_code for response in responses]


def test_a_level(broker: HandlerContext) -> None:
    """The root logger is that of kpy, and its level is set, but not by validate_only."""
    debug = changes(LOGGER, "1", ("root", SET, "DEBUG"))
    assert ask(broker, changes(LOGGER, "1", ("root", SET, "ERROR"))) == [0]
    assert ask(broker, debug, validate_only=True) == [0]
    assert logging.getLogger("kpy").level == logging.ERROR
    assert ask(broker, debug) == [0]
    assert logging.getLogger("kpy").level == logging.DEBUG


def test_among_others(broker: HandlerContext) -> None:
    """Loggers and other resources in one request are answered in its order, each by itself."""
    broker.created("t")
    resources = (
        changes(TOPIC, "t", ("retention.ms", SET, "5")),
        changes(LOGGER, "1", ("root", SET, "LOUD")),
        changes(TOPIC, "nope", ("retention.ms", SET, "5")),
    )
    assert ask(broker, *resources) == [0, ErrorCode.INVALID_CONFIG, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert broker.image.config(TOPIC, "t") == {"retention.ms": "5"}


REFUSED = {
    "a level that is none": (("root", SET, "LOUD"), ErrorCode.INVALID_CONFIG),
    "no such logger": (("no.such", SET, "INFO"), ErrorCode.INVALID_CONFIG),
    "root without a level": (("root", DELETE, None), ErrorCode.INVALID_REQUEST),
    "levels are no lists": (("root", APPEND, "INFO"), ErrorCode.INVALID_REQUEST),
    "no level": (("root", SET, None), ErrorCode.INVALID_REQUEST),
}


@pytest.mark.parametrize(("change", "code"), REFUSED.values(), ids=REFUSED)
def test_levels_that_cannot_be(broker: HandlerContext, change: tuple[str, int, str | None], code: ErrorCode) -> None:
    """What is not a logger or a level is refused, and the level stays."""
    level = logging.getLogger("kpy").level
    assert ask(broker, changes(LOGGER, "1", change)) == [code]
    assert logging.getLogger("kpy").level == level


def test_a_logger_twice_or_elsewhere(broker: HandlerContext) -> None:
    """Loggers that are named twice, or of another broker, are refused."""
    info = changes(LOGGER, "1", ("root", SET, "INFO"))
    assert ask(broker, info, info) == [ErrorCode.INVALID_REQUEST] * 2
    assert ask(broker, changes(LOGGER, "9", ("root", SET, "INFO"))) == [ErrorCode.INVALID_REQUEST]
