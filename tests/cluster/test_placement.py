"""Where the replicas of new partitions go."""

from collections import Counter
from random import Random

import pytest

from kpy.cluster.placement import check_assignment, place
from kpy.protocol.errors import ErrorCode, KafkaError


def test_leaders_and_replicas_are_spread() -> None:
    """Replicas of a partition are on different brokers, and every broker leads as many as the others."""
    placed = place([1, 2, 3], partition_count=9, replication_factor=2, random=Random(7))
    assert all(len(set(replicas)) == 2 for replicas in placed)
    assert Counter(replicas[0] for replicas in placed) == {1: 3, 2: 3, 3: 3}
    assert Counter(broker for replicas in placed for broker in replicas) == {1: 6, 2: 6, 3: 6}


@pytest.mark.parametrize("factor", [-1, 0, 2])
def test_replicas_that_cannot_be_placed(factor: int) -> None:
    """A replication factor below one or above the number of brokers is INVALID_REPLICATION_FACTOR."""
    with pytest.raises(KafkaError) as caught:
        place([1], partition_count=1, replication_factor=factor, random=Random(7))
    assert caught.value.code is ErrorCode.INVALID_REPLICATION_FACTOR


def test_an_assignment_like_the_others() -> None:
    """A client's assignment has known brokers, each once, and as many as the topic's other partitions."""
    check_assignment([2, 1], {1, 2, 3}, None)
    check_assignment([2, 1], {1, 2, 3}, 2)
    for replicas in ([], [1, 1], [1, 9], [1]):
        with pytest.raises(KafkaError) as caught:
            check_assignment(replicas, {1, 2, 3}, 2)
        assert caught.value.code is ErrorCode.INVALID_REPLICA_ASSIGNMENT
