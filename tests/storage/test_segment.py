import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpy.storage.files import Files
from kpy.storage.log_config import LogConfig
from kpy.storage.memory_files import MemoryFiles
from kpy.storage.offset_index import IndexCorrupt
from kpy.storage.segment import Segment
from kpy.storage.segment_files import file_name
from tests.storage.batches import NOW_MS, batch, sized_batch

BASE = 100
LOG, INDEX, TIMES = (f"t-0/{file_name(BASE, suffix)}" for suffix in (".log", ".index", ".timeindex"))


def new_segment(files: Files, interval: int = 200) -> Segment:
    files.make_directory("t-0")
    return Segment.create(files, "t-0", BASE, interval)


def fill(segment: Segment, count: int, *, size: int = 100, first: int = 0, every: int = 1) -> None:
    """Append `count` batches of one record and `size` bytes, at every so many offsets; timestamps rise with them."""
    for number in range(first, first + count):
        offset = BASE + number * every
        made = sized_batch(size, timestamp=NOW_MS + number, base_offset=offset)
        segment.append(made, offset, offset, NOW_MS + number)


def test_index_entries(files: Files) -> None:
    """After more than index.interval.bytes, the next batch gets an entry in both indexes."""
    segment = new_segment(files)
    fill(segment, 8)
    segment.write_indexes(sync=True)
    assert files.read(INDEX) == struct.pack(">iiii", 3, 300, 6, 600)
    assert files.read(TIMES) == struct.pack(">qiqi", NOW_MS + 3, 3, NOW_MS + 6, 6)[:12] + struct.pack(
        ">qi", NOW_MS + 6, 6
    )
    segment.seal()
    assert files.read(TIMES)[-12:] == struct.pack(">qi", NOW_MS + 7, 7)
    assert segment.size == files.size(LOG) == 800


@given(
    sizes=st.lists(st.integers(0, 300), min_size=1, max_size=40), every=st.integers(1, 3), interval=st.integers(0, 900)
)
def test_locate(sizes: list[int], every: int, interval: int) -> None:
    """The batch that holds an offset, or the first after it, is found as a plain search finds it."""
    files = MemoryFiles()
    segment = new_segment(files, interval)
    expected = []
    for number, size in enumerate(sizes):
        offset = BASE + number * every
        expected.append((offset, segment.size))
        segment.append(batch("x" * size, base_offset=offset), offset, offset, NOW_MS)
    segment.seal()
    again = Segment(files, "t-0", BASE, interval)
    assert again.load() == expected[-1][0] + 1
    for wanted in range(BASE, expected[-1][0] + 2):
        place = next((position for offset, position in expected if offset >= wanted), None)
        assert segment.position_of(wanted) == again.position_of(wanted) == place


@pytest.mark.parametrize("loaded", [False, True])
def test_a_walk_is_short(files: Files, loaded: bool) -> None:
    """To an offset and to a timestamp it begins at most an interval and a batch before, however long the segment is."""
    segment = new_segment(files, interval=500)
    fill(segment, 200)
    segment.seal()
    if loaded:
        segment = Segment(files, "t-0", BASE, 500)
        segment.load()
    for number in range(200):
        for start in (segment.start_for(BASE + number), segment.start_of(NOW_MS + number, BASE)):
            assert start is not None
            assert 0 <= number * 100 - start <= 600


@given(timestamps=st.lists(st.integers(0, 50), min_size=1, max_size=40), wanted=st.integers(0, 51))
def test_reaching(timestamps: list[int], wanted: int) -> None:
    """Batches with that timestamp or a larger one are found as a plain search finds them, in any order of them."""
    segment = new_segment(MemoryFiles(), 150)
    for number, timestamp in enumerate(timestamps):
        segment.append(
            sized_batch(100, timestamp=timestamp, base_offset=BASE + number), BASE + number, BASE + number, timestamp
        )
    for start in (0, len(timestamps) // 2):
        walk = segment.start_of(wanted, BASE + start)
        reaching = () if walk is None else segment.reaching(walk, wanted, BASE + start, may_wait=True)
        found = [header.base_offset - BASE for _, header in reaching]
        assert found == [number for number in range(start, len(timestamps)) if timestamps[number] >= wanted]
    largest = max(timestamps)
    assert segment.largest_timestamp(may_wait=True) == (largest, BASE + timestamps.index(largest))


def test_load(files: Files) -> None:
    """A segment that was closed is as it was before, without being walked from its start."""
    segment = new_segment(files)
    fill(segment, 10)
    segment.seal()
    segment.close()
    loaded = Segment(files, "t-0", BASE, 200)
    assert loaded.load() == 110
    assert (*loaded.largest_timestamp(may_wait=True), loaded.first_timestamp()) == (NOW_MS + 9, 109, NOW_MS)
    fill(loaded, 3, first=10)
    segment = new_segment(MemoryFiles())
    fill(segment, 13)
    loaded.write_indexes(sync=True)
    segment.write_indexes(sync=True)
    assert files.read(INDEX) == segment._indexed().offsets.encode()


DAMAGES = {
    "no index": lambda files: files.remove(INDEX),
    "no time index": lambda files: files.remove(TIMES),
    "odd index": lambda files: files.replace(INDEX, b"1234567"),
    "index of nothing": lambda files: files.replace(INDEX, b"\0" * 80),
    "index that ends early": lambda files: files.replace(INDEX, struct.pack(">ii", 4, 300)),
    "random time index": lambda files: files.replace(TIMES, bytes(range(255, 255 - 36, -1))),
    "torn log": lambda files: files.open(LOG).truncate(950),
    "short log": lambda files: files.open(LOG).truncate(550),
    "garbage behind": lambda files: files.open(LOG).append(b"\xff" * 70),
    "zeros behind": lambda files: files.open(LOG).append(bytes(200)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage(files: Files, damage: str) -> None:
    """Damage to the end of the log or to an index is noticed; recovery leaves every sound batch, with new indexes."""
    segment = new_segment(files)
    fill(segment, 10)
    segment.seal()
    segment.close()
    DAMAGES[damage](files)
    damaged = Segment(files, "t-0", BASE, 200)
    with pytest.raises(IndexCorrupt):
        damaged.load()
    recovered = list(damaged.recover(keep_before=0))
    count = {"torn log": 9, "short log": 5}.get(damage, 10)
    assert [place.header.base_offset for place in recovered] == list(range(BASE, BASE + count))
    assert damaged.size == 100 * count
    damaged.seal()
    expected = new_segment(MemoryFiles())
    fill(expected, count)
    expected.seal()
    assert files.read(INDEX) == expected._indexed().offsets.encode()
    assert files.read(TIMES) == expected._indexed().times.encode()
    assert Segment(files, "t-0", BASE, 200).load() == BASE + count


@pytest.mark.parametrize("entry", [(3, 310), (2, 300), (4, 300), (5, 590)])
def test_an_entry_that_is_wrong(files: Files, entry: tuple[int, int]) -> None:
    """An entry that fits the file but not the batches hides nothing: the index is made again when it is used."""
    segment = new_segment(files)
    fill(segment, 10)
    segment.seal()
    files.replace(INDEX, struct.pack(">iiii", *entry, 6, 600))
    damaged = Segment(files, "t-0", BASE, 200)
    assert damaged.load() == 110
    assert [damaged.position_of(BASE + number) for number in range(10)] == list(range(0, 1000, 100))


def test_damage_in_the_middle(files: Files) -> None:
    """Behind the recovery point a segment ends before the first batch that is not sound; before it nothing is cut."""
    segment = new_segment(files)
    fill(segment, 10)
    data = bytearray(files.read(LOG) or b"")
    data[480] ^= 1
    files.replace(LOG, bytes(data))
    damaged = Segment(files, "t-0", BASE, 200)
    assert len(list(damaged.recover(keep_before=BASE + 10))) == 9
    assert (damaged.size, damaged.position_of(109)) == (1000, 900)
    assert [(damage.position, damage.end_position) for damage in damaged.damages] == [(400, 500)]
    damaged = Segment(files, "t-0", BASE, 200)
    assert len(list(damaged.recover(keep_before=BASE + 4))) == 4
    assert damaged.size == 400


def test_recovery_wants_ascending_offsets(files: Files) -> None:
    """A sound batch whose offsets were there before ends the log."""
    segment = new_segment(files)
    fill(segment, 3)
    fill(segment, 1, first=1)
    assert len(list(Segment(files, "t-0", BASE, 200).recover(keep_before=0))) == 3


@pytest.mark.parametrize(
    ("config", "offset", "timestamp", "now_ms", "room"),
    [
        (LogConfig(segment_bytes=400), BASE + 3, NOW_MS, 0, True),
        (LogConfig(segment_bytes=399), BASE + 3, NOW_MS, 0, False),
        (LogConfig(), BASE + (1 << 31) - 1, NOW_MS, 0, True),
        (LogConfig(), BASE + (1 << 31), NOW_MS, 0, False),
        (LogConfig(segment_ms=1000), BASE + 3, NOW_MS + 1000, 0, True),
        (LogConfig(segment_ms=1000), BASE + 3, NOW_MS + 1001, 0, False),
        (
            LogConfig(segment_ms=5000, cleanup_policy=frozenset({"compact"}), max_compaction_lag_ms=999),
            BASE + 3,
            NOW_MS + 1000,
            0,
            False,
        ),
        (LogConfig(segment_index_bytes=16), BASE + 3, NOW_MS, 0, False),
        (LogConfig(segment_index_bytes=48), BASE + 3, NOW_MS, 0, True),
    ],
)
def test_room(config: LogConfig, offset: int, timestamp: int, now_ms: int, room: bool) -> None:
    """A segment is full by bytes, by offsets, by time or by its indexes."""
    segment = new_segment(MemoryFiles(), interval=0)
    fill(segment, 3)
    assert segment.has_room(100, offset, timestamp, now_ms, config) == room


def test_room_without_timestamps() -> None:
    """Batches without timestamps are in a segment for segment.ms of the broker's time; an empty one has always room."""
    segment = new_segment(MemoryFiles())
    config = LogConfig(segment_ms=10, segment_bytes=1000)
    assert segment.has_room(100, BASE, -1, 5, config)
    segment.append(sized_batch(100, timestamp=-1, base_offset=BASE), BASE, BASE, -1)
    assert segment.has_room(100, BASE + 1, -1, 100, config)
    assert segment.has_room(100, BASE + 1, -1, 110, config)
    assert not segment.has_room(100, BASE + 1, -1, 111, config)


def test_a_failed_write(files: Files) -> None:
    """A write that fails in the middle leaves the segment as it was."""
    segment = new_segment(files)
    fill(segment, 2)

    class FullDisk:
        size = segment._log.size

        def append(self, data: bytes) -> None:
            self.size += 10
            raise OSError(28, "No space left on device")

        def truncate(self, size: int) -> None:
            self.size = size

    whole, segment._log = segment._log, FullDisk()
    with pytest.raises(OSError, match="No space"):
        fill(segment, 1, first=2)
    assert segment.size == 200
    segment._log = whole
    fill(segment, 1, first=2)
    assert segment.position_of(102) == 200
