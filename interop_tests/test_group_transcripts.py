"""What Apache Kafka answered in long conversations about groups, word for word: kpy must answer the same.

The recorded answers are texts in `transcripts/recorded`, made by `--broker kafka --record`; without `--record` Apache
Kafka is held to them too, so that they cannot grow stale.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from kafka.protocol.admin import IncrementalAlterConfigsRequest

from interop_tests.brokers import Broker
from interop_tests.kafka_python_clients import Clients
from interop_tests.transcripts.consumer_talk import ConsumerTalk
from interop_tests.transcripts.conversation import Conversation
from interop_tests.transcripts.random_talk import random_talk
from interop_tests.transcripts.told import TOLD, Told
from interop_tests.wire import Wire, await_coordinator

RECORDED = Path(__file__).parent / "transcripts" / "recorded"
SEEDS = range(12)
CONSUMER_SEEDS = range(8)
GROUP = 32
Have = Callable[[str, Told], None]


@pytest.fixture
def conversation(
    request: pytest.FixtureRequest, broker: Broker, clients: Clients, unique: Callable[[str], str]
) -> Have:
    """Has a conversation, and compares it with its record or makes the record."""
    recording = request.config.getoption("--record")

    def have(name: str, tell: Told) -> None:
        record = RECORDED / f"{name}.txt"
        topics = {name: clients.topic(partitions=3, name=name) for name in ("topic", "other")}
        group = unique("group")
        await_coordinator(broker, group)
        with Conversation(broker, group, topics, None if recording else record.read_text()) as talk:
            tell(talk)
            if recording:
                record.write_text(talk.text)
            assert talk.text == record.read_text()
            assert not talk.surplus()

    return have


@pytest.mark.parametrize("name", TOLD)
def test_told(conversation: Have, name: str) -> None:
    """Each of them tells of one thing: rebalances, static members, offsets, what is refused."""
    conversation(name, TOLD[name])


@pytest.mark.parametrize("seed", SEEDS)
def test_random(conversation: Have, seed: int) -> None:
    """Whatever a few clients say in whatever order, the answers are the same."""
    conversation(f"random-{seed:02}", lambda talk: random_talk(talk, seed))


@pytest.mark.parametrize("seed", CONSUMER_SEEDS)
def test_random_with_the_consumer_protocol(
    request: pytest.FixtureRequest, broker: Broker, clients: Clients, unique: Callable[[str], str], seed: int
) -> None:
    """The same in groups of the consumer protocol, with epochs, targets and assignments, and with classic members."""
    record = RECORDED / f"consumer-{seed:02}.txt"
    topics = {"t": clients.topic(partitions=3, name="t"), "u": clients.topic(partitions=2, name="u")}
    group = unique("group")
    with Wire(broker) as wire:
        settings = [("consumer.assignment.interval.ms", 0, "0")]
        wire.ask(IncrementalAlterConfigsRequest(resources=[(GROUP, group, settings)], validate_only=False), 1)
    with closing(ConsumerTalk(broker, group, topics, seed)) as talk:
        talk.run()
    if request.config.getoption("--record"):
        record.write_text(talk.text)

    assert talk.text == record.read_text()
