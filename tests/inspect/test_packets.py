"""Packets of every link layer, and what is no TCP."""

import pytest

from kpy.inspect.packets import PacketError, tcp_segment
from kpy.inspect.pcap import Packet
from tests.inspect.packet_builder import ACK, BROKER, CLIENT, COOKED, ETHERNET, LINK_HEADERS, RAW, SYN, packet, segment

V4 = segment(True, 0, b"payload")
V6 = V4._replace(source=("fe80::1", 1), destination=("::1", 9092), flags=SYN | ACK)


def captured(data: bytes, link_type: int = ETHERNET, *, original: int | None = None) -> Packet:
    return Packet(V4.time_ns, link_type, data, len(data) if original is None else original)


@pytest.mark.parametrize("link_type", LINK_HEADERS)
def test_link_types(link_type: int) -> None:
    """The segment is found behind every link layer, in IPv4 and in IPv6 with an extension header."""
    assert tcp_segment(captured(packet(V4, link_type), link_type)) == V4
    assert tcp_segment(captured(packet(V6, link_type), link_type)) == V6


def test_vlan_tags_and_padding() -> None:
    """Tags are skipped; what Ethernet adds to a short packet is not payload."""
    data = packet(V4)

    assert tcp_segment(captured(data[:12] + b"\x81\x00\x00\x07\x81\x00\x00\x09" + data[12:] + bytes(10))) == V4


def test_a_length_left_to_the_network_card() -> None:
    """An IP length of zero is that of the packet."""
    data = bytearray(packet(V4, RAW))
    data[2:4] = b"\0\0"

    assert tcp_segment(captured(bytes(data), RAW)) == V4


def test_cut_by_the_snap_length() -> None:
    """What is missing is counted."""
    data = packet(V4)
    found = tcp_segment(captured(data[:-3], original=len(data)))

    assert found == V4._replace(payload=b"payl", cut_bytes=3)


def test_flags() -> None:
    """The reader's names of the flags."""
    assert (V6.is_syn, V6.is_ack) == (True, True)
    assert (V4.is_syn, V4.source, V4.destination) == (False, CLIENT, BROKER)


def test_other_protocols() -> None:
    """ARP and UDP are nobody's loss."""
    udp = bytearray(packet(V4, RAW))
    udp[9] = 17

    assert tcp_segment(captured(bytes(12) + b"\x08\x06" + bytes(28))) is None
    assert tcp_segment(captured(bytes(14) + b"\x00\x01" + bytes(28), COOKED)) is None
    assert tcp_segment(captured(bytes(udp), RAW)) is None


def test_what_cannot_be_read() -> None:
    """Fragments, unknown link layers and nonsense are refused with a reason, however short the packet is."""
    fragment = bytearray(packet(V4, RAW))
    fragment[6] = 0x20

    with pytest.raises(PacketError, match="fragments"):
        tcp_segment(captured(bytes(fragment), RAW))
    with pytest.raises(PacketError, match="link type 105"):
        tcp_segment(captured(packet(V4), 105))
    with pytest.raises(PacketError, match="no IP packet"):
        tcp_segment(captured(b"\xff" * 40, RAW))
    for each in (V4, V6):
        data = packet(each, RAW)
        end_of_flags = len(data) - len(each.payload) - 10
        for size in range(1, end_of_flags):
            with pytest.raises(PacketError):
                tcp_segment(captured(data[:size], RAW))
