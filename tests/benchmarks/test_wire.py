"""The frames that the benchmarks encode by hand are those that kpy's codec reads."""

from benchmarks import wire
from kpy.protocol.messages.api_versions import ApiVersionsRequest
from kpy.protocol.messages.headers import RequestHeader
from kpy.protocol.messages.heartbeat import HeartbeatRequest
from kpy.protocol.messages.produce import (
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from kpy.protocol.records import RecordBatch
from kpy.protocol.schema import Request


def read(request_class: type[Request], version: int, frame: bytes) -> Request:
    header, position = RequestHeader.decode_prefix(frame, request_class.header_version(version), 4)
    request, end = request_class.decode_prefix(frame, version, position)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert end == len(frame)
    assert (header.request_api_key, header.request_api_version) == (request_class.api, version)
    return request


def test_small_requests() -> None:
    """ApiVersions and Heartbeat."""
    assert read(ApiVersionsRequest, 0, wire.api_versions()) == ApiVersionsRequest()
    heartbeat = read(HeartbeatRequest, 0, wire.heartbeat("group"))
    assert heartbeat == HeartbeatRequest(group_id="group", generation_id=0, member_id="nobody")


def test_produce() -> None:
    """A Produce request has its batch, and the batch its records."""
    values = [b"x" * 1000, b"", b"z"]
    request = read(ProduceRequest, 9, wire.produce("topic", 3, wire.batch(values, 1_700_000_000_000)))
    assert isinstance(request, ProduceRequest)
    (topic,) = request.topic_data
    (partition,) = topic.partition_data
    assert (request.acks, topic.name, partition.index) == (-1, "topic", 3)
    assert isinstance(partition.records, memoryview)
    batch = RecordBatch(partition.records)
    assert batch.is_sound()
    assert [record.value for record in batch] == values


def test_produce_error() -> None:
    """The error code is found in the reply."""
    partition = PartitionProduceResponse(index=0, error_code=42, base_offset=-1)
    response = ProduceResponse(responses=[TopicProduceResponse(name="topic", partition_responses=[partition])])
    assert wire.produce_error(b"\0\0\0\1\0" + response.encode(9), "topic") == 42
