"""`kpy dump-log` as a command: what it shows of each file, what it finds wrong, and how it refuses."""

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpy.cli import main
from kpy.protocol.compression import Codec
from kpy.protocol.records import ControlType, EndTransactionMarker, build_control_batch
from kpy.storage.disk_files import DiskFiles
from kpy.storage.log_config import LogConfig
from kpy.storage.log_directory import LogDirectory
from kpy.storage.partition_log import AppendOrigin
from tests.storage.batches import NOW_MS, batch, odd_batch
from tests.storage.test_quarantine import COUNT, DAMAGES, TOPIC_ID, filled

Captured = pytest.CaptureFixture[str]

INDEX, TIMES = "00000000000000000010.index", "00000000000000000010.timeindex"
LOG, SNAPSHOT = "00000000000000000010.log", "00000000000000000010.snapshot"


@pytest.fixture
def data(tmp_path: Path) -> DiskFiles:
    """On the disk, what a broker left that stopped in order: 35 batches of one record in four segments."""
    made = filled()
    files = DiskFiles(tmp_path)
    for name in made.list():
        content = made.read(name)
        if content is not None:
            files.replace(name, content)
            continue
        files.make_directory(name)
        for inner in made.list(name):
            files.replace(f"{name}/{inner}", made.read(f"{name}/{inner}") or b"")
    return files


def run(capsys: Captured, *arguments: object) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, what was printed, and what was said on stderr."""
    status = main(["dump-log", *map(str, arguments)])
    output = capsys.readouterr()
    return status, [json.loads(line) for line in output.out.splitlines()], output.err


def dump(capsys: Captured, data: DiskFiles, name: str = "", *options: str) -> list[dict[str, Any]]:
    """What is shown of a sound file, or of all."""
    status, shown, errors = run(capsys, Path(data.location, "topic-0", name), *options)
    assert (status, errors) == (0, "")
    return shown


def test_a_partition(data: DiskFiles, capsys: Captured) -> None:
    """All its files, segment by segment, and nothing is wrong with one."""
    shown = dump(capsys, data)
    files = [Path(line["file"]).name for line in shown]
    assert list(dict.fromkeys(files)) == [
        *(f"{base:020}{suffix}" for base in (0, 10, 20, 30) for suffix in (".log", ".index", ".timeindex")),
        *(f"{base:020}.snapshot" for base in (10, 20, 30, 35)),
        "leader-epoch-checkpoint",
        "partition.metadata",
    ]
    assert [line["base_offset"] for line in shown if "base_offset" in line] == list(range(COUNT))
    assert shown[-1]["topic_id"] == "AAAAAAAAAAAAAAAAAAAATQ"
    assert shown[-2] == {"file": f"{data.location}/topic-0/leader-epoch-checkpoint"} | {
        "leader_epoch": 3, "start_offset": 30,
    }  # fmt: skip


def test_a_batch(data: DiskFiles, capsys: Captured) -> None:
    """Where it is, what its header says, and with --records what is in it."""
    line = dump(capsys, data, LOG, "--records")[3]
    records = line.pop("records")
    assert line == {
        "file": f"{data.location}/topic-0/{LOG}",
        "position": 300,
        "size_bytes": 100,
        "base_offset": 13,
        "last_offset": 13,
        "leader_epoch": 1,
        "codec": "none",
        "producer_id": 5,
        "producer_epoch": 0,
        "base_sequence": 13,
        "base_timestamp": NOW_MS + 13,
        "max_timestamp": NOW_MS + 13,
        "record_count": 1,
        "crc": "ok",
    }
    assert [(record["offset"], record["timestamp"], record["key"]) for record in records] == [(13, NOW_MS + 13, None)]
    assert "records" not in dump(capsys, data, LOG)[3]


def test_records_of_every_kind(tmp_path: Path, capsys: Captured) -> None:
    """Compressed ones, markers of transactions, and what is no record although the checksum is right."""
    directory = LogDirectory.open(DiskFiles(tmp_path))
    log = directory.create("topic", 0, TOPIC_ID, LogConfig())
    log.append(batch("größe", codec=Codec.GZIP), leader_epoch=0, now_ms=NOW_MS)
    marker = EndTransactionMarker(ControlType.ABORT, 7).record()
    control = build_control_batch(marker, timestamp=NOW_MS, transactional=True, producer_id=5, producer_epoch=0)
    log.append(control, leader_epoch=0, now_ms=NOW_MS, origin=AppendOrigin.COORDINATOR)
    directory.close()
    path = tmp_path / "topic-0" / "00000000000000000000.log"
    with path.open("ab") as stream:
        stream.write(odd_batch(payload=b"no record", base_offset=2))
    status, shown, _ = run(capsys, path, "--records")
    assert status == 0
    assert [line["codec"] for line in shown] == ["gzip", "none", "none"]
    assert shown[0]["records"][0]["value"] == "größe"
    assert (shown[1]["control"], shown[1]["records"][0]["control_type"]) == (True, "ABORT")
    assert "undecoded" in shown[2]


def test_entries(data: DiskFiles, capsys: Captured) -> None:
    """Entries of indexes and snapshots are shown with whole offsets."""
    assert [(line["offset"], line["position"]) for line in dump(capsys, data, INDEX)] == [
        (13, 300), (16, 600), (19, 900),
    ]  # fmt: skip
    assert [(line["timestamp"], line["offset"]) for line in dump(capsys, data, TIMES)] == [
        (NOW_MS + number, number) for number in (13, 16, 19)
    ]
    [producer] = dump(capsys, data, SNAPSHOT)
    assert (producer["producer_id"], producer["last_sequence"], producer["last_offset"]) == (5, 9, 9)


def test_aborted_transactions(data: DiskFiles, capsys: Captured) -> None:
    """Each is shown; what does not follow the one before is a problem."""
    name = f"topic-0/{LOG.replace('.log', '.txnindex')}"
    entries = [struct.pack(">hqqqq", 0, 5, first, last, first) for first, last in ((10, 12), (13, 15))]
    data.replace(name, b"".join(entries))
    assert dump(capsys, data, Path(name).name)[1] == {
        "file": f"{data.location}/{name}",
        "producer_id": 5,
        "first_offset": 13,
        "last_offset": 15,
        "last_stable_offset": 13,
    }
    data.replace(name, b"".join(reversed(entries)))
    status, shown, _ = run(capsys, Path(data.location, name), "--damage")
    assert (status, len(shown)) == (1, 1)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(data: DiskFiles, damage: str, capsys: Captured) -> None:
    """Every offset that a broker does not serve is in a range that is listed, and no other is."""
    DAMAGES[damage][0](data)
    status, shown, errors = run(capsys, Path(data.location, "topic-0"), "--damage")
    ranges = [line for line in shown if "first_offset" in line]
    missing = {offset for line in ranges for offset in range(line["first_offset"], line["next_offset"])}
    assert missing == set(range(COUNT)) - set(DAMAGES[damage][1])
    assert (status, errors) == (1 if missing else 0, "")
    assert all({"position", "end_position", "problem"} <= line.keys() for line in ranges)


def test_a_compacted_log(data: DiskFiles, capsys: Captured) -> None:
    """Where the cleaner was, as its checkpoint says, offsets may be missing at the end of a segment."""
    data.remove(f"topic-0/{LOG}")
    assert run(capsys, Path(data.location, "topic-0"), "--damage")[0] == 1
    data.replace("cleaner-offset-checkpoint", b"0\n1\ntopic 0 30\n")
    assert dump(capsys, data, "", "--damage") == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (INDEX, struct.pack(">ii", 3, 400), "no batch begins there that ends with that offset"),
        (INDEX, struct.pack(">iiii", 3, 300, 3, 300), "the entry is not larger than the one before"),
        (INDEX, struct.pack(">ii", 3, -300), "the entry is not larger than the one before"),
        (INDEX, struct.pack(">ii", 3, 300) + b"xyz", "11 bytes are no multiple of 8"),
        (TIMES, struct.pack(">qi", NOW_MS + 19, 8), "that is not the largest timestamp up to that offset"),
        (TIMES, struct.pack(">qiqi", NOW_MS + 19, 9, NOW_MS + 18, 9), "the entry is not larger than the one before"),
        (TIMES, struct.pack(">qi", NOW_MS + 13, 3), f"it ends before the largest timestamp, which is {NOW_MS + 19}"),
        (SNAPSHOT, b"", "it is too short"),
        ("leader-epoch-checkpoint", b"0\n2\n1 5\n", "version 0, 2 entries announced, 1 found"),
        ("leader-epoch-checkpoint", b"0\n2\n1 5\n1 6\n", "the entry is not larger than the one before"),
        ("partition.metadata", b"version: 0\n", "it has no topic_id"),
    ],
)
def test_what_is_wrong_with_other_files(
    data: DiskFiles, name: str, content: bytes, problem: str, capsys: Captured
) -> None:
    """It is named, and the exit status is 1."""
    data.replace(f"topic-0/{name}", content)
    status, shown, errors = run(capsys, Path(data.location, "topic-0"), "--damage")
    assert (status, errors) == (1, "")
    assert [(Path(line["file"]).name, line["problem"]) for line in shown] == [(name, problem)]


def test_an_index_with_room_for_more(data: DiskFiles, capsys: Captured) -> None:
    """What Apache Kafka keeps free in the index of an active segment is no problem."""
    data.replace(f"topic-0/{INDEX}", (data.read(f"topic-0/{INDEX}") or b"") + bytes(8000))
    assert dump(capsys, data, INDEX)[-1]["note"] == "zeros, kept free for more entries"


def test_nothing_is_changed(data: DiskFiles, capsys: Captured) -> None:
    """Not even where much would have to be mended."""
    for damage, _ in DAMAGES.values():
        damage(data)
    data.replace("topic-0/x.tmp", b"left")
    before = {name: data.read(f"topic-0/{name}") for name in data.list("topic-0")}
    run(capsys, Path(data.location, "topic-0"))
    assert {name: data.read(f"topic-0/{name}") for name in data.list("topic-0")} == before


def test_bad_input(data: DiskFiles, tmp_path: Path, capsys: Captured) -> None:
    """One line that names it and what is wrong, and exit status 1; the others are shown all the same."""
    missing = tmp_path / "topic-0" / "00000000000000000099.log"
    other = tmp_path / "recovery-point-offset-checkpoint"
    status, shown, errors = run(capsys, tmp_path, missing, tmp_path / "meta", other, tmp_path / "topic-0" / LOG)
    assert (status, len(shown)) == (1, 10)
    assert errors.splitlines() == [
        f"kpy: error: {tmp_path}: there is no .log file in it: it is not the directory of a partition",
        f"kpy: error: {missing}: No such file or directory",
        f"kpy: error: {tmp_path / 'meta'}: No such file or directory",
        f"kpy: error: {other}: it is not called as the files of a partition are",
    ]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([".log", ".index", ".timeindex", ".txnindex", ".snapshot"]),
    start=st.integers(0, 300),
    content=st.binary(max_size=200),
)
def test_random_bytes(data: DiskFiles, suffix: str, start: int, content: bytes, capsys: Captured) -> None:
    """Whatever is in a file, the answer is JSON lines."""
    name = f"topic-0/{LOG.replace('.log', suffix)}"
    data.replace(name, (filled().read(f"topic-0/{LOG}") or b"")[:start] + content)
    status, shown, errors = run(capsys, Path(data.location, name), "--records")
    assert (status, errors) == (int(any("problem" in line for line in shown)), "")


def test_whoever_reads_has_seen_enough(data: DiskFiles) -> None:
    """A pipe that is closed early is no error."""
    for number in range(300):
        shutil.copy(Path(data.location, "topic-0", LOG), Path(data.location, "topic-0", f"{number * 10 + 40:020}.log"))
    program = f"{sys.executable} -m kpy dump-log {data.location}/topic-0 | head -n 1"
    result = subprocess.run(program, shell=True, capture_output=True, timeout=20, check=False)
    assert result.stderr == b""
    assert json.loads(result.stdout)["base_offset"] == 0


def test_it_starts_without_the_broker() -> None:
    """Neither trio nor the configuration is imported to read a file."""
    program = (
        "import sys, kpy.cli.dump_log\nprint({'trio', 'kpy.config', 'kpy.server', 'construct'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert result.stdout == "set()\n"
