"""The frames that the benchmarks encode by hand are those that kpy's codec reads."""

from benchmarks import wire
from kpy.protocol.messages.api_versions import ApiVersionsRequest
from kpy.protocol.messages.fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData
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


def test_fetch() -> None:
    """A broker reads the request, and its answer is understood."""
    request = read(FetchRequest, 7, wire.fetch("t", 3, 42, 1000))
    assert isinstance(request, FetchRequest)
    asked = request.topics[0].partitions[0]
    assert (request.topics[0].topic, asked.partition, asked.fetch_offset, request.max_bytes) == ("t", 3, 42, 1000)
    data = PartitionData(
        partition_index=3, error_code=0, high_watermark=50, aborted_transactions=None, records=b"0123456789"
    )
    answer = FetchResponse(responses=[FetchableTopicResponse(topic="t", partitions=[data])])
    reply = b"\0\0\0\1" + answer.encode(7)
    head = reply[: wire.fetched_head_bytes("t")]
    assert wire.fetched(head, "t") == (0, 10)
    assert reply[len(head) :] == b"0123456789"
