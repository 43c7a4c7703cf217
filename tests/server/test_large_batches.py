"""A batch that takes long to validate is validated by a worker: nobody else waits, and nobody overtakes."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar
from uuid import UUID

import pytest
import trio

from kpy.cluster.image import ResourceType
from kpy.config import Layer, load
from kpy.protocol.compression import Codec
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from kpy.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData
from kpy.protocol.records import Record, build_batch
from kpy.protocol.schema import Response
from kpy.server.broker import Broker
from kpy.server.partitions import Partition
from kpy.storage.batch_validation import QUICK_DECOMPRESSED_BYTES_MAX
from tests.server.client import PRODUCE_VERSION, Client, Serving, produce_request, running
from tests.server.test_flushing import until
from tests.server.test_restart import new_producer_id
from tests.storage.batches import batch, odd_batch

T = TypeVar("T")

BY_ID = 13


def large(**fields: int) -> bytearray:
    """One record, of which nobody knows before that it decompresses to so much."""
    value = bytes(QUICK_DECOMPRESSED_BYTES_MAX)
    return build_batch([Record(b"large", value, timestamp=0)], codec=Codec.GZIP, **fields)


class Workers:
    """Workers that begin when they are told to; what has begun is not given up, as with threads."""

    def __init__(self) -> None:
        self.begun = 0
        self._go = trio.Event()
        self._go.set()

    def hold(self) -> None:
        self._go = trio.Event()

    def release(self) -> None:
        self._go.set()

    async def __call__(self, function: Callable[[], T]) -> T:
        self.begun += 1
        with trio.CancelScope(shield=True):
            await self._go.wait()
        return function()


class Life:
    """A broker with the topic t of two partitions and held workers, and what was answered, in order."""

    def __init__(self, serving: Serving, workers: Workers, nursery: trio.Nursery) -> None:
        self.serving = serving
        self.workers = workers
        self.answers: list[tuple[str, ErrorCode, int]] = []
        self._nursery = nursery
        self._partitions = [self.partition(0), self.partition(1)]

    def partition(self, index: int = 0) -> Partition:
        return self.serving.broker.services.partitions.find("t", index)

    def keys(self, index: int = 0) -> list[bytes | None]:
        """Of all records that are stored, in their order."""
        return [record.key for stored in self.partition(index).log.batches(0) for record in stored]

    async def begin(self, name: str, request: ProduceRequest, client: Client | None = None) -> None:
        """Send it, have its answer noted when it comes, and go on when the broker has answered or waits."""
        taken = self._taken()
        self.ask(name, request, client or await self.serving.connect())
        await until(lambda: self._taken() > taken)

    def _taken(self) -> int:
        return len(self.answers) + sum(partition.taking_turns for partition in self._partitions)

    async def taking_turns(self, count: int) -> None:
        """Wait until so many batches are validated or wait."""
        await until(lambda: self._partitions[0].taking_turns == count)

    def ask(self, name: str, request: ProduceRequest, client: Client) -> None:
        """As `begin`, without waiting."""

        async def ask() -> None:
            response = await client.ask(request, PRODUCE_VERSION, ProduceResponse)
            for topic in response.responses:
                for answer in topic.partition_responses:
                    self.answers.append((name, ErrorCode(answer.error_code), answer.base_offset))

        self._nursery.start_soon(ask)

    def names(self) -> list[str]:
        return [name for name, _, _ in self.answers]

    async def finish(self) -> None:
        """Let the workers go on, and wait until everything that was begun is answered."""
        self.workers.release()
        await until(lambda: not self._nursery.child_tasks)


@pytest.fixture
async def life() -> AsyncIterator[Life]:
    workers = Workers()
    broker = Broker(load([Layer("test", {"listeners": "PLAINTEXT://127.0.0.1:0"})]).config, run_in_worker=workers)
    async with running(broker) as serving:
        client = await serving.connect()
        await client.create_topic("t", 2)
        async with trio.open_nursery() as nursery:
            life = Life(serving, workers, nursery)
            workers.begun = 0
            workers.hold()
            yield life
            workers.release()
            nursery.cancel_scope.cancel()


async def test_others_are_served_meanwhile(life: Life) -> None:
    """The other partition takes batches, and the large one is answered with its offset at last."""
    await life.begin("large", produce_request("t", records=large()))
    await life.begin("other", produce_request("t", "a", partition=1))
    assert life.answers == [("other", ErrorCode.NONE, 0)]
    await until(lambda: life.workers.begun == 1)
    await life.finish()
    assert life.answers[1:] == [("large", ErrorCode.NONE, 0)]


async def test_what_comes_behind_waits_for_its_turn(life: Life) -> None:
    """Batches of one partition are stored in the order in which they came; small ones take no worker for that."""
    await life.begin("first", produce_request("t", records=large()))
    await life.begin("second", produce_request("t", "b"))
    await life.begin("third", produce_request("t", records=large()))
    await life.begin("fourth", produce_request("t", "d"))
    await until(lambda: life.workers.begun == 1)
    assert life.answers == []
    await life.finish()
    assert life.answers == [(name, ErrorCode.NONE, i) for i, name in enumerate(("first", "second", "third", "fourth"))]
    assert life.keys() == [b"large", b"key", b"large", b"key"]
    assert life.workers.begun == 2


async def test_small_batches_take_no_worker(life: Life) -> None:
    """Nor do they once those are through for which they had to wait."""
    for count in range(3):
        await life.begin("small", produce_request("t", "a", "b"))
        assert len(life.answers) == count + 1
    await life.begin("large", produce_request("t", records=large()))
    await life.finish()
    life.workers.hold()
    await life.begin("after", produce_request("t", "c"))
    assert life.names() == ["small", "small", "small", "large", "after"]
    assert life.workers.begun == 1


async def test_the_partitions_of_a_request_keep_its_order(life: Life) -> None:
    """What a request names behind a large batch follows it, even to the same partition."""
    data = [
        PartitionProduceData(index=1, records=batch("before")),
        PartitionProduceData(index=0, records=large()),
        PartitionProduceData(index=0, records=batch("after")),
        PartitionProduceData(index=9, records=batch("nowhere")),
    ]
    topic = TopicProduceData(name="t", partition_data=data)
    await life.begin("all", ProduceRequest(acks=-1, timeout_ms=1000, topic_data=[topic]))
    assert (life.keys(1), life.keys(0), life.answers) == ([b"key"], [], [])
    await life.finish()
    assert life.keys(0) == [b"large", b"key"]
    codes = [(code, offset) for _, code, offset in life.answers]
    assert codes == [
        (ErrorCode.NONE, 0), (ErrorCode.NONE, 0), (ErrorCode.NONE, 1), (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1),
    ]  # fmt: skip


async def test_an_idempotent_producer_is_never_out_of_order(life: Life) -> None:
    """Batches that a producer sends ahead are stored by their sequence numbers, also when it sends them once more."""
    client, again = await life.serving.connect(), await life.serving.connect()
    producer = {"producer_id": await new_producer_id(client), "producer_epoch": 0}
    first = bytes(large(base_sequence=0, **producer))
    second = bytes(batch("b", base_sequence=1, **producer))
    await client.send(produce_request("t", records=first), PRODUCE_VERSION)
    await client.send(produce_request("t", records=second), PRODUCE_VERSION)
    await life.taking_turns(1)
    await life.begin("first", produce_request("t", records=first), again)
    await life.finish()
    offsets = []
    for _ in range(2):
        response = await client.receive(ProduceRequest, PRODUCE_VERSION)
        assert isinstance(response, ProduceResponse)
        (answer,) = response.responses[0].partition_responses
        offsets.append((answer.error_code, answer.base_offset))
    assert offsets == [(0, 0), (0, 1)]
    assert life.answers == [("first", ErrorCode.NONE, 0)]
    assert life.partition().log.end_offset == 2


@pytest.mark.parametrize("version", [PRODUCE_VERSION, BY_ID])
async def test_a_topic_that_is_deleted_meanwhile_takes_nothing(life: Life, version: int) -> None:
    """Nor does one that is created with its name; the producer learns that its topic is not known."""
    admin, client = await life.serving.connect(), await life.serving.connect()
    request = produce_request("t", records=large())
    request.topic_data[0].topic_id = life.partition().log.topic_id
    await client.send(request, version)
    await life.taking_turns(1)
    await life.begin("behind", produce_request("t", "b"))
    topics = [DeleteTopicState(name="t", topic_id=UUID(int=0))]
    await admin.ask(DeleteTopicsRequest(topics=topics, topic_names=[], timeout_ms=0), 6, Response)
    await admin.create_topic("t", 2)
    await life.begin("new", produce_request("t", "n"))
    await life.finish()
    response = await client.receive(ProduceRequest, version)
    assert isinstance(response, ProduceResponse)
    code = ErrorCode(response.responses[0].partition_responses[0].error_code)
    assert code is (ErrorCode.UNKNOWN_TOPIC_ID if version == BY_ID else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert life.answers == [("new", ErrorCode.NONE, 0), ("behind", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1)]
    assert life.keys() == [b"key"]


async def test_what_is_altered_meanwhile_holds_for_the_batch(life: Life) -> None:
    """It is validated once more: it would else have its append time in a topic of create time, or be too large."""
    admin = await life.serving.connect()
    await admin.alter_config(ResourceType.TOPIC, "t", "message.timestamp.type", "LogAppendTime")
    await life.begin("first", produce_request("t", records=large()))
    await until(lambda: life.workers.begun == 1)
    await admin.alter_config(ResourceType.TOPIC, "t", "message.timestamp.type", "CreateTime")
    await life.finish()
    (stored,) = life.partition().log.batches(0)
    assert (stored.header.is_log_append_time, stored.header.max_timestamp) == (False, 0)
    assert life.workers.begun == 2
    life.workers.hold()
    await life.begin("second", produce_request("t", records=large()))
    await until(lambda: life.workers.begun == 3)
    await admin.alter_config(ResourceType.TOPIC, "t", "max.message.bytes", "100")
    await life.finish()
    assert life.answers == [("first", ErrorCode.NONE, 0), ("second", ErrorCode.MESSAGE_TOO_LARGE, -1)]


async def test_a_refused_batch_lets_the_next_go_on(life: Life) -> None:
    """It is answered as one that was validated at once."""
    value = bytes(QUICK_DECOMPRESSED_BYTES_MAX)
    miscounted = odd_batch((value,), codec=Codec.GZIP, record_count=2, last_offset_delta=1)
    await life.begin("miscounted", produce_request("t", records=miscounted))
    await life.begin("behind", produce_request("t", "b"))
    await life.finish()
    assert life.answers == [("miscounted", ErrorCode.INVALID_RECORD, -1), ("behind", ErrorCode.NONE, 0)]


async def test_a_producer_that_has_gone_holds_up_nobody(life: Life) -> None:
    """What the broker has begun it ends, once; the connection is then seen to be closed."""
    gone = await life.serving.connect()
    await gone.send(produce_request("t", records=large()), PRODUCE_VERSION)
    await life.taking_turns(1)
    await gone.stream.aclose()
    await life.begin("behind", produce_request("t", "b"))
    await life.finish()
    assert life.answers == [("behind", ErrorCode.NONE, 1)]
    assert life.keys() == [b"large", b"key"]


async def test_acks_0_is_stored_and_not_answered(life: Life) -> None:
    """What follows on the connection is; a batch that is refused ends it."""
    client = await life.serving.connect()
    await client.send(produce_request("t", records=large(), acks=0), PRODUCE_VERSION)
    life.ask("behind", produce_request("t", "b"), client)
    assert life.answers == []
    await life.finish()
    assert life.answers == [("behind", ErrorCode.NONE, 1)]
    life.workers.hold()
    await client.send(produce_request("t", records=large(), acks=0), PRODUCE_VERSION)
    await life.taking_turns(1)
    admin = await life.serving.connect()
    await admin.alter_config(ResourceType.TOPIC, "t", "max.message.bytes", "100")
    life.workers.release()
    assert await client.is_closed()


async def test_a_stop_does_not_wait_for_those_who_wait(life: Life) -> None:
    """What a worker has begun is stored and answered before the log is closed; what waits behind it is neither."""
    client, behind = await life.serving.connect(), await life.serving.connect()
    log = life.partition().log
    await client.send(produce_request("t", records=large()), PRODUCE_VERSION)
    await life.taking_turns(1)
    await behind.send(produce_request("t", "b"), PRODUCE_VERSION)
    await life.taking_turns(2)
    life.serving.stop()
    assert await behind.is_closed()
    assert log.end_offset == 0
    life.workers.release()
    answer = await client.receive(ProduceRequest, PRODUCE_VERSION)
    assert isinstance(answer, ProduceResponse)
    assert answer.responses[0].partition_responses[0].error_code == 0
    assert await client.is_closed()
    assert log.end_offset == 1
