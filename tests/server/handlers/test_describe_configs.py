"""DescribeConfigs: resources, keys, sources, and what cannot be described."""

from collections.abc import Sequence

import pytest

from kpy.cluster.config_changes import Operation
from kpy.cluster.image import ResourceType
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResult,
)
from kpy.server.handlers.describe_configs import describe_configs
from tests.cluster.controller_context import changes, topic
from tests.server.handlers.handler_context import HandlerContext

TOPIC, BROKER, LOGGER = ResourceType.TOPIC, ResourceType.BROKER, ResourceType.BROKER_LOGGER
METRICS, GROUP = ResourceType.CLIENT_METRICS, ResourceType.GROUP


def ask(
    broker: HandlerContext,
    kind: int,
    name: str,
    keys: Sequence[str] | None = None,
    *,
    version: int = 4,
    synonyms: bool = False,
    documentation: bool = False,
) -> DescribeConfigsResult:
    resource = DescribeConfigsResource(
        resource_type=kind, resource_name=name, configuration_keys=None if keys is None else list(keys)
    )
    request = DescribeConfigsRequest(
        resources=[resource], include_synonyms=synonyms, include_documentation=documentation
    )
    (result,) = broker.call(describe_configs, request, version).results
    assert (result.resource_type, result.resource_name) == (kind, name)
    return result


def test_a_topic(broker: HandlerContext) -> None:
    """A topic's configs come with value, source and type, those that are asked for or all."""
    broker.state.create(topic("t", retention_ms="5"))
    (config,) = ask(broker, TOPIC, "t", ["retention.ms", "no.such"]).configs
    assert (config.name, config.value, config.config_source, config.config_type) == ("retention.ms", "5", 1, 5)
    assert (config.read_only, config.is_sensitive, config.synonyms) == (False, False, [])
    assert config.documentation is None
    assert len(ask(broker, TOPIC, "t").configs) == 33
    assert ask(broker, TOPIC, "t", []).configs == []


def test_a_group(broker: HandlerContext) -> None:
    """Groups have configs whether they are there or not; what is not their own is the broker's."""
    broker.state.alter(changes(GROUP, "g", ("consumer.session.timeout.ms", Operation.SET, "47000")))
    configs = {config.name: config for config in ask(broker, GROUP, "g", synonyms=True).configs}
    session = configs["consumer.session.timeout.ms"]

    assert (session.value, session.config_source, session.read_only) == ("47000", 8, False)
    assert [synonym.source for synonym in session.synonyms] == [8, 5]
    assert configs["consumer.heartbeat.interval.ms"].config_source == 5


def test_synonyms_and_documentation(broker: HandlerContext) -> None:
    """On request, a config has the layers behind it and a sentence about itself."""
    broker.state.create(topic("t", min_insync_replicas="2"))
    (config,) = ask(broker, TOPIC, "t", ["min.insync.replicas"], synonyms=True, documentation=True).configs
    assert [(synonym.name, synonym.value, synonym.source) for synonym in config.synonyms] == [
        ("min.insync.replicas", "2", 1),
        ("min.insync.replicas", "1", 3),
        ("min.insync.replicas", "1", 5),
    ]
    assert config.documentation


def test_this_broker(broker: HandlerContext) -> None:
    """This broker's configs say which of them only a restart can change, and what a file has set."""
    configs = {config.name: config for config in ask(broker, BROKER, "1").configs}
    assert (configs["node.id"].value, configs["node.id"].config_source, configs["node.id"].read_only) == ("1", 4, True)
    assert (configs["log.segment.bytes"].config_source, configs["log.segment.bytes"].read_only) == (5, False)


def test_client_metrics(broker: HandlerContext) -> None:
    """A subscription has all its options, whether or not it is there."""
    assert {config.name: config.value for config in ask(broker, METRICS, "m").configs} == {
        "metrics": "",
        "interval.ms": "300000",
        "match": "",
    }
    assert broker.state.alter(changes(METRICS, "m", ("interval.ms", Operation.SET, "1000"))) == [(0, None)]
    (config,) = ask(broker, METRICS, "m", ["interval.ms"]).configs
    assert (config.value, config.config_source) == ("1000", 7)


def test_loggers(broker: HandlerContext) -> None:
    """This broker's loggers are described with their levels."""
    (config,) = ask(broker, LOGGER, "1", ["root"]).configs
    assert config.value in {"FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"}
    assert config.config_source == 6


REFUSED = {
    "an unknown topic": (TOPIC, "nope", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    "a bad topic": (TOPIC, "a/b", ErrorCode.INVALID_TOPIC_EXCEPTION),
    "another broker": (BROKER, "9", ErrorCode.INVALID_REQUEST),
    "a broker that is no number": (BROKER, "x", ErrorCode.INVALID_REQUEST),
    "loggers of all brokers": (LOGGER, "", ErrorCode.INVALID_REQUEST),
    "loggers of another broker": (LOGGER, "9", ErrorCode.INVALID_REQUEST),
    "a subscription without a name": (METRICS, "", ErrorCode.INVALID_REQUEST),
    "a group without a name": (GROUP, "", ErrorCode.INVALID_REQUEST),
    "an unknown type": (9, "x", ErrorCode.INVALID_REQUEST),
}


@pytest.mark.parametrize(("kind", "name", "code"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_described(broker: HandlerContext, kind: int, name: str, code: ErrorCode) -> None:
    """What is not there has Kafka's code; only an unknown topic is answered without words."""
    result = ask(broker, kind, name)
    assert (result.error_code, result.configs) == (code, [])
    assert (result.error_message == "") == (code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def test_no_error_has_an_empty_message(broker: HandlerContext) -> None:
    """Kafka never sends null for the message, as it does elsewhere: where there is nothing to say it is empty."""
    assert ask(broker, BROKER, "1").error_message == ""


def test_old_versions(broker: HandlerContext) -> None:
    """Every version can carry the answer."""
    broker.created("t")
    for version in range(1, 5):
        assert ask(broker, TOPIC, "t", ["retention.ms"], version=version).configs[0].value == "604800000"


def test_a_resource_that_is_named_again_is_answered_once(broker: HandlerContext) -> None:
    """The answer has what any of the requests for it asked for; a short request makes no answer without end."""
    broker.created("t")

    def described(*resources: list[str] | None) -> list[set[str]]:
        asked = [
            DescribeConfigsResource(resource_type=TOPIC, resource_name="t", configuration_keys=keys)
            for keys in resources
        ]
        results = broker.call(describe_configs, DescribeConfigsRequest(resources=asked), 4).results
        return [{config.name for config in result.configs} for result in results]

    assert described(["retention.ms"], ["segment.ms"]) == [{"retention.ms", "segment.ms"}]
    assert described(["retention.ms"], None, ["segment.ms"], *[None] * 1000) == described(None)
