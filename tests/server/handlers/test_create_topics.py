"""CreateTopics: what the handler adds to the controller's decisions."""

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.create_topics import CreatableTopicResult, CreateTopicsRequest
from kpy.server.handlers.create_topics import create_topics
from tests.cluster.controller_context import topic
from tests.server.handlers.handler_context import HandlerContext


def ask(broker: HandlerContext, version: int, *topics: tuple[str, int]) -> list[CreatableTopicResult]:
    request = CreateTopicsRequest(topics=[topic(name, partitions) for name, partitions in topics])
    return broker.call(create_topics, request, version).topics


@pytest.mark.parametrize("version", range(2, 8))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """Every version can carry the answer; ids come with 7, numbers and configs with 5."""
    good, bad = ask(broker, version, ("good", 1), ("a/b", 1))
    assert (good.error_code, bad.error_code) == (ErrorCode.NONE, ErrorCode.INVALID_TOPIC_EXCEPTION)
    assert (good.topic_id == broker.topic("good").topic_id) == (version >= 7)
    assert good.num_partitions == (1 if version >= 5 else -1)
    assert bool(good.configs) == (version >= 5)


def test_a_request_that_is_refused_as_a_whole(broker: HandlerContext) -> None:
    """Too many partitions in one request are an error of each of its topics."""
    results = ask(broker, 7, ("a", 9_000), ("b", 9_000))
    assert [(result.name, result.error_code) for result in results] == [
        ("a", ErrorCode.POLICY_VIOLATION),
        ("b", ErrorCode.POLICY_VIOLATION),
    ]
    assert not broker.image.topics
