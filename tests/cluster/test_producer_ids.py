"""Handing out producer ids from blocks."""

from kpy.cluster.producer_ids import BLOCK_SIZE, ProducerIds
from kpy.protocol.metadata_records import ProducerIdsRecord


def test_every_id_of_a_block_once() -> None:
    """The ids of a block are handed out in order, each once, and then a new block is due."""
    ids = ProducerIds()
    assert ids.take() is None
    ids.refill(ProducerIdsRecord(broker_id=1, next_producer_id=5 * BLOCK_SIZE))
    assert [ids.take() for _ in range(BLOCK_SIZE)] == list(range(4 * BLOCK_SIZE, 5 * BLOCK_SIZE))
    assert ids.take() is None
