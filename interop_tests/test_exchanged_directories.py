"""Partition directories change brokers: Apache Kafka serves what kpy has written, and kpy what Apache Kafka has.

See `partition_exchange` for who gets what; each test compares one part of what was seen.
"""

import re

import pytest

from interop_tests.log_scenario import LAST_SEQUENCE, Partition, Scenario, Written
from interop_tests.oracle.log_dump import dump, log_files
from interop_tests.partition_exchange import OTHER_CONSUMERS, PARTITION_METADATA, SAME, Exchange, Seen, make_exchange

pytestmark = pytest.mark.only_on(broker="kpy", why="both kpy and Apache Kafka are started for it")

OUT_OF_ORDER_SEQUENCE_NUMBER = 45
WARNS_AT_EACH_START = ("QuorumController", "NetworkClient")
"""Classes of Apache Kafka, none of the storage, that warn when a single node starts on directories of its own."""
AFTER = ["kafka with kpy's", "kpy-after-stop", "kpy-after-kill"]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Exchange:
    return make_exchange(tmp_path_factory.mktemp("exchange"))


@pytest.fixture(params=AFTER)
def after(request: pytest.FixtureRequest) -> str:
    """A broker that got the other's directories."""
    name: str = request.param
    return name


def written(exchange: Exchange, broker: str) -> Scenario:
    """What was written to the directories that it has."""
    return exchange.by_kpy if broker in ("kpy", "kafka with kpy's") else exchange.by_kafka


def seen_before(exchange: Exchange, after: str) -> Seen:
    """What was seen of these directories where they were written."""
    return exchange.seen["kpy" if after == "kafka with kpy's" else "kafka"]


def appended_later(exchange: Exchange, after: str, partition: Partition) -> list[Written]:
    """What Kafka appended between its clean stop and its end."""
    return exchange.more if (after, partition) == ("kpy-after-kill", (exchange.by_kafka.codecs, 0)) else []


@pytest.mark.parametrize("broker", ["kpy", "kafka"])
def test_what_was_written(exchange: Exchange, broker: str) -> None:
    """Before the exchange each broker serves what was written to it, and to readers of committed records only those."""
    scenario, seen = written(exchange, broker), exchange.seen[broker]
    for partition in scenario.logs:
        assert seen.records[partition] == scenario.readable_records(partition)
        if partition[0] != scenario.compacted:
            assert seen.committed[partition] == scenario.committed_records(partition)
    assert len(seen.committed[scenario.transactional, 0]) < len(seen.records[scenario.transactional, 0])


def test_records(exchange: Exchange, after: str) -> None:
    """The other broker serves the same records at the same offsets."""
    expected = {
        partition: records + appended_later(exchange, after, partition)
        for partition, records in seen_before(exchange, after).records.items()
    }
    assert exchange.seen[after].records == expected


def test_committed_records(exchange: Exchange, after: str) -> None:
    """Readers of committed records see nothing of aborted transactions, and nothing from where one is open."""
    expected = {
        partition: records + appended_later(exchange, after, partition)
        for partition, records in seen_before(exchange, after).committed.items()
    }
    assert exchange.seen[after].committed == expected


def test_aborted_transactions(exchange: Exchange, after: str) -> None:
    """A fetch of committed records is told of the same aborted transactions, wherever it begins and ends."""
    assert exchange.seen[after].aborted == seen_before(exchange, after).aborted
    assert any(aborted for _, aborted in exchange.seen[after].aborted.values())


def test_bounds(exchange: Exchange, after: str) -> None:
    """A log begins and ends where it did, records that were deleted stay deleted."""
    expected = {
        partition: (start, end + len(appended_later(exchange, after, partition)))
        for partition, (start, end) in seen_before(exchange, after).bounds.items()
    }
    assert exchange.seen[after].bounds == expected
    assert expected[written(exchange, after).codecs, 1][0] > 0


def test_timestamps(exchange: Exchange, after: str) -> None:
    """The same offsets are found for timestamps, before the first, between and after the last."""
    found, expected = exchange.seen[after].by_time, seen_before(exchange, after).by_time
    changed = {question: answer for question, answer in found.items() if answer != expected[question]}
    for partition, stamp in [(part, stamp) for part, stamp in changed if appended_later(exchange, after, part)]:
        assert expected[partition, stamp] is None
        del changed[partition, stamp]
    assert changed == {}


def test_producers(exchange: Exchange, after: str) -> None:
    """An idempotent producer goes on: its last batch is a duplicate, a gap is refused, the next batch is stored."""
    assert exchange.sequences[after] == [
        (0, LAST_SEQUENCE),
        (OUT_OF_ORDER_SEQUENCE_NUMBER, -1),
        (0, LAST_SEQUENCE + 1),
    ]


@pytest.mark.parametrize("consumer", OTHER_CONSUMERS)
@pytest.mark.parametrize("broker", ["kpy-after-stop", "kpy-after-kill"])
def test_other_consumers(exchange: Exchange, consumer: str, broker: str) -> None:
    """kafka-python and the Java client, too, get the committed records of Kafka's log from kpy."""
    records = exchange.by_kafka.committed_records((exchange.by_kafka.transactional, 0))
    assert exchange.others[f"{consumer} of {broker}"] == [(record.offset, record.value) for record in records]


def test_kafka_recovers_nothing(exchange: Exchange) -> None:
    """Kafka loads kpy's directories as it does its own after a clean stop: nothing to warn of, recover or rebuild."""
    lines = exchange.said["kafka"].splitlines()
    loud = [line for line in lines if not re.match(r"\S+ INFO ", line)]
    assert [line for line in loud if not any(f" WARN {name}: " in line for name in WARNS_AT_EACH_START)] == []
    assert [line for line in lines if "since clean shutdown file was found" in line and "Skipping recovery" in line]

    def shapes(topics: dict[str, int]) -> set[str]:
        """What is said of these topics' logs as they are loaded, without names and numbers."""
        names = [f"{topic}-{index}" for topic, count in topics.items() for index in range(count)]
        said = [line for line in lines if any(re.search(rf"{name}[,\]/]", line) for name in names)]
        return {re.sub(r"topic(?:Id)?=[^,]+|[-\w/.=]*[\d/][-\w/.]*", "#", line.split(" INFO ", 1)[1]) for line in said}

    # What kpy's second clean stop has outdated. Kafka's own logs have been stopped only once by then.
    outdated = {"SnapshotFile: Deleted producer state snapshot #"}
    assert shapes(exchange.by_kpy.topics) - outdated <= shapes(exchange.by_kafka.topics)
    assert len(shapes(exchange.by_kpy.topics)) >= 4


@pytest.mark.parametrize("broker", ["kpy-after-stop", "kpy-after-kill"])
def test_kpy_warns_of_nothing(exchange: Exchange, broker: str) -> None:
    """kpy finds nothing wrong with Kafka's directories, after a clean stop or a kill."""
    assert [line for line in exchange.said[broker].splitlines() if re.search(r" (WARNING|ERROR|CRITICAL) ", line)] == []


def test_the_same_batches_leave_the_same_bytes(exchange: Exchange) -> None:
    """Given the same batches, kpy and Kafka leave the same files, byte for byte, but for the topic's id."""
    left = [
        {path.name: path.read_bytes() for path in (exchange.data(broker) / f"{SAME}-0").iterdir()}
        for broker in ("kpy", "kafka-stopped")
    ]
    for files in left:
        files[PARTITION_METADATA] = re.sub(rb"topic_id: \S+", b"topic_id: it", files[PARTITION_METADATA])

    assert left[0].keys() == left[1].keys()
    assert [name for name in left[0] if left[0][name] != left[1][name]] == []
    assert sum(name.endswith(".log") for name in left[0]) > 3


@pytest.mark.parametrize("broker", ["kpy", "kafka-stopped", "kpy-after-stop", "kpy-after-kill"])
def test_nothing_wrong_is_left(exchange: Exchange, broker: str) -> None:
    """DumpLogSegments finds no fault in kpy's files, in Kafka's, nor in those of Kafka that kpy took over."""
    scenario = written(exchange, broker)
    files = [f for f in log_files(exchange.data(broker)) if f.parent.name.rpartition("-")[0] in scenario.topics]
    compacted = [file for file in files if file.parent.name == f"{scenario.compacted}-0"]

    assert dump(set(files) - set(compacted), "--deep-iteration", "--print-data-log").faults == []
    assert dump(compacted, "--deep-iteration", "--print-data-log").problems == []
