"""What Fetch answers to who asks for the wrong topic, in the wrong epoch, or knows another history of a partition, and
what its answers have where there is nothing to say; what Produce answers to message formats of earlier years, and to
batches that cannot be, in the company of sound ones."""

import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from kafka.record.legacy_records import LegacyRecordBatchBuilder

from interop_tests.brokers import Broker
from interop_tests.kafka_python_clients import Clients, produce
from interop_tests.wire import Dialogue, append, batch
from kpy.protocol.errors import ErrorCode
from kpy.protocol.messages.fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData
from kpy.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse
from kpy.protocol.messages.produce import PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData

VERSION = 17
BY_NAME = 12
RECORDS = 5
PRODUCE_VERSION = 9
SOUND = batch([b"value"])
MAGIC_AT = 16


@dataclass(frozen=True, slots=True)
class Reader:
    """A connection, and a topic of one partition with some records, all of its first leader epoch."""

    dialogue: Dialogue
    topic: str
    topic_id: UUID
    epoch: int

    def answer(self, topic: FetchTopic, version: int = VERSION, **changes: Any) -> FetchResponse:
        request = FetchRequest(max_wait_ms=0, min_bytes=0, max_bytes=1 << 20, topics=[topic], **changes)
        return self.dialogue.ask(request, FetchResponse, version)

    def fetch(self, version: int = VERSION, *, topic_id: UUID | None = None, **asked: Any) -> PartitionData:
        """What one partition is answered; `asked` is what is not as usual."""
        partition = FetchPartition(**{"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 20, **asked})
        topic = FetchTopic(
            topic=self.topic, topic_id=self.topic_id if topic_id is None else topic_id, partitions=[partition]
        )
        [found] = self.answer(topic, version).responses
        [data] = found.partitions
        return data


@pytest.fixture
def reader(broker: Broker, clients: Clients) -> Iterator[Reader]:
    topic = clients.topic()
    produce(clients, topic, [b"%d" % number for number in range(RECORDS)])
    with closing(Dialogue(broker)) as dialogue:
        request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)])
        [found] = dialogue.ask(request, MetadataResponse, 12).topics
        yield Reader(dialogue, topic, found.topic_id, found.partitions[0].leader_epoch)


@pytest.mark.parametrize("version", range(4, 18))
def test_nothing_to_say(reader: Reader, version: int) -> None:
    """No other replica is nearer, no history went another way, nobody else leads, and no client has to slow down."""
    partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    topic = FetchTopic(topic=reader.topic, topic_id=reader.topic_id, partitions=[partition])
    response = reader.answer(topic, version, rack_id="elsewhere" if version >= 11 else "")
    [data] = response.responses[0].partitions

    assert (response.error_code, response.throttle_time_ms) == (ErrorCode.NONE, 0)
    assert (data.error_code, data.high_watermark) == (ErrorCode.NONE, RECORDS)
    assert data.preferred_read_replica == -1
    assert (data.diverging_epoch.epoch, data.diverging_epoch.end_offset) == (-1, -1)
    assert (data.current_leader.leader_id, data.current_leader.leader_epoch) == (-1, -1)


def test_unknown_topic_ids(reader: Reader) -> None:
    """UNKNOWN_TOPIC_ID (KIP-516); by name, a topic that is not there is UNKNOWN_TOPIC_OR_PARTITION."""
    partition = FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)
    [unknown] = reader.answer(FetchTopic(topic="nowhere", partitions=[partition]), BY_NAME).responses

    for topic_id in (uuid4(), UUID(int=0)):
        assert reader.fetch(topic_id=topic_id).error_code == ErrorCode.UNKNOWN_TOPIC_ID
    assert unknown.partitions[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_leader_epochs(reader: Reader) -> None:
    """Who knows a later leader than the broker does is told so (KIP-320); who says none, or the present one, reads."""
    assert reader.fetch(current_leader_epoch=reader.epoch + 1).error_code == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert reader.fetch(current_leader_epoch=reader.epoch).error_code == ErrorCode.NONE
    assert reader.fetch(current_leader_epoch=-1).error_code == ErrorCode.NONE


def test_another_history(reader: Reader) -> None:
    """Who has read more in an epoch than there is of it is told where it ends (KIP-595), and gets no records.

    Of an epoch that has not been yet, no offset is known.
    """
    beyond = reader.fetch(fetch_offset=RECORDS + 2, last_fetched_epoch=reader.epoch)
    same = reader.fetch(fetch_offset=1, last_fetched_epoch=reader.epoch)

    assert beyond.error_code == same.error_code == ErrorCode.NONE
    assert (beyond.diverging_epoch.epoch, beyond.diverging_epoch.end_offset) == (reader.epoch, RECORDS)
    assert not beyond.records
    assert (same.diverging_epoch.epoch, same.diverging_epoch.end_offset) == (-1, -1)
    assert same.records
    later = reader.fetch(last_fetched_epoch=reader.epoch + 1)
    assert later.error_code == ErrorCode.OFFSET_OUT_OF_RANGE


def test_offsets_out_of_range(reader: Reader) -> None:
    """Before the start of the log and behind its end there is nothing to read."""
    assert reader.fetch(fetch_offset=RECORDS).error_code == ErrorCode.NONE
    assert reader.fetch(fetch_offset=RECORDS + 1).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    assert reader.fetch(fetch_offset=-1).error_code == ErrorCode.OFFSET_OUT_OF_RANGE


@pytest.mark.parametrize("codec", [0, 1], ids=["plain", "gzip"])
@pytest.mark.parametrize("magic", [0, 1])
def test_older_formats(broker: Broker, clients: Clients, magic: int, codec: int) -> None:
    """Message sets of formats 0 and 1 are INVALID_RECORD, as for all brokers from 4.0 on (KIP-724)."""
    builder = LegacyRecordBatchBuilder(magic, compression_type=codec, batch_size=1 << 20)
    for offset in range(2):
        builder.append(offset, timestamp=1_700_000_000_000, key=None, value=b"value")

    assert append(broker, clients.topic(), bytes(builder.build())) == (ErrorCode.INVALID_RECORD, -1)


def of_length(length: int) -> bytes:
    """A sound batch but for the length that it claims."""
    return SOUND[:8] + struct.pack(">i", length) + SOUND[12:]


def of_format(magic: int) -> bytes:
    return SOUND[:MAGIC_AT] + struct.pack(">b", magic) + SOUND[MAGIC_AT + 1 :]


LENGTH = len(SOUND) - 12


def check_answers_in_company(broker: Broker, clients: Clients, records: bytes, expected: ErrorCode) -> None:
    """Those records, between sound ones in a request for two topics, have their error; all others are stored."""
    topic, other = clients.topic(partitions=3), clients.topic(partitions=2)
    places = [(topic, 0), (topic, 1), (topic, 2), (other, 0)]
    for name, index in places:
        assert append(broker, name, SOUND, partition=index) == (ErrorCode.NONE, 0)
    company = {(topic, 0): SOUND, (topic, 1): records, (topic, 2): SOUND, (other, 0): SOUND, (other, 9): SOUND}
    topics = [
        TopicProduceData(
            name=asked,
            partition_data=[
                PartitionProduceData(index=index, records=data)
                for (name, index), data in company.items()
                if name == asked
            ],
        )
        for asked in (topic, other)
    ]
    with closing(Dialogue(broker)) as dialogue:
        request = ProduceRequest(acks=-1, timeout_ms=20_000, topic_data=topics)
        response = dialogue.ask(request, ProduceResponse, PRODUCE_VERSION)
        answers = {
            (found.name, data.index): (data.error_code, data.base_offset)
            for found in response.responses
            for data in found.partition_responses
        }
        ends = []
        for name, index in places:
            partition = FetchPartition(partition=index, fetch_offset=0, partition_max_bytes=1 << 20)
            fetch = FetchRequest(max_wait_ms=0, min_bytes=0, topics=[FetchTopic(topic=name, partitions=[partition])])
            ends.append(dialogue.ask(fetch, FetchResponse, BY_NAME).responses[0].partitions[0].high_watermark)

    stored = (ErrorCode.NONE, 1)
    assert answers == {
        (topic, 0): stored,
        (topic, 1): (expected, -1),
        (topic, 2): stored,
        (other, 0): stored,
        (other, 9): (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, -1),
    }
    assert ends == [2, 1, 2, 2]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (of_length(14), ErrorCode.CORRUPT_MESSAGE),
        (of_length(LENGTH - 1), ErrorCode.CORRUPT_MESSAGE),
        (of_length(LENGTH + 1), ErrorCode.INVALID_RECORD),
        (SOUND[:11], ErrorCode.INVALID_RECORD),
        (SOUND[: MAGIC_AT + 1], ErrorCode.INVALID_RECORD),
        (SOUND + of_length(-1), ErrorCode.CORRUPT_MESSAGE),
    ],
    ids=["less than a header", "too short", "too long", "no length", "no header", "second of -1"],
)
def test_wrong_lengths(broker: Broker, clients: Clients, records: bytes, expected: ErrorCode) -> None:
    """A batch that claims more or less than there is, in the right place of a request, harms none of the others."""
    check_answers_in_company(broker, clients, records, expected)


@pytest.mark.cannot_pass(
    broker="kafka",
    why="it looks for transactions in all batches first, and stumbles: none is stored, and all have one error",
)
@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (of_length(-(2**31)), ErrorCode.CORRUPT_MESSAGE),
        (of_length(-1), ErrorCode.CORRUPT_MESSAGE),
        (of_length(0), ErrorCode.CORRUPT_MESSAGE),
        (of_length(13), ErrorCode.CORRUPT_MESSAGE),
        (of_length(2**31 - 1), ErrorCode.INVALID_RECORD),
        (of_format(3), ErrorCode.CORRUPT_MESSAGE),
        (of_format(-1), ErrorCode.CORRUPT_MESSAGE),
    ],
    ids=["least", "-1", "0", "13", "most", "format 3", "format -1"],
)
def test_impossible_batches(broker: Broker, clients: Clients, records: bytes, expected: ErrorCode) -> None:
    """A length or a format that no batch ever has harms none of the others either."""
    check_answers_in_company(broker, clients, records, expected)
