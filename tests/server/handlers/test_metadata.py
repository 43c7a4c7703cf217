"""Metadata: which topics are answered, which are created, and what old versions see."""

from collections.abc import Sequence
from uuid import UUID

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from kpy.server.handlers.metadata import metadata
from tests.server.handlers.handler_context import UNKNOWN_ID, HandlerContext

NOT_ASKED = -(2**31)


def ask(
    broker: HandlerContext,
    version: int,
    topics: Sequence[str | UUID | MetadataRequestTopic] | None,
    *,
    create: bool = False,
    topic_operations: bool = False,
    cluster_operations: bool = False,
) -> MetadataResponse:
    def place(named: str | UUID | MetadataRequestTopic) -> MetadataRequestTopic:
        if isinstance(named, MetadataRequestTopic):
            return named
        if isinstance(named, str):
            return MetadataRequestTopic(name=named)
        return MetadataRequestTopic(topic_id=named, name=None)

    request = MetadataRequest(
        topics=None if topics is None else [place(named) for named in topics],
        allow_auto_topic_creation=create,
        include_topic_authorized_operations=topic_operations,
        include_cluster_authorized_operations=cluster_operations,
    )
    return broker.call(metadata, request, version)


def codes(response: MetadataResponse) -> list[tuple[str | None, int]]:
    return [(topic.name, topic.error_code) for topic in response.topics]


def test_brokers_and_cluster(broker: HandlerContext) -> None:
    """The answer has the broker as it is advertised, the cluster's id, and a controller that is in the list."""
    response = ask(broker, 12, [])
    assert [(node.node_id, node.host, node.port, node.rack) for node in response.brokers] == [
        (1, "localhost", 9092, None)
    ]
    assert (response.cluster_id, response.controller_id) == ("cluster", 1)
    assert not response.topics


def test_all_topics_and_none(broker: HandlerContext) -> None:
    """Null asks for all topics and an empty list for none, except in version 0, where empty means all."""
    broker.created("a", "b")
    assert codes(ask(broker, 0, [])) == [("a", 0), ("b", 0)]
    assert codes(ask(broker, 1, None)) == [("a", 0), ("b", 0)]
    assert codes(ask(broker, 1, [])) == []


def test_a_topic(broker: HandlerContext) -> None:
    """A topic comes with its id and its partitions, once, however often it is asked for."""
    broker.created("t")
    (topic,) = ask(broker, 12, ["t", "t"]).topics
    assert (topic.topic_id, topic.is_internal) == (broker.topic("t").topic_id, False)
    (partition,) = topic.partitions
    assert (partition.partition_index, partition.leader_id, partition.leader_epoch) == (0, 1, 0)
    assert (partition.replica_nodes, partition.isr_nodes, partition.offline_replicas) == ([1], [1], [])
    assert topic.topic_authorized_operations == NOT_ASKED


def test_unknown_topics_are_created_if_both_sides_want_it(broker: HandlerContext) -> None:
    """An unknown topic is created, with the broker's number of partitions, if client and configuration say so."""
    assert codes(ask(broker, 12, ["t"])) == [("t", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]
    assert codes(ask(broker, 12, ["t"], create=True)) == [("t", 0)]
    assert len(broker.topic("t").partitions) == 1
    forbidding = HandlerContext(auto_create_topics_enable="false")
    assert codes(ask(forbidding, 12, ["t"], create=True)) == [("t", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)]


def test_topics_that_cannot_be_created(broker: HandlerContext) -> None:
    """A bad name is INVALID_TOPIC_EXCEPTION; what the controller refuses stays unknown, as in Kafka."""
    broker.created("a.b")
    response = ask(broker, 12, ["a/b", "a_b", "c"], create=True)
    assert codes(response) == [("a/b", 17), ("a_b", 3), ("c", 0)]
    assert codes(ask(broker, 12, ["a/b"])) == [("a/b", 17)]


def test_the_offsets_topic(broker: HandlerContext) -> None:
    """The coordinators' topic is internal, and created with its own numbers and configs."""
    name = "__consumer_offsets"
    (unknown,) = ask(broker, 12, [name]).topics
    assert unknown.is_internal
    (topic,) = ask(broker, 12, [name], create=True).topics
    assert topic.is_internal
    assert len(topic.partitions) == 50
    assert broker.image.config(2, name)["cleanup.policy"] == "compact"  # type: ignore[arg-type]


def test_by_id(broker: HandlerContext) -> None:
    """Topics are found by id from version 12 on; an unknown id has no name, and names beside ids do not count."""
    broker.created("a", "b")
    topic_id = broker.topic("a").topic_id
    response = ask(broker, 12, [topic_id, UNKNOWN_ID, "b"])
    assert codes(response) == [("a", 0), (None, ErrorCode.UNKNOWN_TOPIC_ID)]
    assert response.topics[1].topic_id == UNKNOWN_ID


@pytest.mark.parametrize("version", [10, 11])
def test_ids_do_not_count_before_version_12(broker: HandlerContext, version: int) -> None:
    """A request with an id or without a name is refused as a whole in versions that have ids but not their use."""
    broker.created("t")
    topic_id = broker.topic("t").topic_id
    response = ask(broker, version, [MetadataRequestTopic(topic_id=topic_id, name="t")])
    assert codes(response) == [("t", ErrorCode.INVALID_REQUEST)]
    assert response.topics[0].topic_id == topic_id
    assert codes(ask(broker, version, [MetadataRequestTopic(name=None)])) == [("", ErrorCode.INVALID_REQUEST)]


def test_neither_name_nor_id(broker: HandlerContext) -> None:
    """A topic that is not named at all is an error, and in version 13 of the whole response."""
    response = ask(broker, 13, [MetadataRequestTopic(name=None)])
    assert codes(response) == [("", ErrorCode.INVALID_REQUEST)]
    assert response.error_code == ErrorCode.INVALID_REQUEST


def test_authorized_operations(broker: HandlerContext) -> None:
    """Without an authorizer, who asks may do all that there is, on known and unknown topics."""
    broker.created("t")
    response = ask(broker, 8, ["t", "nope"], topic_operations=True, cluster_operations=True)
    assert [topic.topic_authorized_operations for topic in response.topics] == [3576, 3576]
    assert response.cluster_authorized_operations == 8096
    assert ask(broker, 8, ["t"]).cluster_authorized_operations == NOT_ASKED


def test_every_version(broker: HandlerContext) -> None:
    """Every version can carry the answer."""
    broker.created("t")
    for version in range(14):
        assert codes(ask(broker, version, ["t"], create=version < 4)) == [("t", 0)]
