"""The requests of a group's member by hand, in the versions that are the least work, and what their replies say.

All are versions of before the flexible ones; replies are given with their correlation id, without their length.
"""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.wire import HEARTBEAT, frame, string

OFFSET_COMMIT, FIND_COORDINATOR, JOIN_GROUP, SYNC_GROUP = 8, 10, 11, 14
TIMEOUT_MS = 300_000
PROTOCOL = "range"
NO_INSTANCE = struct.pack(">h", -1)


class Joined(NamedTuple):
    """What JoinGroup answered; only the leader is told of its peers."""

    error: int
    generation: int
    leader: str
    member_id: str
    peers: list[str]


def find_coordinator(group_id: str) -> bytes:
    """FindCoordinator v1 of a group; brokers make their topic of offsets when they are first asked."""
    return frame(FIND_COORDINATOR, 1, string(group_id) + b"\0")


def coordinator_error(reply: bytes) -> int:
    return _int16(reply, 8)


def join_group(group_id: str, member_id: str) -> bytes:
    """JoinGroup v5, with timeouts that nobody reaches."""
    protocols = struct.pack(">i", 1) + string(PROTOCOL) + _bytes(b"")
    timeouts = struct.pack(">ii", TIMEOUT_MS, TIMEOUT_MS)
    identity = string(member_id) + NO_INSTANCE + string("consumer")
    return frame(JOIN_GROUP, 5, string(group_id) + timeouts + identity + protocols)


def joined(reply: bytes) -> Joined:
    error, generation = struct.unpack_from(">hi", reply, 8)
    _, position = _string(reply, 14)
    leader, position = _string(reply, position)
    member_id, position = _string(reply, position)
    (count,) = struct.unpack_from(">i", reply, position)
    position += 4
    peers = []
    for _ in range(count):
        peer, position = _string(reply, position)
        _, position = _string(reply, position)
        peers.append(peer)
        position += 4 + struct.unpack_from(">i", reply, position)[0]
    return Joined(error, generation, leader, member_id, peers)


def sync_group(group_id: str, generation: int, member_id: str, assignments: Mapping[str, bytes]) -> bytes:
    """SyncGroup v3; assignments from the leader."""
    given = b"".join(string(member) + _bytes(assignment) for member, assignment in assignments.items())
    return frame(
        SYNC_GROUP, 3, _identity(group_id, generation, member_id) + struct.pack(">i", len(assignments)) + given
    )


def heartbeat(group_id: str, generation: int, member_id: str) -> bytes:
    """Heartbeat v3 of a member."""
    return frame(HEARTBEAT, 3, _identity(group_id, generation, member_id))


def offset_commit(group_id: str, generation: int, member_id: str, topic: str, partition: int, offset: int) -> bytes:
    """OffsetCommit v7 of one partition."""
    committed = struct.pack(">iiqi", 1, partition, offset, -1) + string("")
    return frame(OFFSET_COMMIT, 7, _identity(group_id, generation, member_id) + _one(string(topic) + committed))


def error(reply: bytes) -> int:
    """Of a Heartbeat or SyncGroup."""
    return _int16(reply, 8)


def commit_error(reply: bytes, topic: str) -> int:
    return _int16(reply, 8 + 4 + 2 + len(topic) + 4 + 4)


def _identity(group_id: str, generation: int, member_id: str) -> bytes:
    return string(group_id) + struct.pack(">i", generation) + string(member_id) + NO_INSTANCE


def _one(element: bytes) -> bytes:
    return struct.pack(">i", 1) + element


def _bytes(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


def _int16(reply: bytes, position: int) -> int:
    return int(struct.unpack_from(">h", reply, position)[0])


def _string(reply: bytes, position: int) -> tuple[str, int]:
    """The string and where it ends; null is empty."""
    size = max(_int16(reply, position), 0)
    end = position + 2 + size
    return reply[position + 2 : end].decode(), end
