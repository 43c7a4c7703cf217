"""Which bytes of a `.log` file are sound batches, and where the next one begins behind bytes that are not.

A batch is sound if its header is one of format 2, its offsets lie behind those before it and below those of the next
segment, the file holds all of it, and its checksum is that of its bytes. The base offset is not under the checksum: a
batch that leaves offsets out, as in a log that was compacted, is sound unless its offsets overlap those of the next.

Behind damage the next sound batch is looked for where the damaged one's own length leads, and then at every byte, as
far as the next entry of the offset index that tells the truth, or else to the end. So every sound batch is found, and
the bytes between are read once or twice. Two things bound the promise: what a record holds as its value is taken for a
batch if it is one whose offsets would fit in the gap, and candidates with a wrong checksum are tried until they add up
to `SEARCH_CHECKSUM_BYTES_MAX` only; then the search goes on behind the next entry of the index.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from kpy.protocol.crc import Buffer, crc32c
from kpy.protocol.records import CRC_START, HEADER, HEADER_BYTES, LENGTH_END, MAGIC, BatchHeader
from kpy.storage.derived import Derived
from kpy.storage.log_config import INT64_MAX
from kpy.storage.quarantine import Damage

SEARCH_CHECKSUM_BYTES_MAX: Final = 256 * 1024 * 1024

_WINDOW_BYTES: Final = 1024 * 1024
_MAGIC_POSITION: Final = 16
_MAGIC: Final = bytes([MAGIC])

ReadAt: TypeAlias = Callable[[int, int], Buffer]
"""Of a position and a size: those bytes of a file, fewer if it ends before."""


class BatchPlace(NamedTuple):
    """A batch and where it begins."""

    position: int
    header: BatchHeader

    @property
    def end_position(self) -> int:
        return self.position + self.header.size_bytes


class Verifier:
    """Reads a file's first `size` bytes; more may be appended meanwhile. It may run in any thread that `read_at` may.

    `limit` is an offset that no batch reaches, `follows` the one that comes behind the last batch, if that is known;
    `hints` are positions where batches may begin, in order.
    """

    __slots__ = (
        "_checksum_bytes",
        "_follows",
        "_hints",
        "_limit",
        "_may_skip_offsets",
        "_read_at",
        "_window",
        "_window_start",
        "size",
    )

    def __init__(
        self,
        read_at: ReadAt,
        size: int,
        *,
        limit: int = INT64_MAX,
        hints: Sequence[int] = (),
        follows: int | None = None,
        may_skip_offsets: bool = True,
    ) -> None:
        self._read_at = read_at
        self._limit = limit
        self._hints = hints
        self._follows = follows
        self._may_skip_offsets = may_skip_offsets
        self._window = memoryview(b"")
        self._window_start = 0
        self._checksum_bytes = 0
        self.size = size

    def walk(
        self, position: int, next_offset: int, *, end: int | None = None, keep_before: int = INT64_MAX
    ) -> Iterator[BatchPlace | Damage]:
        """Every sound batch that begins before `end`, and what is between them, without a gap.

        Nothing is looked for behind damage at the offset `keep_before` or later: it is the last thing that comes then.
        """
        end = self.size if end is None else min(end, self.size)
        while position < end:
            header, fault = self.judge(position, next_offset)
            if header is not None and not fault:
                place = BatchPlace(position, header)
                yield place
                position, next_offset = place.end_position, header.next_offset
                continue
            if next_offset >= keep_before:
                yield Damage(position, self.size, next_offset, next_offset, fault)
                return
            found = self._next_sound(position, header, next_offset)
            behind, behind_offset = (self.size, self._limit) if found is None else (found[0], found[1].base_offset)
            yield Damage(position, behind, next_offset, behind_offset, fault)
            position, next_offset = behind, behind_offset

    def judge(self, position: int, next_offset: int) -> tuple[BatchHeader | None, str]:
        """The header there, None if there is nothing like one, and what is wrong with the batch, "" if nothing is."""
        if position + HEADER_BYTES > self.size:
            return None, "the file ends inside of a batch's header"
        header = BatchHeader._make(HEADER.unpack_from(self._bytes(position, HEADER_BYTES)))
        size = header.length + LENGTH_END
        if size < HEADER_BYTES or header.magic != MAGIC:
            return None, "no batch begins there"
        if position + size > self.size:
            return header, f"the file ends inside of a batch of {size} bytes"
        if not next_offset <= header.base_offset <= header.last_offset < self._limit:
            offsets = f"the batch has the offsets {header.base_offset} to {header.last_offset}"
            return header, f"{offsets} where {next_offset} is next"
        if self._checksum(position, size) != header.crc:
            return header, "the batch's checksum is not that of its bytes"
        if header.base_offset > next_offset and self._is_overtaken(position + size, next_offset, header):
            return header, f"the batch has the offset {header.base_offset}, and the next has one before or the same"
        return header, ""

    def base_offset_at(self, position: int) -> int:
        """What the header there says, damaged or not."""
        return BatchHeader._make(HEADER.unpack_from(self._bytes(position, HEADER_BYTES))).base_offset

    def _is_overtaken(self, position: int, next_offset: int, header: BatchHeader) -> bool:
        """Whether a batch only seems to leave offsets out: then the next one has some that it claims or skips."""
        if position + HEADER_BYTES > self.size:
            return False
        behind = BatchHeader._make(HEADER.unpack_from(self._bytes(position, HEADER_BYTES)))
        return behind.magic == MAGIC and next_offset <= behind.base_offset <= header.last_offset

    def _next_sound(
        self, position: int, header: BatchHeader | None, next_offset: int
    ) -> tuple[int, BatchHeader] | None:
        """The first sound batch behind a position where none begins."""
        if header is not None:
            behind = position + header.size_bytes
            if behind == self.size and header.base_offset == next_offset:
                return None
            if behind < self.size:
                found = self._sound_at(behind, next_offset)
                if found is not None:
                    return behind, found
        anchor = next(self._anchors(position, next_offset), None)
        return self._search(position + 1, self.size if anchor is None else anchor[0], next_offset) or anchor

    def _sound_at(self, position: int, next_offset: int) -> BatchHeader | None:
        """The header of a batch that is sound although damage is before it.

        No checksum covers its offset, which could be any from `next_offset` on. Where no offset may be missing, and
        what comes behind does not follow it, it is damaged, too.
        """
        header, fault = self.judge(position, next_offset)
        if header is None or fault:
            return None
        behind = position + header.size_bytes
        if self._may_skip_offsets:
            return header
        if behind < self.size:
            following, fault = self.judge(behind, header.next_offset)
            is_followed = following is None or bool(fault) or following.base_offset == header.next_offset
        else:
            is_followed = self._follows in (None, header.next_offset)
        return header if is_followed else None

    def _anchors(self, position: int, next_offset: int) -> Iterator[tuple[int, BatchHeader]]:
        """The hints behind a position that tell the truth."""
        for hint in self._hints:
            if hint > position:
                header = self._sound_at(hint, next_offset)
                if header is not None:
                    yield hint, header

    def _search(self, start: int, end: int, next_offset: int) -> tuple[int, BatchHeader] | None:
        """The first sound batch that begins in that range."""
        self._checksum_bytes = 0
        for position in range(start, end, _WINDOW_BYTES):
            stop = min(position + _WINDOW_BYTES, end)
            data = bytes(self._read_at(position, stop - position + HEADER_BYTES))
            for candidate in _candidates(data, stop - position):
                if self._checksum_bytes > SEARCH_CHECKSUM_BYTES_MAX:
                    return None
                base_offset = int.from_bytes(data[candidate : candidate + 8], "big", signed=True)
                if not next_offset <= base_offset < self._limit:
                    continue
                header = self._sound_at(position + candidate, next_offset)
                if header is not None:
                    return position + candidate, header
        return None

    def _checksum(self, position: int, size: int) -> int:
        """That of the batch there, read in pieces if it is large: a length may be nonsense."""
        self._checksum_bytes += size
        if size <= _WINDOW_BYTES:
            return crc32c(self._bytes(position, size)[CRC_START:])
        value = 0
        for start in range(position + CRC_START, position + size, _WINDOW_BYTES):
            value = crc32c(self._read_at(start, min(_WINDOW_BYTES, position + size - start)), value)
        return value

    def _bytes(self, position: int, size: int) -> memoryview:
        at = position - self._window_start
        if at < 0 or at + size > len(self._window):
            self._window = memoryview(self._read_at(position, max(size, _WINDOW_BYTES)))
            self._window_start = position
            at = 0
        return self._window[at : at + size]


class Findings(NamedTuple):
    """What became of the bytes from `start` to `end`; `derived` is of the whole segment, if that was looked at."""

    start: int
    end: int
    is_end_known: bool
    damages: Sequence[Damage]
    derived: Derived | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Bytes of a segment's file that have to be verified, and all that is needed for it, in whatever thread."""

    read_at: ReadAt
    size: int
    """That of the file."""
    start: int
    """Where a batch begins."""
    end: int
    base_offset: int
    next_segment_offset: int
    """Where the next segment begins, or the end of the log."""
    may_skip_offsets: bool
    """Whether offsets may be missing at the end, as they are where a log was compacted."""
    hints: Sequence[int]
    interval_bytes: int
    """How far apart index entries are."""
    is_whole: bool = False
    """Whether the indexes have to be derived again as well."""

    def resolve(self) -> Findings:
        verifier = Verifier(
            self.read_at,
            self.size,
            limit=self.next_segment_offset,
            hints=self.hints,
            follows=self.next_segment_offset,
            may_skip_offsets=self.may_skip_offsets,
        )
        derived = Derived(self.base_offset, self.interval_bytes) if self.is_whole else None
        damages: list[Damage] = []
        position = self.start
        next_offset = max(verifier.base_offset_at(position), self.base_offset) if position else self.base_offset
        for found in verifier.walk(position, next_offset, end=self.end):
            if isinstance(found, Damage):
                damages.append(found)
                position, next_offset = found.end_position, found.next_offset
                continue
            if derived is not None:
                derived.learn_header(*found)
            position, next_offset = found.end_position, found.header.next_offset
        is_end = position >= self.size
        if is_end and next_offset < self.next_segment_offset and not self.may_skip_offsets:
            reason = f"the file ends before offset {self.next_segment_offset}, where the next begins"
            damages.append(Damage(position, position, next_offset, self.next_segment_offset, reason))
        return Findings(self.start, position, is_end, damages, derived)


def _candidates(data: bytes, end: int) -> Iterator[int]:
    """Where, before `end`, a header could begin: the magic byte is in its place."""
    found = data.find(_MAGIC, _MAGIC_POSITION)
    while 0 <= found < end + _MAGIC_POSITION and found + HEADER_BYTES - _MAGIC_POSITION <= len(data):
        yield found - _MAGIC_POSITION
        found = data.find(_MAGIC, found + 1)
