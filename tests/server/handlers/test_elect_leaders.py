"""ElectLeaders: why every leader stays."""

from collections.abc import Sequence

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.elect_leaders import ElectLeadersRequest, ElectLeadersResponse, TopicPartitions
from kpy.protocol.metadata_records import PartitionChangeRecord
from kpy.server.handlers.elect_leaders import elect_leaders
from kpy.state_machine import Record
from tests.server.handlers.handler_context import HandlerContext


def ask(
    broker: HandlerContext, places: Sequence[tuple[str, int]] | None, *, kind: int = 0, version: int = 2
) -> ElectLeadersResponse:
    asked = None if places is None else [TopicPartitions(topic=name, partitions=[index]) for name, index in places]
    request = ElectLeadersRequest(election_type=kind, topic_partitions=asked)
    return broker.call(elect_leaders, request, version)


def codes(response: ElectLeadersResponse) -> list[tuple[str, int, int]]:
    return [
        (result.topic, partition.partition_id, partition.error_code)
        for result in response.replica_election_results
        for partition in result.partition_result
    ]


@pytest.mark.parametrize("version", range(3))
def test_no_election_is_needed(broker: HandlerContext, version: int) -> None:
    """A partition that its preferred replica leads needs no election."""
    broker.created("t")
    assert codes(ask(broker, [("t", 0)], version=version)) == [("t", 0, ErrorCode.ELECTION_NOT_NEEDED)]


def test_unknown_places(broker: HandlerContext) -> None:
    """What is not there cannot have a leader."""
    broker.created("t")
    unknown = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert codes(ask(broker, [("t", 9), ("nope", 0)])) == [("t", 9, unknown), ("nope", 0, unknown)]


def test_all_partitions(broker: HandlerContext) -> None:
    """Asked for all partitions, those that need no election are left out."""
    broker.created("t")
    response = ask(broker, None)
    assert [result.topic for result in response.replica_election_results] == ["t"]
    assert codes(response) == []


def test_a_leader_that_cannot_be_had(broker: HandlerContext) -> None:
    """Where the preferred replica does not lead, there is nobody to put in its place."""
    broker.created("t")
    record = PartitionChangeRecord(topic_id=broker.topic("t").topic_id, partition_id=0, leader=-1, isr=[])
    broker.controller.replay(Record(None, record))
    assert codes(ask(broker, [("t", 0)])) == [("t", 0, ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE)]
    assert codes(ask(broker, None, kind=1)) == [("t", 0, ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE)]


def test_unknown_kinds_of_election(broker: HandlerContext) -> None:
    """An election that is neither preferred nor unclean is refused as a whole and for each partition."""
    broker.created("t")
    response = ask(broker, [("t", 0)], kind=7)
    assert response.error_code == ErrorCode.INVALID_REQUEST
    assert codes(response) == [("t", 0, ErrorCode.INVALID_REQUEST)]
