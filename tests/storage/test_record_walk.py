"""The walk over a batch's records, against a slow one that reads each record with nothing but varints."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.protocol.records import (
    HEADER_BYTES,
    InvalidRecord,
    Record,
    build_batch,
    read_varint,
    read_varlong,
    write_record,
    write_varint,
)
from kpy.storage.record_runs import SHORTEST_RUN, match_run
from kpy.storage.record_walk import RecordLengthTooLong, TooManyUnlike, Walk, walk
from tests.sweeps import examples


def slow_walk(data: bytes, count: int) -> Walk:
    deltas = []
    null_keys = False
    ascend = True
    position = 0
    try:
        for index in range(count):
            size, start = read_varint(data, position)
            timestamp_delta, position = read_varlong(data, start + 1)
            offset_delta, position = read_varint(data, position)
            key_size, position = read_varint(data, position)
            position += max(key_size, 0)
            value_size, position = read_varint(data, position)
            position += max(value_size, 0)
            headers, position = read_varint(data, position)
            if headers < 0:
                raise InvalidRecord("headers")
            for _ in range(headers):
                name_size, position = read_varint(data, position)
                if name_size < 0:
                    raise InvalidRecord("name")
                header_size, position = read_varint(data, position + name_size)
                position += max(header_size, 0)
            if position - start != size or position > len(data):
                raise InvalidRecord("size")
            deltas.append(timestamp_delta)
            null_keys |= key_size < 0
            ascend &= offset_delta == index
    except IndexError:
        raise InvalidRecord("end") from None
    if position != len(data):
        raise InvalidRecord("more")
    return Walk(min(deltas, default=0), max(deltas, default=0), null_keys, ascend)


def outcome(walk: Callable[[bytes, int], Walk], data: bytes, count: int) -> Walk | type:
    try:
        return walk(data, count)
    except InvalidRecord:
        return InvalidRecord


def payload(records: list[Record]) -> bytes:
    return bytes(build_batch(records)[HEADER_BYTES:])


records = st.builds(
    Record,
    key=st.none() | st.binary(max_size=4),
    value=st.none() | st.binary(max_size=4),
    headers=st.lists(st.tuples(st.text(max_size=3), st.none() | st.binary(max_size=3)), max_size=2).map(tuple),
    timestamp=st.integers(0, 200),
)


@st.composite
def batches(draw: st.DrawFn) -> list[Record]:
    """Stretches of equal records, some with timestamps that move."""
    drawn = []
    for _ in range(draw(st.integers(0, 3))):
        record = draw(records)
        step = draw(st.sampled_from([0, 1, 40]))
        drawn += [
            Record(record.key, record.value, record.headers, (record.timestamp or 0) + number * step)
            for number in range(draw(st.integers(1, 100)))
        ]
    return drawn or [Record(None, b"")]


@settings(max_examples=examples(100))
@given(batches())
def test_sound_batches(drawn: list[Record]) -> None:
    """What the walk finds in a sound batch is what reading record by record finds."""
    data = payload(drawn)
    assert walk(data, len(drawn)) == slow_walk(data, len(drawn))


@settings(max_examples=examples(100))
@given(batches(), st.data())
def test_damaged_batches(drawn: list[Record], data: st.DataObject) -> None:
    """A batch with any byte changed, or cut anywhere, is refused or read exactly as the slow walk does."""
    damaged = bytearray(payload(drawn))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    for given_bytes in (bytes(damaged), cut):
        assert outcome(walk, given_bytes, len(drawn)) == outcome(slow_walk, given_bytes, len(drawn))


def test_every_framing_byte_of_a_run_counts() -> None:
    """In a run of equal records no byte of a later record's framing can change unnoticed."""
    drawn = [Record(b"k", b"v", (("h", b"x"),), 7) for _ in range(100)]
    data = payload(drawn)
    rng = random.Random(1)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << rng.randrange(8)
        assert outcome(walk, bytes(damaged), 100) == outcome(slow_walk, bytes(damaged), 100)


@pytest.mark.parametrize("count", [63, 64, 65, 8191, 8192, 8193, 16400, 20000])
def test_offset_deltas_of_every_length(count: int) -> None:
    """Runs go on where the offset deltas take another byte."""
    data = payload([Record(None, b"value")] * count)
    assert walk(data, count) == Walk(0, 0, has_null_keys=True, offsets_ascend=True)


@pytest.mark.parametrize("index", [0, 1, 63, 64, 99, 8191, 8192, 8999])
def test_a_wrong_offset_delta_is_seen(index: int) -> None:
    """One offset that does not follow its neighbour is noticed wherever it stands in a run."""
    data = bytearray()
    for number in range(9000):
        record = Record(None, b"value", timestamp=0)
        write_record(data, record, timestamp_delta=0, offset_delta=number ^ 1 if number == index else number)
    assert not walk(data, 9000).offsets_ascend


@pytest.mark.parametrize("step_ms", [-3_000_000_000, -70, -1, 0, 1, 63, 64, 8192, 2_000_000, 300_000_000])
def test_timestamps_within_a_run(step_ms: int) -> None:
    """The smallest and the largest timestamp of a run are found, however many bytes they take."""
    timestamps = [10**12 + (number % 7) * step_ms for number in range(100)]
    data = payload([Record(b"", b"", (), timestamp) for timestamp in timestamps])
    walked = walk(data, 100)
    assert walked.min_timestamp_delta == min(timestamps) - timestamps[0]
    assert walked.max_timestamp_delta == max(timestamps) - timestamps[0]


def test_equal_records_are_one_run() -> None:
    """A batch of equal records is walked in one step for each length of the offset deltas."""
    data = memoryview(payload([Record(b"key", b"v" * 1000)] * 1000))
    first = match_run(data, 0, 0, 1000)
    assert first is not None
    assert first.record_count == 64
    second = match_run(data, first.end, first.record_count, 1000)
    assert second is not None
    assert (second.record_count, second.end) == (936, len(data))


def test_different_records_are_no_run() -> None:
    """Where the next record has another size, nothing is claimed of it."""
    drawn = [Record(None, b"v" * (number % 5)) for number in range(100)]
    assert match_run(memoryview(payload(drawn)), 0, 0, 100) is None


def test_a_record_length_without_end() -> None:
    """A record's length of more than five bytes is told apart from every other flaw."""
    data = bytearray(payload([Record(None, b"value")] * (2 * SHORTEST_RUN)))
    with pytest.raises(RecordLengthTooLong):
        walk(b"\xff" * 5 + data, 2 * SHORTEST_RUN)


def test_no_records() -> None:
    """A batch that counts no records has none."""
    assert walk(b"", 0) == Walk(0, 0, has_null_keys=False, offsets_ascend=True)


def test_more_than_counted() -> None:
    """Bytes after the counted records are refused."""
    data = bytearray(payload([Record(None, b"value")]))
    write_varint(data, 0)
    with pytest.raises(InvalidRecord):
        walk(data, 1)


def test_as_much_work_as_is_allowed() -> None:
    """Records that are alike are little work, however many; of others only so many are read."""
    alike = build_batch([Record(None, b"alike")] * 20_000)[HEADER_BYTES:]
    unlike = build_batch([Record(None, bytes(index * index % 50)) for index in range(3000)])[HEADER_BYTES:]
    assert walk(alike, 20_000, unlike_max=500) == walk(alike, 20_000)
    assert walk(unlike, 3000, unlike_max=3000) == walk(unlike, 3000)
    for unlike_max in (0, 500, 2000, 2800):
        with pytest.raises(TooManyUnlike):
            walk(unlike, 3000, unlike_max=unlike_max)
