"""Produce answers each partition for itself, with the error that Kafka gives."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from kpy.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    ProduceResponse,
    TopicProduceData,
)
from kpy.protocol.records import TRANSACTIONAL, build_batch
from tests.server.client import PRODUCE_VERSION, Client, Serving, make_broker, produce_request, running
from tests.storage.batches import batch

LOWEST, BY_ID = 3, 13


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    async with running(make_broker(auto_create_topics_enable="false")) as serving:
        yield serving


@pytest.fixture
async def client(serving: Serving) -> Client:
    client = await serving.connect()
    await client.create_topic("t", 2)
    return client


async def refusal(client: Client, request: ProduceRequest, version: int = PRODUCE_VERSION) -> ErrorCode:
    response = await client.ask(request, version, ProduceResponse)
    (topic,) = response.responses
    (partition,) = topic.partition_responses
    if partition.error_code:
        assert partition.base_offset == -1
    return ErrorCode(partition.error_code)


@pytest.mark.parametrize("acks", [1, -1])
@pytest.mark.parametrize("version", range(LOWEST, BY_ID))
async def test_offsets_count_up(client: Client, version: int, acks: int) -> None:
    """Each batch gets the next offset, in every version that names topics."""
    for expected in (0, 2):
        response = await client.ask(produce_request("t", "a", "b", acks=acks), version, ProduceResponse)
        (partition,) = response.responses[0].partition_responses
        assert (partition.error_code, partition.base_offset, partition.log_append_time_ms) == (0, expected, -1)


async def test_topics_by_id(serving: Serving, client: Client) -> None:
    """From version 13 on topics are named by id, and an id that no topic has is an error of its own."""
    topic = serving.broker.services.cluster.image.topic("t")
    assert topic is not None
    data = [PartitionProduceData(index=0, records=batch("a"))]
    for topic_id, code in (
        (topic.topic_id, ErrorCode.NONE),
        (UUID(int=5), ErrorCode.UNKNOWN_TOPIC_ID),
        (UUID(int=0), ErrorCode.UNKNOWN_TOPIC_ID),
    ):
        request = ProduceRequest(
            acks=-1, timeout_ms=1000, topic_data=[TopicProduceData(topic_id=topic_id, partition_data=data)]
        )
        assert await refusal(client, request, BY_ID) is code


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (produce_request("nope", "a"), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (produce_request("t", "a", partition=2), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (produce_request("t", "a", partition=-1), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (produce_request("__consumer_offsets", "a"), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (produce_request("t", "a", acks=2), ErrorCode.INVALID_REQUIRED_ACKS),
        (produce_request("t", records=b""), ErrorCode.INVALID_RECORD),
        (produce_request("t", records=batch("a") + batch("b")), ErrorCode.INVALID_RECORD),
        (produce_request("t", records=batch("a", attributes=TRANSACTIONAL)), ErrorCode(53)),
    ],
    ids=["topic", "partition", "negative", "internal", "acks", "empty", "two_batches", "transactional"],
)
async def test_refusals(client: Client, request_: ProduceRequest, code: ErrorCode) -> None:
    """What Kafka refuses before it asks a log."""
    assert await refusal(client, request_) is code


async def test_a_batch_of_a_transaction_is_refused(client: Client) -> None:
    """There are no transactions yet, so no batch is stored that waits for one to end."""
    request = produce_request("t", records=batch("a", attributes=TRANSACTIONAL))
    request.transactional_id = "txn"

    assert await refusal(client, request) is ErrorCode.INVALID_TXN_STATE


async def test_null_records_get_an_answer(client: Client) -> None:
    """Where Apache Kafka never answers, this broker says what is wrong."""
    request = produce_request("t", "a")
    request.topic_data[0].partition_data[0].records = None

    assert await refusal(client, request) is ErrorCode.INVALID_RECORD


def with_byte(position: int, value: int) -> bytearray:
    damaged = batch("x")
    damaged[position] = value
    return damaged


@pytest.mark.parametrize(
    "damaged",
    [with_byte(17, 0), with_byte(8, 255), with_byte(16, 3)],
    ids=["checksum", "length", "format"],
)
async def test_a_bad_partition_does_not_keep_a_good_one_out(client: Client, damaged: bytearray) -> None:
    """Partitions of one request are answered in its order, each with its own fate."""
    request = ProduceRequest(
        acks=-1,
        timeout_ms=1000,
        topic_data=[
            TopicProduceData(
                name="t",
                partition_data=[
                    PartitionProduceData(index=0, records=damaged),
                    PartitionProduceData(index=1, records=batch("good")),
                ],
            )
        ],
    )

    response = await client.ask(request, PRODUCE_VERSION, ProduceResponse)

    assert [(data.index, data.error_code) for data in response.responses[0].partition_responses] == [
        (0, ErrorCode.CORRUPT_MESSAGE),
        (1, ErrorCode.NONE),
    ]


@pytest.mark.parametrize(("length", "has_words"), [(-5, True), (0, True), (20, False)])
async def test_words_for_a_wrong_length(client: Client, length: int, has_words: bool) -> None:
    """Kafka says what is wrong with a length that no batch has, but not with the bytes behind one that is short."""
    damaged = batch("x")
    damaged[8:12] = length.to_bytes(4, signed=True)
    response = await client.ask(produce_request("t", records=damaged), PRODUCE_VERSION, ProduceResponse)

    (data,) = response.responses[0].partition_responses
    assert data.error_code == ErrorCode.CORRUPT_MESSAGE
    assert (data.error_message is not None) == has_words


async def test_records_that_are_refused_are_named(client: Client) -> None:
    """A compacted topic wants keys, and the answer says which records have none (KIP-467)."""
    await client.create_topic("compacted", 1, {"cleanup.policy": "compact"})
    request = produce_request("compacted", records=build_batch([(b"k", b"v"), (None, b"v")], timestamp=0))
    response = await client.ask(request, PRODUCE_VERSION, ProduceResponse)

    (data,) = response.responses[0].partition_responses
    assert data.error_code == ErrorCode.INVALID_RECORD
    assert data.error_message
    assert [error.batch_index for error in data.record_errors] == [1]


async def test_log_append_time_is_in_the_answer(serving: Serving, client: Client) -> None:
    """A topic that stamps records itself says with which time."""
    await client.create_topic("stamped", 1, {"message.timestamp.type": "LogAppendTime"})

    data = await client.produce("stamped", "a")

    assert data.log_append_time_ms == pytest.approx(serving.broker.services.clock.now_ms(), abs=60_000)


async def test_a_duplicate_of_an_idempotent_producer_has_its_first_offset(client: Client) -> None:
    """What was stored before is not stored again, and the producer does not notice."""
    fields = {"producer_id": 7, "producer_epoch": 0}
    for sequence in (0, 1, 0):
        request = produce_request("t", records=batch("a", base_sequence=sequence, **fields))
        response = await client.ask(request, PRODUCE_VERSION, ProduceResponse)
        (data,) = response.responses[0].partition_responses
        assert (data.error_code, data.base_offset) == (0, sequence)

    out_of_order = produce_request("t", records=batch("a", base_sequence=9, **fields))
    assert await refusal(client, out_of_order) is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


async def test_without_acks_there_is_no_answer(client: Client) -> None:
    """The next answer on the connection is that of the next request; the records are there."""
    await client.send(produce_request("t", "a", acks=0), PRODUCE_VERSION)
    request = ApiVersionsRequest(client_software_name="test", client_software_version="1")
    assert (await client.ask(request, 3, ApiVersionsResponse)).error_code == 0
    assert (await client.produce("t", "b")).base_offset == 1


async def test_an_error_without_acks_closes_the_connection(client: Client) -> None:
    """It is all that a client can notice that did not ask for answers."""
    await client.send(produce_request("nope", "a", acks=0), PRODUCE_VERSION)

    assert await client.is_closed()
