"""Which brokers get the replicas of new partitions."""

from collections.abc import Collection, Sequence
from random import Random

from kpy.protocol.errors import ErrorCode, KafkaError


def place(
    brokers: Collection[int], *, partition_count: int, replication_factor: int, random: Random
) -> list[tuple[int, ...]]:
    """Replicas for each new partition: leaders go round the brokers from a random one on, followers come after them."""
    if replication_factor <= 0:
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"Invalid replication factor {replication_factor}: the replication factor must be positive.",
        )
    if replication_factor > len(brokers):
        raise KafkaError(
            ErrorCode.INVALID_REPLICATION_FACTOR,
            f"The target replication factor of {replication_factor} cannot be reached because only "
            f"{len(brokers)} broker(s) are registered.",
        )
    ring = sorted(brokers)
    start = random.randrange(len(ring))
    return [
        tuple(ring[(start + index + replica) % len(ring)] for replica in range(replication_factor))
        for index in range(partition_count)
    ]


def check_assignment(replicas: Sequence[int], brokers: Collection[int], replication_factor: int | None) -> None:
    """Raise INVALID_REPLICA_ASSIGNMENT for replicas that a client may not choose.

    `replication_factor` is that of the topic's other partitions, if there are any
    (ReplicationControlManager.validateManualPartitionAssignment).
    """
    if not replicas:
        raise _invalid("includes an empty replica list.")
    for index, broker in enumerate(ordered := sorted(replicas)):
        if broker not in brokers:
            raise _invalid(f"includes broker {broker}, but no such broker is registered.")
        if index and broker == ordered[index - 1]:
            raise _invalid(f"includes the broker {broker} more than once.")
    if replication_factor is not None and len(replicas) != replication_factor:
        raise _invalid(
            f"includes a partition with {len(replicas)} replica(s), but this is not consistent with previous "
            f"partitions, which have {replication_factor} replica(s)."
        )


def _invalid(what: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"The manual partition assignment {what}")
