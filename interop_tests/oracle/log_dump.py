"""Apache Kafka's `DumpLogSegments` run over the files of a log, and what it says of them.

The tool exits with 0 whatever it finds, so that its output is the result. Every line has to be one that is known: what
is not, and whatever the tool complains of, is a problem. Beside that the batches of a file have to follow one another.
"""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from interop_tests.oracle.libraries import java, libraries
from interop_tests.oracle.node import LOGGING, QUICK_START

SUFFIXES: Final = (".log", ".index", ".timeindex", ".txnindex", ".snapshot")
TIMEOUT_S: Final = 120
ENCODING: Final = ("-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8")

_NUMBER: Final = r"-?\d+"
_BATCH: Final = re.compile(
    rf"baseOffset: (?P<base_offset>{_NUMBER}) lastOffset: (?P<last_offset>{_NUMBER}) count: {_NUMBER}"
    rf" baseSequence: {_NUMBER} lastSequence: {_NUMBER} producerId: {_NUMBER}"
    rf" producerEpoch: {_NUMBER} partitionLeaderEpoch: {_NUMBER}"
    rf" isTransactional: (?:true|false) isControl: (?:true|false)"
    rf" deleteHorizonMs: OptionalLong\S+ position: (?P<position>{_NUMBER})"
    rf" (?P<time_type>CreateTime|LogAppendTime): {_NUMBER} size: (?P<size>\d+) magic: 2"
    rf" compresscodec: (?P<codec>\w+) crc: \d+ isvalid: (?P<valid>true|false)"
)
_RECORD: Final = re.compile(
    rf"\| offset: (?P<offset>{_NUMBER}) (?:CreateTime|LogAppendTime): (?P<timestamp>{_NUMBER})"
    rf" keySize: (?P<key_size>{_NUMBER}) valueSize: (?P<value_size>{_NUMBER}) sequence: {_NUMBER}"
    rf" headerKeys: \[(?P<headers>[^\]]*)\](?P<content>.*)"
)
_CONTROL: Final = re.compile(
    rf" endTxnMarker: (?P<marker>COMMIT|ABORT) coordinatorEpoch: {_NUMBER}| (?:LeaderChange:|KRaftV\w+) \{{.*\}}"
)
_POSITION_ENTRY: Final = re.compile(r"offset: (\d+) position: (\d+)")
_TIME_ENTRY: Final = re.compile(r"timestamp: (\d+) offset: (\d+)")
_ABORTED: Final = re.compile(
    r"version: 0 producerId: (\d+) firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: (\d+)"
)
_PRODUCER: Final = re.compile(
    rf"producerId: (\d+) producerEpoch: (\d+) coordinatorEpoch: {_NUMBER} currentTxnFirstOffset: (\S+)"
    rf" lastTimestamp: {_NUMBER}"
    rf"(?: firstSequence: {_NUMBER} lastSequence: ({_NUMBER}) lastOffset: ({_NUMBER}) offsetDelta: \d+"
    rf" timestamp: {_NUMBER})?"
)
_DECODED: Final = re.compile(r"(?: key: (?P<key>\{.*\}))? payload: (?P<value>\{.*\}|<DELETE>)")
_NON_CONSECUTIVE: Final = re.compile(rf"  ({_NUMBER}) is followed by ({_NUMBER})")


class DumpedRecord(NamedTuple):
    """A record as the tool prints it: text or, with a decoder, JSON; and of headers the keys."""

    offset: int
    timestamp: int
    key: str | None
    value: str | None
    header_keys: tuple[str, ...]
    marker: str | None = None


class DumpedBatch(NamedTuple):
    base_offset: int
    last_offset: int
    position: int
    size: int
    codec: str
    time_type: str


@dataclass
class DumpedFile:
    """What one file holds."""

    batches: list[DumpedBatch] = field(default_factory=list)
    records: list[DumpedRecord] = field(default_factory=list)
    entries: list[tuple[int, ...]] = field(default_factory=list)
    """Of an index: offset and position, timestamp and offset, or producer id and three offsets."""
    producers: list[tuple[str, ...]] = field(default_factory=list)
    """Producer id and epoch, where its transaction began, last sequence, last offset."""
    passed: bool = False
    """The tool says that the index is sane, or empty."""


@dataclass
class Dump:
    files: dict[Path, DumpedFile] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Offsets that do not follow one another within a file; a compacted log has them."""

    @property
    def faults(self) -> list[str]:
        """All that a log has not that nobody compacted."""
        return self.problems + [f"offset {before} is followed by {after}" for before, after in self.gaps]

    def of(self, directory: Path, suffix: str) -> list[tuple[Path, DumpedFile]]:
        """The files of one partition with that suffix, in order."""
        return sorted((p, f) for p, f in self.files.items() if p.parent == directory and p.suffix == suffix)

    def records(self, directory: Path) -> list[DumpedRecord]:
        return [record for _, file in self.of(directory, ".log") for record in file.records]


def log_files(data_directory: Path) -> list[Path]:
    """Every file of every partition that the tool is for."""
    return sorted(path for path in data_directory.glob("*-*/*") if path.suffix in SUFFIXES)


def dump(files: Iterable[Path], *options: str) -> Dump:
    """Run the tool once over these files, and read its output.

    Records are read where they are printed: with `--print-data-log`, of text without line breaks, or with a decoder.
    """
    names = [str(file.absolute()) for file in files]
    assert names, "there is nothing to dump"
    command = [java(), "-Xmx256m", *QUICK_START, *ENCODING, LOGGING, "-cp", f"{libraries()}/*"]
    command += ["org.apache.kafka.tools.DumpLogSegments", "--files", ",".join(names), *options]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=TIMEOUT_S, check=False)
    result = Dump()
    if run.returncode != 0:
        result.problems.append(f"exit status {run.returncode}")
    _read_output(run.stdout, result)
    _read_complaints(run.stderr, result)
    result.problems += [f"{name}: not dumped" for name in names if Path(name) not in result.files]
    return result


def _read_output(output: str, result: Dump) -> None:
    path, file = Path(), DumpedFile()
    for line in filter(None, output.split("\n")):
        if line.startswith("Dumping "):
            path, file = Path(line.removeprefix("Dumping ")), DumpedFile()
            result.files[path] = file
        elif not _read_line(line, path, file):
            result.problems.append(f"{path}: {line}")
    for path, file in result.files.items():
        result.problems += [f"{path}: {problem}" for problem in _breaks(path, file)]


def _read_line(line: str, path: Path, file: DumpedFile) -> bool:
    """Take in one line of that file; False if it is not one that a sound file has."""
    if path.suffix == ".log":
        return _read_log_line(line, path, file)
    if line in (f"{path} passed sanity check.", f"{path} is empty."):
        file.passed = True
        return True
    if path.suffix == ".snapshot":
        producer = _PRODUCER.fullmatch(line)
        if producer:
            file.producers.append(tuple(text or "" for text in producer.groups()))
        return producer is not None
    pattern = {".index": _POSITION_ENTRY, ".timeindex": _TIME_ENTRY, ".txnindex": _ABORTED}.get(path.suffix)
    entry = pattern.fullmatch(line) if pattern else None
    if entry:
        file.entries.append(tuple(map(int, entry.groups())))
    return entry is not None


def _read_log_line(line: str, path: Path, file: DumpedFile) -> bool:
    if line == f"Log starting offset: {int(path.stem)}":
        return True
    if batch := _BATCH.fullmatch(line):
        file.batches.append(
            DumpedBatch(
                base_offset=int(batch["base_offset"]),
                last_offset=int(batch["last_offset"]),
                position=int(batch["position"]),
                size=int(batch["size"]),
                codec=batch["codec"],
                time_type=batch["time_type"],
            )
        )
        return batch["valid"] == "true"
    record = _RECORD.fullmatch(line)
    if record is None:
        return False
    headers = tuple(record["headers"].split(",")) if record["headers"] else ()
    place = int(record["offset"]), int(record["timestamp"])
    if control := _CONTROL.fullmatch(record["content"]):
        file.records.append(DumpedRecord(*place, None, None, headers, control["marker"] or "KRAFT"))
        return True
    sizes = int(record["key_size"]), int(record["value_size"])
    content = _content(record["content"], *sizes)
    if content is None:
        return False
    file.records.append(DumpedRecord(*place, *content, headers))
    return True


def _content(text: str, key_size: int, value_size: int) -> tuple[str | None, str | None] | None:
    """Key and value, found by their sizes or decoded; None if the text is neither."""
    if decoded := _DECODED.fullmatch(text):
        return decoded["key"], decoded["value"]
    data = text.encode()
    parts: list[str | None] = []
    for name, size in ((b" key: ", key_size), (b" payload: ", value_size)):
        if size < 0:
            parts.append(None)
            continue
        if not data.startswith(name):
            return None
        parts.append(data[len(name) : len(name) + size].decode(errors="replace"))
        data = data[len(name) + size :]
    return None if data else (parts[0], parts[1])


def _breaks(path: Path, file: DumpedFile) -> list[str]:
    """Where the batches of a file do not follow one another, or its records are not those that it counts."""
    problems = []
    position, offset = 0, int(path.stem) if path.suffix == ".log" else 0
    for batch in file.batches:
        if batch.position != position:
            problems.append(f"a batch at {batch.position}, the one before ends at {position}")
        if batch.base_offset < offset or batch.last_offset < batch.base_offset:
            problems.append(f"a batch from {batch.base_offset} to {batch.last_offset}, where {offset} is next")
        position, offset = batch.position + batch.size, batch.last_offset + 1
    return problems


def _read_complaints(errors: str, result: Dump) -> None:
    """What the tool says at the end. It takes each first offset for a gap, if that is not 0."""
    path = Path()
    for line in errors.splitlines():
        if line.startswith("Non-consecutive offsets in "):
            path = Path(line.removeprefix("Non-consecutive offsets in "))
        elif pair := _NON_CONSECUTIVE.fullmatch(line):
            before, after = int(pair[1]), int(pair[2])
            if before != -1 or after != int(path.stem):
                result.gaps.append((before, after))
        else:
            result.problems.append(line)
