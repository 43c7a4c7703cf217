"""The files that kpy leaves are Kafka's: Apache Kafka's DumpLogSegments finds in them what was written, and no fault.

One broker is filled, stopped, given transactions, started, and stopped again; then the tool looks at every file of it.
"""

import json
import shutil
import struct
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path

import pytest

from interop_tests.brokers import KpyBroker
from interop_tests.log_scenario import (
    CODECS,
    INTERVAL_BYTES,
    SEGMENT_BYTES,
    Partition,
    Scenario,
    StoredTransactions,
    Written,
    fill,
    write_one,
    write_transactions,
)
from interop_tests.oracle.log_dump import SUFFIXES, DumpedRecord, dump, log_files

pytestmark = pytest.mark.only_on(broker="kpy", why="it is the files of kpy that are looked at")

PRINTED = ("--deep-iteration", "--print-data-log")


class Left:
    """What a broker left after a clean stop, and what the tool says of its users' logs."""

    def __init__(self, data_directory: Path, scenario: Scenario) -> None:
        self.data_directory = data_directory
        self.scenario = scenario
        self.user_files = [file for file in log_files(data_directory) if not file.parent.name.startswith("__")]
        self.dump = dump(self.user_files, *PRINTED)

    def files_of(self, topic: str) -> list[Path]:
        return [file for file in log_files(self.data_directory) if file.parent.name.startswith(f"{topic}-")]

    def directory(self, partition: Partition) -> Path:
        return self.data_directory / "{}-{}".format(*partition)


@pytest.fixture(scope="module")
def left_files(tmp_path_factory: pytest.TempPathFactory) -> Left:
    broker = KpyBroker(scratch=tmp_path_factory.mktemp("left"))
    numbers = count()
    try:
        broker.start()
        scenario = fill(broker, lambda prefix: f"{prefix}-{next(numbers)}")
        broker.stop()
        transactions = StoredTransactions(broker.data_directory, scenario.transactional)
        write_transactions(scenario, transactions)
        transactions.close()
        broker.start()
        for partition in ((scenario.transactional, 0), (scenario.codecs, 0)):
            write_one(scenario, broker, partition)
        broker.stop()
    finally:
        broker.close()
    return Left(broker.data_directory, scenario)


def as_dumped(written: Written) -> DumpedRecord:
    def text(data: bytes | None) -> str | None:
        return None if data is None else data.decode()

    names = tuple(name for name, _ in written.headers)
    return DumpedRecord(written.offset, written.timestamp, text(written.key), text(written.value), names)


def test_no_fault(left_files: Left) -> None:
    """In no file is a batch, an index entry or a line that the tool does not like; every kind of file is there."""
    assert left_files.dump.faults == []
    assert {path.suffix for path in left_files.dump.files} == set(SUFFIXES)


def test_record_for_record(left_files: Left) -> None:
    """Offsets, timestamps, keys, values and names of headers are what was acknowledged, for every codec."""
    for partition, written in left_files.scenario.logs.items():
        records = [r for r in left_files.dump.records(left_files.directory(partition)) if r.marker is None]
        assert records == [as_dumped(one) for one in written]


def test_codecs_and_timestamp_types(left_files: Left) -> None:
    """A batch is stored with the codec it was sent with, and with log append time where the topic asks for it."""
    scenario = left_files.scenario
    for partition, codec in enumerate(CODECS):
        files = left_files.dump.of(left_files.directory((scenario.codecs, partition)), ".log")
        assert {(batch.codec, batch.time_type) for _, file in files for batch in file.batches} == {
            (codec, "CreateTime")
        }
    files = left_files.dump.of(left_files.directory((scenario.appended, 0)), ".log")
    assert {batch.time_type for _, file in files for batch in file.batches} == {"LogAppendTime"}


def test_segments_and_indexes(left_files: Left) -> None:
    """Segments are as large as they may be, and each index has an entry for every interval."""
    directory = left_files.directory((left_files.scenario.codecs, 0))
    logs, indexes, times = (left_files.dump.of(directory, suffix) for suffix in (".log", ".index", ".timeindex"))
    assert len(logs) > 2
    for (path, log), (_, index), (_, time) in zip(logs, indexes, times, strict=True):
        assert path.stat().st_size <= SEGMENT_BYTES
        positions = [0, *(position for _, position in index.entries), path.stat().st_size]
        assert all(right - left <= INTERVAL_BYTES + 2 * 400 for left, right in pairwise(positions))
        assert time.entries[-1][0] == max(record.timestamp for record in log.records)


def test_transactions(left_files: Left) -> None:
    """Markers are control records; the index of transactions has those that were aborted, the snapshot the open one."""
    scenario = left_files.scenario
    directory = left_files.directory((scenario.transactional, 0))
    markers = {r.offset: r.marker for r in left_files.dump.records(directory) if r.marker is not None}
    aborted = [entry for _, file in left_files.dump.of(directory, ".txnindex") for entry in file.entries]
    [*_, (_, snapshot)] = left_files.dump.of(directory, ".snapshot")

    assert set(markers.values()) == {"ABORT", "COMMIT"}
    assert [last for _, _, last, _ in aborted] == [offset for offset, marker in markers.items() if marker == "ABORT"]
    assert {first for _, first, _, _ in aborted} < scenario.aborted
    assert [began for _, _, began, _, _ in snapshot.producers if began != "OptionalLong.empty"] == [
        f"OptionalLong[{scenario.first_undecided}]"
    ]


@pytest.mark.parametrize("option", ["--index-sanity-check", "--verify-index-only"])
def test_indexes_alone(left_files: Left, option: str) -> None:
    """The checks that decide whether Kafka would build an index again pass for every index, internal topics' too."""
    result = dump(log_files(left_files.data_directory), option)

    assert result.faults == []
    if option == "--index-sanity-check":
        assert all(file.passed for path, file in result.files.items() if path.suffix in (".index", ".timeindex"))


def test_committed_offsets(left_files: Left) -> None:
    """With Kafka's decoder of offsets, `__consumer_offsets` has the commits of the group."""
    result = dump(left_files.files_of("__consumer_offsets"), "--offsets-decoder")

    assert result.faults == []
    commits = {}
    for file in result.files.values():
        for record in file.records:
            key, value = json.loads(record.key or ""), json.loads(record.value or "")
            if key["data"].get("group") == left_files.scenario.group and key["type"] == "1":
                commits[key["data"]["topic"], key["data"]["partition"]] = value["data"]["offset"]
    assert commits == left_files.scenario.committed


def test_cluster_metadata(left_files: Left) -> None:
    """With Kafka's decoder of metadata, the controller's log has the topics, and no record that is not known."""
    result = dump(left_files.files_of("__cluster_metadata"), "--cluster-metadata-decoder")

    assert result.faults == []
    records = [json.loads(record.value or "") for file in result.files.values() for record in file.records]
    topics = {record["data"]["name"] for record in records if record["type"] == "TOPIC_RECORD"}
    assert topics > {topic for topic, _ in left_files.scenario.logs}


# --- the tool would have said so


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:-size])


def lie(path: Path) -> None:
    """The second entry points to the batch of the first."""
    data = path.read_bytes()
    path.write_bytes(data[:12] + data[4:8] + data[16:])


def disorder(path: Path) -> None:
    """The timestamps of the first two entries change places."""
    data = path.read_bytes()
    path.write_bytes(data[12:20] + data[8:12] + data[:8] + data[20:])


def lose(path: Path) -> None:
    """The first batch is gone."""
    data = path.read_bytes()
    (length,) = struct.unpack_from(">i", data, 8)
    path.write_bytes(data[length + 12 :])


SANITY = ("--index-sanity-check",)
DAMAGES: dict[str, tuple[str, Callable[[Path], None], tuple[str, ...], str]] = {
    "a flipped bit in the log": (".log", lambda path: flip(path, 100), PRINTED, "isvalid: false"),
    "a torn batch": (".log", lambda path: cut(path, 20), PRINTED, "invalid bytes at the end"),
    "a lost batch": (".log", lose, PRINTED, "offset -1 is followed by 6"),
    "an index that lies": (".index", lie, PRINTED, "Mismatches in"),
    "an index that ends within an entry": (".index", lambda path: cut(path, 3), SANITY, "exit status 1"),
    "a time index out of order": (".timeindex", disorder, PRINTED, "Found out of order timestamp"),
    "a flipped bit in a snapshot": (".snapshot", lambda path: flip(path, 12), PRINTED, "Snapshot is corrupt"),
}


@pytest.mark.parametrize(("suffix", "harm", "options", "said"), DAMAGES.values(), ids=DAMAGES)
def test_a_planted_damage_is_found(
    left_files: Left, tmp_path: Path, suffix: str, harm: Callable[[Path], None], options: tuple[str, ...], said: str
) -> None:
    """Where a file is damaged, the tests above fail."""
    copy = tmp_path / "copy-0"
    shutil.copytree(left_files.directory((left_files.scenario.codecs, 0)), copy)
    harmed = min(path for path in copy.iterdir() if path.suffix == suffix)
    harm(harmed)

    result = dump([harmed], *options)

    assert [fault for fault in result.faults if said in fault] != []


def test_an_unknown_file_is_found(left_files: Left) -> None:
    """A file that the tool passes over was not looked at."""
    directory = left_files.directory((left_files.scenario.codecs, 0))
    result = dump([directory / "partition.metadata"])

    assert [problem for problem in result.problems if "Ignoring unknown file" in problem] != []
