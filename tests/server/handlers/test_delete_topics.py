"""DeleteTopics: what the handler adds to the controller's decisions."""

from uuid import UUID

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicState
from kpy.server.handlers.delete_topics import delete_topics
from tests.server.handlers.handler_context import HandlerContext


def ask(broker: HandlerContext, version: int, name: str) -> DeletableTopicResult:
    request = (
        DeleteTopicsRequest(topic_names=[name], timeout_ms=0)
        if version < 6
        else DeleteTopicsRequest(topics=[DeleteTopicState(name=name, topic_id=UUID(int=0))], timeout_ms=0)
    )
    (result,) = broker.call(delete_topics, request, version).responses
    assert result.name == name
    return result


@pytest.mark.parametrize("version", range(1, 7))
def test_every_version(broker: HandlerContext, version: int) -> None:
    """Every version can name a topic and carry the answer; words come with version 5."""
    broker.created("t")
    assert ask(broker, version, "t").error_code == ErrorCode.NONE
    assert "t" not in broker.image.topics
    unknown = ask(broker, version, "t")
    assert unknown.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert (unknown.error_message is not None) == (version >= 5)


@pytest.mark.parametrize("version", [2, 5, 6])
def test_deletion_switched_off(version: int) -> None:
    """Where topics cannot be deleted, every topic of the request says so."""
    broker = HandlerContext(delete_topic_enable="false")
    broker.created("t")
    expected = ErrorCode.INVALID_REQUEST if version < 3 else ErrorCode.TOPIC_DELETION_DISABLED
    assert ask(broker, version, "t").error_code == expected
    assert "t" in broker.image.topics
