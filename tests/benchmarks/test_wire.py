"""The frames that the benchmarks encode by hand are those that kpy's codec reads."""

from benchmarks import wire
from kpy.protocol.messages.api_versions import ApiVersionsRequest
from kpy.protocol.messages.fetch import (
    AbortedTransaction,
    FetchableTopicResponse,
    FetchRequest,
    FetchResponse,
    PartitionData,
)
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


def test_fetch() -> None:
    """A Fetch request asks for one partition; in the reply are its error, its batches, and where to go on."""
    request = read(FetchRequest, 4, wire.fetch("topic", 3, 77, 1 << 20))
    assert isinstance(request, FetchRequest)
    (topic,) = request.topics
    (partition,) = topic.partitions
    assert (topic.topic, partition.partition, partition.fetch_offset) == ("topic", 3, 77)
    assert (partition.partition_max_bytes, request.max_bytes) == (1 << 20, 1 << 20)
    batches = bytearray(wire.batch([b"a", b"b"], 1) + wire.batch([b"c"], 1))
    batches[len(wire.batch([b"a", b"b"], 1)) + 7] = 2
    for aborted in (None, [AbortedTransaction(producer_id=1, first_offset=2)]):
        data = PartitionData(
            partition_index=3, error_code=42, high_watermark=1, aborted_transactions=aborted, records=bytes(batches)
        )
        answer = FetchResponse(responses=[FetchableTopicResponse(topic="topic", partitions=[data])])
        error, records = wire.fetched(memoryview(b"\0\0\0\1" + answer.encode(4)), "topic")
        assert (error, bytes(records)) == (42, batches)
        assert wire.next_offset(records) == 3
        assert wire.next_offset(records[:-1]) == 2


def test_produce_error() -> None:
    """The error code is found in the reply."""
    partition = PartitionProduceResponse(index=0, error_code=42, base_offset=-1)
    response = ProduceResponse(responses=[TopicProduceResponse(name="topic", partition_responses=[partition])])
    assert wire.produce_error(b"\0\0\0\1\0" + response.encode(9), "topic") == 42
