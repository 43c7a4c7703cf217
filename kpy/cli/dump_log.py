"""`kpy dump-log`: the files of a partition in, a JSON object for every batch and entry out; damage is found and said.

The files are only read. The exit status is 1 if anything is wrong with one.
"""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from kpy.cli import fail
from kpy.cli.json_lines import json_line
from kpy.inspect.record_batches import render_header, render_hex, render_record
from kpy.protocol.compression import DecompressionError
from kpy.protocol.crc import Buffer
from kpy.protocol.records import InvalidRecord, RecordBatch
from kpy.storage import checkpoints
from kpy.storage.dump import Dump, Line, NotAFileOfALog


def dump_log(options: Namespace) -> int:
    """Explain files and directories; returns the exit status."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    status = 0
    try:
        for path in options.paths:
            status = max(status, _dump(Path(path), options))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain when it flushes at the end.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def _dump(path: Path, options: Namespace) -> int:
    status = 0
    try:
        for line in _lines(path):
            if line.problem is not None:
                status = 1
            elif options.damage:
                continue
            print(json_line(_shown(line, path if path.is_dir() else path.parent, with_records=options.records)))
    except BrokenPipeError:
        raise
    except OSError as error:
        sys.stdout.flush()
        return fail(f"{path}: {error.strerror}")
    except NotAFileOfALog as error:
        sys.stdout.flush()
        return fail(f"{path}: {error}")
    return status


def _lines(path: Path) -> Iterator[Line]:
    directory = path if path.is_dir() else path.parent
    dump = Dump(
        _Directory(directory),
        sparse_before=_checkpointed(directory, checkpoints.CLEANER_OFFSET),
        flushed_before=_checkpointed(directory, checkpoints.RECOVERY_POINT),
    )
    if path.is_dir():
        yield from dump.partition()
    else:
        with path.open("rb"):  # a name that leads nowhere is said to, whatever it looks like
            yield from dump.file(path.name)


def _checkpointed(directory: Path, name: str) -> int:
    """What a checkpoint of the data directory says of the partition, if the directory is in one; otherwise 0."""
    topic, _, number = directory.resolve().name.rpartition("-")
    try:
        file = _File(directory.resolve().parent / name)
        offsets = checkpoints.decode_offsets(bytes(file.read_at(0, file.size)))
    except (OSError, checkpoints.CheckpointCorrupt):
        return 0
    return offsets.get((topic, int(number) if number.isdecimal() else -1), 0)


def _shown(line: Line, directory: Path, *, with_records: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"file": str(directory / line.file), **line.shown}
    if line.problem is not None:
        shown["problem"] = line.problem
    if line.header is not None:
        shown |= render_header(line.header)
        shown |= {"base_timestamp": line.header.base_timestamp, "max_timestamp": line.header.max_timestamp}
        shown |= {"record_count": line.header.record_count, "crc": "ok"}
        if with_records:
            shown |= _records(line)
    return shown


def _records(line: Line) -> dict[str, Any]:
    """The records of a sound batch; what its producer made wrong is no damage."""
    batch = RecordBatch(line.read())
    records: list[dict[str, Any]] = []
    try:
        records.extend(render_record(record, is_control=batch.header.is_control) for record in batch)
    except (InvalidRecord, DecompressionError) as error:
        return {"records": records, "undecoded": str(error), "bytes": render_hex(batch.buffer)}
    return {"records": records}


class _File:
    """A file that is opened for each read, and never made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.size = path.stat().st_size

    def read_at(self, position: int, size: int) -> Buffer:
        with self._path.open("rb") as stream:
            stream.seek(position)
            return stream.read(size)


class _Directory:
    """A directory of such files."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list(self) -> list[str]:
        return os.listdir(self._path)

    def open(self, name: str) -> _File:
        return _File(self._path / name)
