"""DescribeProducers: who has written to a partition with sequence numbers."""

from collections.abc import Sequence

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    PartitionResponse,
    ProducerState,
    TopicRequest,
)
from kpy.protocol.records import BatchHeader, ControlType, EndTransactionMarker
from kpy.server.handlers.describe_producers import describe_producers
from kpy.storage.producer_states import ProducerStates
from tests.cluster.controller_context import topic
from tests.server.handlers.handler_context import HandlerContext

TRANSACTIONAL = 0x10


def ask(broker: HandlerContext, name: str, indexes: Sequence[int]) -> list[PartitionResponse]:
    request = DescribeProducersRequest(topics=[TopicRequest(name=name, partition_indexes=list(indexes))])
    (described,) = broker.call(describe_producers, request, 0).topics
    assert described.name == name
    assert [partition.partition_index for partition in described.partitions] == indexes
    return described.partitions


def batch(producer_id: int, *, sequence: int, count: int, epoch: int, attributes: int = 0) -> BatchHeader:
    return BatchHeader(0, 0, 0, 2, 0, attributes, count - 1, 0, 0, producer_id, epoch, sequence, count)


def test_producers(broker: HandlerContext) -> None:
    """A producer is described by its last batch, and by the transaction that it has open."""
    broker.state.create(topic("t", 2))
    states = broker.logs.producers["t", 0] = ProducerStates()
    states.appended(batch(7, sequence=0, count=3, epoch=1), 0, 111)
    states.appended(batch(7, sequence=3, count=2, epoch=1), 3, 222)
    states.appended(batch(8, sequence=0, count=1, epoch=0, attributes=TRANSACTIONAL), 5, 333)
    written, never_written = ask(broker, "t", [0, 1])
    assert written.error_code == ErrorCode.NONE
    assert written.active_producers == [
        ProducerState(
            producer_id=7,
            producer_epoch=1,
            last_sequence=4,
            last_timestamp=222,
            coordinator_epoch=-1,
            current_txn_start_offset=-1,
        ),
        ProducerState(
            producer_id=8,
            producer_epoch=0,
            last_sequence=0,
            last_timestamp=333,
            coordinator_epoch=-1,
            current_txn_start_offset=5,
        ),
    ]
    assert (never_written.error_code, never_written.active_producers) == (ErrorCode.NONE, [])


def test_after_a_transaction(broker: HandlerContext) -> None:
    """A marker of another epoch leaves a producer without a sequence, and tells which coordinator wrote it."""
    broker.created("t")
    states = broker.logs.producers["t", 0] = ProducerStates()
    states.appended(batch(8, sequence=0, count=1, epoch=0, attributes=TRANSACTIONAL), 0, 333)
    marker = EndTransactionMarker(ControlType.COMMIT, coordinator_epoch=4)
    states.transaction_ended(batch(8, sequence=-1, count=1, epoch=1), marker, offset=1, timestamp=444)
    (described,) = ask(broker, "t", [0])
    assert described.active_producers == [
        ProducerState(
            producer_id=8,
            producer_epoch=1,
            last_sequence=-1,
            last_timestamp=444,
            coordinator_epoch=4,
            current_txn_start_offset=-1,
        )
    ]


def test_unknown_places(broker: HandlerContext) -> None:
    """What is not there is said in the order of the request; a name that no topic can have is another error."""
    broker.created("t")
    codes = [(partition.error_code, partition.error_message) for partition in ask(broker, "t", [9, 0, -1, 9])]
    missing = (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None)
    assert codes == [missing, (ErrorCode.NONE, None), missing, missing]
    (described,) = ask(broker, "nope", [0])
    assert described.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    (described,) = ask(broker, "a b", [0])
    assert described.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert ask(broker, "nope", []) == []
