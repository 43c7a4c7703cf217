"""Streams from segments in disorder."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kpy.inspect.packets import Segment
from kpy.inspect.tcp import FIRST_SEGMENTS, HELD_SEGMENTS_MAX, Chunk, Lost, Reassembly
from tests.inspect.packet_builder import SYN, segment

TEXT = bytes(range(200))
START = segment(False, -1, flags=SYN)


def part(start: int, end: int, *, cut: int = 0) -> Segment:
    return segment(False, start, TEXT[start : end - cut], cut=cut)


def reassemble(segments: list[Segment]) -> list[bytes | int]:
    """What comes out: bytes that follow each other as one, and sizes of what was lost."""
    reassembly = Reassembly()
    found = [what for each in segments for what in reassembly.add(each)] + list(reassembly.end())
    joined: list[bytes | int] = []
    for what in found:
        if isinstance(what, Lost):
            joined.append(what.size_bytes)
        elif joined and isinstance(joined[-1], bytes):
            joined[-1] += what.data
        else:
            joined.append(what.data)
    assert reassembly.held_bytes == 0
    return joined


def test_in_order_and_at_once() -> None:
    """What comes in order is handed out as it comes, with its time."""
    reassembly = Reassembly()

    assert list(reassembly.add(START)) == []
    assert list(reassembly.add(part(0, 10))) == [Chunk(TEXT[:10], START.time_ns)]
    assert reassembly.from_start


def test_disorder() -> None:
    """Early, late, twice, overlapping on either side, and contained: each byte once."""
    parts = [part(10, 20), part(0, 5), part(3, 12), part(0, 12), part(30, 40), part(12, 35), part(33, 36), part(19, 50)]

    assert reassemble([START, START, *parts]) == [TEXT[:50]]


def test_keep_alive() -> None:
    """A byte before the next one, sent to see whether the peer is alive, is not data."""
    assert reassemble([START, part(0, 10), segment(False, 9, b"?"), part(10, 20)]) == [TEXT[:20]]


def test_holes() -> None:
    """What never comes is given up at the end, or when too much waits for it."""
    assert reassemble([START, part(0, 10), part(15, 20), part(30, 40)]) == [TEXT[:10], 5, TEXT[15:20], 10, TEXT[30:40]]

    reassembly = Reassembly()
    waiting = [segment(False, position, b"x") for position in range(1, 2 * HELD_SEGMENTS_MAX, 2)]
    found = [what for each in [START, *waiting] for what in reassembly.add(each)]
    assert found == []
    assert next(reassembly.add(segment(False, 2 * HELD_SEGMENTS_MAX + 1, b"x"))) == Lost(1)


def test_cut_segments() -> None:
    """What the capture cut off is lost at once."""
    assert reassemble([START, part(0, 10, cut=4), part(10, 20), part(20, 30, cut=10)]) == [
        TEXT[:6], 4, TEXT[10:20], 10
    ]  # fmt: skip


def test_begun_in_mid_stream() -> None:
    """Without a SYN the lowest number among the first segments is the beginning."""
    reassembly = Reassembly()
    segments = [segment(False, position, b"x") for position in range(FIRST_SEGMENTS)]
    found = [what for each in [segments[3], *segments] for what in reassembly.add(each)]

    assert b"".join(what.data for what in found if isinstance(what, Chunk)) == b"x" * FIRST_SEGMENTS
    assert not reassembly.from_start
    assert reassemble([part(30, 40), part(20, 30)]) == [TEXT[20:40]]
    assert reassemble([]) == []


def test_another_connection_on_the_same_ports() -> None:
    """A repeated SYN is the same connection, one of another number is another."""
    reassembly = Reassembly()
    list(reassembly.add(START))

    assert not reassembly.is_another(START)
    assert reassembly.is_another(START._replace(sequence=7))


@settings(max_examples=60)
@given(st.data())
def test_any_segmentation_gives_the_same_stream(data: st.DataObject) -> None:
    """However it was cut, sent again and reordered, the stream is what was sent."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(TEXT) - 1), max_size=12)))
    parts = [part(start, end) for start, end in zip([0, *cuts], [*cuts, len(TEXT)], strict=True)]
    again = data.draw(st.lists(st.tuples(st.integers(0, 199), st.integers(1, 60)), max_size=6))
    parts += [part(start, min(start + size, len(TEXT))) for start, size in again]
    order = data.draw(st.permutations([START, *parts]))

    assert reassemble(order) == [TEXT]
