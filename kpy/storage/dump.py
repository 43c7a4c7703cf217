"""What the files of a partition hold, item by item, each checked; for `kpy dump-log`.

A `.log` file is a run of batches, verified as a broker verifies them, with every range between them that holds none.
The entries of the indexes are compared with the batches. Nothing is changed and nothing is trusted.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from kpy.protocol.crc import Buffer
from kpy.protocol.records import HEADER_BYTES, BatchHeader
from kpy.storage import checkpoints
from kpy.storage.leader_epochs import FILE_NAME as LEADER_EPOCHS
from kpy.storage.log_config import INT64_MAX
from kpy.storage.offset_index import ENTRY_BYTES as OFFSET_ENTRY_BYTES
from kpy.storage.producer_states import SNAPSHOT_SUFFIX, ProducerStates, SnapshotCorrupt
from kpy.storage.quarantine import Damage
from kpy.storage.segment_files import (
    LOG_SUFFIX,
    OFFSET_INDEX_SUFFIX,
    TIME_INDEX_SUFFIX,
    TRANSACTION_INDEX_SUFFIX,
    file_name,
)
from kpy.storage.time_index import ENTRY_BYTES as TIME_ENTRY_BYTES
from kpy.storage.verification import Verifier

PARTITION_METADATA: Final = "partition.metadata"

_OFFSET_ENTRY: Final = struct.Struct(">ii")
_TIME_ENTRY: Final = struct.Struct(">qi")
_ABORTED: Final = struct.Struct(">hqqqq")
"""Version (0), producer id, first and last offset of an aborted transaction, and the last stable offset then."""


class NotAFileOfALog(Exception):
    """The name is none that a file of a partition has."""


class ReadableFile(Protocol):
    """As much of a file as is needed here."""

    @property
    def size(self) -> int: ...

    def read_at(self, position: int, size: int) -> Buffer: ...


class ReadableDirectory(Protocol):
    """As much of a directory as is needed here."""

    def list(self) -> list[str]: ...

    def open(self, name: str) -> ReadableFile: ...


@dataclass(frozen=True, slots=True)
class Line:
    """One item of a file: a batch, an entry, or a problem, which a sound file has none of."""

    file: str
    shown: dict[str, Any]
    problem: str | None = None
    header: BatchHeader | None = None
    """Of a batch, which `read` has the bytes of."""
    read: Callable[[], Buffer] = field(default=bytes)


class Dump:
    """The files of one partition.

    Offsets before `sparse_before` may be missing, for the log was compacted. All before `flushed_before` was flushed.
    """

    def __init__(self, directory: ReadableDirectory, *, sparse_before: int = 0, flushed_before: int = 0) -> None:
        self._directory = directory
        self._sparse_before = sparse_before
        self._flushed_before = flushed_before
        self._names = set(directory.list())
        self._bases = sorted(_number(name, LOG_SUFFIX) for name in self._names if _is_numbered(name, LOG_SUFFIX))

    def partition(self) -> Iterator[Line]:
        """All files, segment by segment. Raises NotAFileOfALog if there is no segment."""
        if not self._bases:
            raise NotAFileOfALog("there is no .log file in it: it is not the directory of a partition")
        suffixes = (LOG_SUFFIX, OFFSET_INDEX_SUFFIX, TIME_INDEX_SUFFIX, TRANSACTION_INDEX_SUFFIX)
        of_segments = [file_name(base, suffix) for base in self._bases for suffix in suffixes]
        snapshots = sorted(name for name in self._names if _is_numbered(name, SNAPSHOT_SUFFIX))
        for name in (*of_segments, *snapshots, LEADER_EPOCHS, PARTITION_METADATA):
            if name in self._names:
                yield from self.file(name)

    def file(self, name: str) -> Iterator[Line]:
        """One file. Raises NotAFileOfALog, and FileNotFoundError."""
        for suffix, dump in (
            (LOG_SUFFIX, self._log),
            (OFFSET_INDEX_SUFFIX, self._offset_index),
            (TIME_INDEX_SUFFIX, self._time_index),
            (TRANSACTION_INDEX_SUFFIX, self._transaction_index),
            (SNAPSHOT_SUFFIX, self._snapshot),
        ):
            if _is_numbered(name, suffix):
                return dump(name)
        if name == LEADER_EPOCHS:
            return self._leader_epochs(name)
        if name == PARTITION_METADATA:
            return self._metadata(name)
        raise NotAFileOfALog("it is not called as the files of a partition are")

    # --- the log

    def _log(self, name: str) -> Iterator[Line]:
        base = _number(name, LOG_SUFFIX)
        file = self._directory.open(name)
        limit = self._end_of(base)
        verifier = Verifier(
            file.read_at,
            file.size,
            limit=limit,
            hints=self._hints(base),
            follows=None if limit == INT64_MAX else limit,
            may_skip_offsets=base < self._sparse_before,
        )
        next_offset = base
        for found in verifier.walk(0, base):
            if isinstance(found, Damage):
                next_offset = found.next_offset
                if next_offset == INT64_MAX:
                    next_offset = max(found.first_offset, self._flushed_before)
                yield _damage(name, found._replace(next_offset=next_offset))
                continue
            position, header = found
            shown = {"position": position, "size_bytes": header.size_bytes}
            yield Line(name, shown, header=header, read=_reader(file, position, header.size_bytes))
            next_offset = header.next_offset
        if next_offset < limit < INT64_MAX and base >= self._sparse_before:
            reason = f"the file ends before offset {limit}, where the next begins"
            yield _damage(name, Damage(file.size, file.size, next_offset, limit, reason))
        elif limit == INT64_MAX and next_offset < self._flushed_before:
            reason = f"the file ends before offset {self._flushed_before}, up to which all was flushed"
            yield _damage(name, Damage(file.size, file.size, next_offset, self._flushed_before, reason))

    def _end_of(self, base: int) -> int:
        behind = bisect_left(self._bases, base + 1)
        return self._bases[behind] if behind < len(self._bases) else INT64_MAX

    def _hints(self, base: int) -> "array[int]":
        hints = array("I")
        name = file_name(base, OFFSET_INDEX_SUFFIX)
        if name in self._names:
            data = self._whole(name)
            hints.extend(
                position
                for _, position in _OFFSET_ENTRY.iter_unpack(_trimmed(data, OFFSET_ENTRY_BYTES))
                if position > 0
            )
        return hints

    # --- the indexes

    def _offset_index(self, name: str) -> Iterator[Line]:
        base = _number(name, OFFSET_INDEX_SUFFIX)
        log = self._log_of(base)
        last = (-1, -1)
        for relative_offset, position in self._entries(name, _OFFSET_ENTRY):
            problem = None
            if relative_offset <= last[0] or position <= last[1]:
                problem = "the entry is not larger than the one before"
            elif log is not None and _last_offset_at(log, position) != base + relative_offset:
                problem = "no batch begins there that ends with that offset"
            yield Line(name, {"offset": base + relative_offset, "position": position}, problem)
            last = (relative_offset, position)
        yield from self._rest(name, OFFSET_ENTRY_BYTES)

    def _time_index(self, name: str) -> Iterator[Line]:
        """An entry is the largest timestamp up to the batch with that offset, which is the first that has it."""
        base = _number(name, TIME_INDEX_SUFFIX)
        log = self._log_of(base)
        offsets, maxima = self._maxima(base, log)
        last = (-1, -1)
        for timestamp, relative_offset in self._entries(name, _TIME_ENTRY):
            problem = None
            index = bisect_left(offsets, base + relative_offset)
            if timestamp <= last[0] or relative_offset < last[1]:
                problem = "the entry is not larger than the one before"
            elif log is not None and (index == len(offsets) or maxima[index] != timestamp):
                problem = "that is not the largest timestamp up to that offset"
            yield Line(name, {"timestamp": timestamp, "offset": base + relative_offset}, problem)
            last = max(last, (timestamp, relative_offset))
        if log is not None and maxima and max(maxima) > last[0] and base != self._bases[-1]:
            yield Line(name, {}, f"it ends before the largest timestamp, which is {maxima[-1]}")
        yield from self._rest(name, TIME_ENTRY_BYTES)

    def _maxima(self, base: int, log: ReadableFile | None) -> "tuple[array[int], array[int]]":
        """The last offset of each sound batch, and the largest timestamp up to it."""
        offsets, maxima = array("q"), array("q")
        largest = -1
        if log is not None:
            for found in Verifier(log.read_at, log.size, limit=self._end_of(base), hints=self._hints(base)).walk(
                0, base
            ):
                if not isinstance(found, Damage):
                    largest = max(largest, found.header.max_timestamp)
                    offsets.append(found.header.last_offset)
                    maxima.append(largest)
        return offsets, maxima

    def _transaction_index(self, name: str) -> Iterator[Line]:
        last_offset = -1
        for version, producer_id, first, last, stable in self._entries(name, _ABORTED):
            problem = None
            if version != 0:
                problem = f"the entry has the unknown version {version}"
            elif not 0 <= first <= last or last <= last_offset:
                problem = "the entry does not follow the one before"
            shown = {"producer_id": producer_id, "first_offset": first, "last_offset": last}
            yield Line(name, {**shown, "last_stable_offset": stable}, problem)
            last_offset = last
        yield from self._rest(name, _ABORTED.size)

    def _entries(self, name: str, entry: struct.Struct) -> Iterator[tuple[int, ...]]:
        data = self._whole(name)
        return entry.iter_unpack(_trimmed(data[: _used(data, entry.size)], entry.size))

    def _rest(self, name: str, entry_bytes: int) -> Iterator[Line]:
        data = self._whole(name)
        size, used = len(data), _used(data, entry_bytes)
        if used < size:
            yield Line(name, {"position": used, "end_position": size, "note": "zeros, kept free for more entries"})
        elif size % entry_bytes:
            yield Line(name, {"position": size - size % entry_bytes}, f"{size} bytes are no multiple of {entry_bytes}")

    def _log_of(self, base: int) -> ReadableFile | None:
        name = file_name(base, LOG_SUFFIX)
        return self._directory.open(name) if name in self._names else None

    # --- the others

    def _snapshot(self, name: str) -> Iterator[Line]:
        try:
            states = ProducerStates.decode(self._whole(name), _number(name, SNAPSHOT_SUFFIX))
        except SnapshotCorrupt as reason:
            yield Line(name, {}, str(reason))
            return
        for producer_id, state in states.producers.items():
            last = state.batches[-1] if state.batches else None
            yield Line(
                name,
                {
                    "producer_id": producer_id,
                    "producer_epoch": state.epoch,
                    "first_sequence": last and last.first_sequence,
                    "last_sequence": last and last.last_sequence,
                    "last_offset": last and last.last_offset,
                    "last_timestamp": state.last_timestamp,
                    "coordinator_epoch": state.coordinator_epoch,
                    "transaction_first_offset": state.transaction_first_offset,
                },
            )

    def _leader_epochs(self, name: str) -> Iterator[Line]:
        last = (-1, -1)
        try:
            rows = [(int(epoch), int(start)) for epoch, start in checkpoints.decode(self._whole(name), columns=2)]
        except (checkpoints.CheckpointCorrupt, ValueError) as reason:
            yield Line(name, {}, str(reason))
            return
        for row in rows:
            problem = None if row[0] > last[0] and row[1] > last[1] else "the entry is not larger than the one before"
            yield Line(name, {"leader_epoch": row[0], "start_offset": row[1]}, problem)
            last = row

    def _metadata(self, name: str) -> Iterator[Line]:
        properties = checkpoints.decode_properties(self._whole(name), ":")
        yield Line(name, dict(properties), None if "topic_id" in properties else "it has no topic_id")

    def _whole(self, name: str) -> bytes:
        file = self._directory.open(name)
        return bytes(file.read_at(0, file.size))


def _damage(name: str, damage: Damage) -> Line:
    shown = {
        "position": damage.position,
        "end_position": damage.end_position,
        "first_offset": damage.first_offset,
        "next_offset": damage.next_offset,
    }
    return Line(name, shown, damage.reason)


def _reader(file: ReadableFile, position: int, size: int) -> Callable[[], Buffer]:
    return lambda: file.read_at(position, size)


def _last_offset_at(log: ReadableFile, position: int) -> int | None:
    head = log.read_at(position, HEADER_BYTES) if position >= 0 else b""
    return BatchHeader.unpack(head).last_offset if len(head) == HEADER_BYTES else None


def _trimmed(data: bytes, entry_bytes: int) -> bytes:
    return data[: len(data) - len(data) % entry_bytes]


def _used(data: bytes, entry_bytes: int) -> int:
    """The size without the room for more entries that Apache Kafka keeps in the index of an active segment."""
    used = len(data.rstrip(b"\0"))
    used += -used % entry_bytes
    return used if len(data) - used >= entry_bytes else len(data)


def _is_numbered(name: str, suffix: str) -> bool:
    return name.endswith(suffix) and name[: -len(suffix)].isdecimal()


def _number(name: str, suffix: str) -> int:
    return int(name[: -len(suffix)])
