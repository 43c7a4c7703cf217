"""DescribeTopicPartitions: pages and cursors."""

from collections.abc import Sequence

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    TopicRequest,
)
from kpy.server.handlers.describe_topic_partitions import describe_topic_partitions
from tests.cluster.controller_context import topic
from tests.server.handlers.handler_context import HandlerContext

Page = tuple[list[tuple[str | None, list[int]]], tuple[str, int] | None]


def ask(
    broker: HandlerContext, names: Sequence[str], *, limit: int = 2000, cursor: tuple[str, int] | None = None
) -> DescribeTopicPartitionsResponse:
    request = DescribeTopicPartitionsRequest(
        topics=[TopicRequest(name=name) for name in names],
        response_partition_limit=limit,
        cursor=None if cursor is None else Cursor(topic_name=cursor[0], partition_index=cursor[1]),
    )
    return broker.call(describe_topic_partitions, request, 0)


def page(response: DescribeTopicPartitionsResponse) -> Page:
    """Topics with their partitions, and the cursor of the next page."""
    topics = [
        (described.name, [partition.partition_index for partition in described.partitions])
        for described in response.topics
    ]
    cursor = response.next_cursor
    return topics, None if cursor is None else (cursor.topic_name, cursor.partition_index)


@pytest.fixture
def broker() -> HandlerContext:
    broker = HandlerContext()
    broker.state.create(topic("b", 2), topic("a", 3))
    return broker


def test_all_that_is_known_of_a_partition(broker: HandlerContext) -> None:
    """A partition has its leader, replicas, and no eligible leaders out of sync; topics have their operations."""
    described = ask(broker, ["b"]).topics[0]
    assert described.topic_id == broker.topic("b").topic_id
    assert described.topic_authorized_operations == 3576
    partition = described.partitions[1]
    assert (partition.leader_id, partition.leader_epoch, partition.replica_nodes) == (1, 0, [1])
    assert (partition.eligible_leader_replicas, partition.last_known_elr) == ([], [])


def test_in_the_order_of_names(broker: HandlerContext) -> None:
    """Topics come in the order of their names, once each; an empty list is all of them."""
    expected: Page = ([("a", [0, 1, 2]), ("b", [0, 1])], None)
    assert page(ask(broker, ["b", "a", "b"])) == expected
    assert page(ask(broker, [])) == expected


def test_pages(broker: HandlerContext) -> None:
    """A page ends at the limit, and its cursor begins the next."""
    first = page(ask(broker, ["a", "b"], limit=2))
    assert first == ([("a", [0, 1])], ("a", 2))
    second = page(ask(broker, ["a", "b"], limit=2, cursor=first[1]))
    assert second == ([("a", [2]), ("b", [0])], ("b", 1))
    assert page(ask(broker, ["a", "b"], limit=2, cursor=second[1])) == ([("b", [1])], None)
    assert page(ask(broker, ["a", "b"], limit=3)) == ([("a", [0, 1, 2])], ("b", 0))
    assert page(ask(broker, ["a"], limit=0)) == ([("a", [0])], ("a", 1))


def test_the_brokers_own_limit() -> None:
    """max.request.partition.size.limit holds whatever the client asks for."""
    broker = HandlerContext(max_request_partition_size_limit="1")
    broker.state.create(topic("a", 3))
    assert page(ask(broker, ["a"])) == ([("a", [0])], ("a", 1))


def test_cursors_past_the_end_or_in_a_topic_that_is_gone(broker: HandlerContext) -> None:
    """A cursor behind the last partition finds none of its topic; one in a topic that is gone goes on after it."""
    assert page(ask(broker, ["a"], cursor=("a", 9))) == ([("a", [])], None)
    assert page(ask(broker, [], cursor=("aa", 1))) == ([("b", [0, 1])], None)


@pytest.mark.parametrize(
    ("names", "cursor"),
    [(["a"], ("a", -1)), (["a", "b"], ("aa", 0)), ([""], None)],
    ids=["negative", "unlisted", "empty"],
)
def test_requests_that_are_refused(broker: HandlerContext, names: list[str], cursor: tuple[str, int] | None) -> None:
    """A cursor before the first partition or in a topic that is not asked for, or an empty name, fails the request."""
    for described in ask(broker, names, cursor=cursor).topics:
        assert described.error_code in {ErrorCode.INVALID_REQUEST, ErrorCode.INVALID_TOPIC_EXCEPTION}
        assert described.topic_authorized_operations == -(2**31)


def test_unknown_topics(broker: HandlerContext) -> None:
    """An unknown name and an invalid one are answered with their own codes."""
    assert [(described.name, described.error_code) for described in ask(broker, ["nope", "a/b"]).topics] == [
        ("a/b", ErrorCode.INVALID_TOPIC_EXCEPTION),
        ("nope", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ]
