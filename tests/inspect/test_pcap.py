"""Capture files in all their forms, whole and broken."""

import struct
from io import BytesIO

import pytest

from kpy.inspect.pcap import Packet, is_capture, read_packets
from kpy.inspect.source import InputError, Source
from tests.inspect.packet_builder import ETHERNET, RAW, block, packet, pcap, pcapng, segment

SEGMENTS = [segment(True, 0, b"one", time_ns=1_700_000_000_123_456_789), segment(False, 0, b"two", time_ns=5)]


def read(data: bytes) -> list[Packet]:
    return list(read_packets(Source(BytesIO(data))))


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap(order: str) -> None:
    """Both byte orders, microseconds and nanoseconds."""
    fine = read(pcap(SEGMENTS, RAW, order=order, nanoseconds=True))
    coarse = read(pcap(SEGMENTS, RAW, order=order))

    assert [each.data for each in fine] == [each.data for each in coarse] == [packet(each, RAW) for each in SEGMENTS]
    assert [each.time_ns for each in fine] == [1_700_000_000_123_456_789, 5]
    assert [each.time_ns for each in coarse] == [1_700_000_000_123_456_000, 0]
    assert {each.link_type for each in fine} == {RAW}


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(order: str) -> None:
    """Sections of either byte order follow each other, each with interfaces of its own; other blocks are skipped."""
    found = read(pcapng(SEGMENTS, RAW, order=order) + pcapng(SEGMENTS, ETHERNET, order="<"))

    assert [each.link_type for each in found] == [RAW, RAW, ETHERNET, ETHERNET]
    assert found[0].time_ns == 1_700_000_000_123_456_789
    assert found[2].data == packet(SEGMENTS[0])


def test_pcapng_without_times() -> None:
    """Simple packet blocks have no time, and are cut at the interface's snap length; the oldest blocks are read too."""
    section = block("<", 0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    interface = block("<", 1, struct.pack("<HHI", RAW, 0, 4))
    simple = block("<", 3, struct.pack("<I", 6) + b"abcd")
    old = block("<", 2, struct.pack("<HHIIII", 0, 0, 0, 7, 2, 2) + b"xy")

    assert read(section + interface + simple + old) == [Packet(None, RAW, b"abcd", 6), Packet(7000, RAW, b"xy", 2)]


@pytest.mark.parametrize("build", [pcap, pcapng])
def test_a_file_that_ends_in_the_middle(build: type) -> None:
    """Wherever it was cut, the packets before come out, and one line says where it ends."""
    data = build(SEGMENTS)
    for size in range(1, len(data)):
        packets = read_packets(Source(BytesIO(data[:size])))
        found = []
        reason = ""
        try:
            found.extend(packets)
        except InputError as error:
            reason = str(error)
        assert len(found) <= 2
        assert "\n" not in reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "begins with nothing"),
        (b"PK\x03\x04", "begins with 50 4b 03 04"),
        (pcap([]) + struct.pack("<IIII", 0, 0, 2**31, 2**31), "is the limit"),
        (pcapng([]) + struct.pack("<II", 6, 2**31), "is the limit"),
        (pcapng([]) + struct.pack("<II", 6, 3), "a block of 3 bytes"),
        (pcapng([]) + block("<", 6, b"short"), "too short"),
        (pcapng([]) + block("<", 6, struct.pack("<IIIII", 9, 0, 0, 0, 0)), "names no interface"),
        (block("<", 0x0A0D0D0A, bytes(16)), "no byte order"),
    ],
)
def test_what_is_no_capture(data: bytes, reason: str) -> None:
    """Sizes and numbers that cannot be are refused before anything is read for them."""
    with pytest.raises(InputError, match=reason):
        read(data)


def test_is_capture() -> None:
    """Four bytes tell."""
    assert is_capture(pcap([]))
    assert is_capture(pcapng([]))
    assert not is_capture(b"\x00\x00\x00\x1a")
