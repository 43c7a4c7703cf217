"""The group requests that the benchmarks encode by hand are those that kpy's codec reads, and so are the replies."""

from benchmarks import group_wire
from kpy.protocol.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from kpy.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from kpy.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember
from kpy.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from kpy.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from kpy.protocol.schema import Response
from tests.benchmarks.test_wire import read


def reply(response: Response, version: int) -> bytes:
    """As it stands behind its length."""
    return b"corr" + response.encode(version)


def test_find_coordinator() -> None:
    """The coordinator of a group, and why there is none."""
    request = read(FindCoordinatorRequest, 1, group_wire.find_coordinator("g"))
    assert request == FindCoordinatorRequest(key="g", key_type=0)
    response = FindCoordinatorResponse(error_code=15, error_message="no", node_id=-1, host="", port=-1)
    assert group_wire.coordinator_error(reply(response, 1)) == 15


def test_join_group() -> None:
    """A member says who it is; a leader hears of its peers, others of nobody."""
    request = read(JoinGroupRequest, 5, group_wire.join_group("g", "m"))
    assert isinstance(request, JoinGroupRequest)
    assert (request.group_id, request.member_id, request.group_instance_id) == ("g", "m", None)
    assert [(protocol.name, protocol.metadata) for protocol in request.protocols] == [("range", b"")]
    peers = [JoinGroupResponseMember(member_id=peer, metadata=b"metadata") for peer in ("m", "n")]
    response = JoinGroupResponse(
        error_code=0, generation_id=3, protocol_name="range", leader="m", member_id="m", members=peers
    )
    assert group_wire.joined(reply(response, 5)) == (0, 3, "m", "m", ["m", "n"])


def test_sync_group() -> None:
    """Leaders assign, and everybody hears of an error or none."""
    request = read(SyncGroupRequest, 3, group_wire.sync_group("g", 3, "m", {"m": b"a", "n": b"b"}))
    assert isinstance(request, SyncGroupRequest)
    assert (request.group_id, request.generation_id, request.member_id) == ("g", 3, "m")
    assert [(given.member_id, given.assignment) for given in request.assignments] == [("m", b"a"), ("n", b"b")]
    assert group_wire.error(reply(SyncGroupResponse(error_code=27, assignment=b""), 3)) == 27


def test_heartbeat() -> None:
    """A member in its generation."""
    request = read(HeartbeatRequest, 3, group_wire.heartbeat("g", 3, "m"))
    assert request == HeartbeatRequest(group_id="g", generation_id=3, member_id="m")
    assert group_wire.error(reply(HeartbeatResponse(error_code=22), 3)) == 22


def test_offset_commit() -> None:
    """One partition, and how it went."""
    request = read(OffsetCommitRequest, 7, group_wire.offset_commit("g", 3, "m", "topic", 5, 77))
    assert isinstance(request, OffsetCommitRequest)
    (topic,) = request.topics
    (partition,) = topic.partitions
    assert (request.generation_id_or_member_epoch, request.member_id, topic.name) == (3, "m", "topic")
    assert (partition.partition_index, partition.committed_offset) == (5, 77)
    answered = OffsetCommitResponsePartition(partition_index=5, error_code=12)
    response = OffsetCommitResponse(topics=[OffsetCommitResponseTopic(name="topic", partitions=[answered])])
    assert group_wire.commit_error(reply(response, 7), "topic") == 12
