"""A packet to the TCP segment in it: link layer, IPv4 or IPv6, TCP.

Link layers: Ethernet (with VLAN tags), BSD loopback, raw IP, Linux cooked 1 and 2. What was cut by the capture's snap
length is counted in the segment. IP fragments are not put together.
"""

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from kpy.inspect.pcap import Packet

Address = tuple[str, int]

_NULL: Final = 0
_ETHERNET: Final = 1
_RAW: Final = {12, 14, 101, 228, 229}
_LOOP: Final = 108
_COOKED: Final = 113
_COOKED_2: Final = 276

_VLAN_TYPES: Final = {0x8100, 0x88A8, 0x9100}
_IP_TYPES: Final = {0x0800, 0x86DD}
_TCP: Final = 6
_IPV6_HEADER_BYTES: Final = 40
_IPV6_FRAGMENT: Final = 44
_IPV6_EXTENSIONS: Final = {0, 43, 60, 135}
_IPV6_EXTENSIONS_MAX: Final = 8
_SYN, _ACK = 0x02, 0x10

_IPV4_HEADER: Final = struct.Struct(">BxHxxHxBxx4s4s")
_IPV6_HEADER: Final = struct.Struct(">IHBx16s16s")
_TCP_HEADER: Final = struct.Struct(">HHIIBB")
_TCP_HEADER_BYTES_MIN: Final = 20


class PacketError(ValueError):
    """A packet that may hold a part of the conversation, and why that cannot be read."""


class Segment(NamedTuple):
    """One TCP segment. `cut_bytes` of its payload were on the wire and are not in the capture."""

    time_ns: int | None
    source: Address
    destination: Address
    sequence: int
    flags: int
    payload: bytes
    cut_bytes: int = 0

    @property
    def is_syn(self) -> bool:
        return bool(self.flags & _SYN)

    @property
    def is_ack(self) -> bool:
        return bool(self.flags & _ACK)


def tcp_segment(packet: Packet) -> Segment | None:
    """The segment, or None if the packet is something else than TCP."""
    position = _ip_position(packet)
    if position is None:
        return None
    data = packet.data
    size = packet.original_bytes - position
    version = data[position] >> 4 if position < len(data) else 0
    try:
        if version == 4:
            return _ipv4(packet, position, size)
        if version == 6:
            return _ipv6(packet, position, size)
    except (struct.error, IndexError):
        raise PacketError("cut in the middle of its headers") from None
    raise PacketError("no IP packet")


def _ip_position(packet: Packet) -> int | None:
    """Where the IP header begins; None if another protocol is inside."""
    data, link_type = packet.data, packet.link_type
    if link_type in _RAW:
        return 0
    if link_type in (_NULL, _LOOP):
        return 4
    if link_type == _COOKED:
        return 16 if _ether_type(data, 14) in _IP_TYPES else None
    if link_type == _COOKED_2:
        return 20 if _ether_type(data, 0) in _IP_TYPES else None
    if link_type != _ETHERNET:
        raise PacketError(f"link type {link_type} is not known here")
    position = 12
    while _ether_type(data, position) in _VLAN_TYPES:
        position += 4
    return position + 2 if _ether_type(data, position) in _IP_TYPES else None


def _ether_type(data: bytes, position: int) -> int:
    return int.from_bytes(data[position : position + 2], "big")


def _ipv4(packet: Packet, position: int, size: int) -> Segment | None:
    first, total, fragment, protocol, source, destination = _IPV4_HEADER.unpack_from(packet.data, position)
    if protocol != _TCP:
        return None
    if fragment & 0x3FFF:
        raise PacketError("IP fragments are not put together")
    # A length of zero: segmentation was left to the network card, and the capture was made before it.
    end = position + (total or size)
    return _tcp(packet, position + (first & 0x0F) * 4, end, str(IPv4Address(source)), str(IPv4Address(destination)))


def _ipv6(packet: Packet, position: int, size: int) -> Segment | None:
    _, length, protocol, source, destination = _IPV6_HEADER.unpack_from(packet.data, position)
    end = position + (_IPV6_HEADER_BYTES + length if length else size)
    position += _IPV6_HEADER_BYTES
    for _ in range(_IPV6_EXTENSIONS_MAX):
        if protocol not in _IPV6_EXTENSIONS:
            break
        protocol, length = packet.data[position], packet.data[position + 1]
        position += (length + 1) * 8
    if protocol == _IPV6_FRAGMENT:
        raise PacketError("IP fragments are not put together")
    if protocol != _TCP:
        return None
    return _tcp(packet, position, end, str(IPv6Address(source)), str(IPv6Address(destination)))


def _tcp(packet: Packet, position: int, end: int, source: str, destination: str) -> Segment:
    data = packet.data
    source_port, destination_port, sequence, _, offset, flags = _TCP_HEADER.unpack_from(data, position)
    start = position + (offset >> 4) * 4
    if start < position + _TCP_HEADER_BYTES_MIN or end < start:
        raise PacketError("its lengths do not fit together")
    payload = data[start:end]
    return Segment(
        packet.time_ns,
        (source, source_port),
        (destination, destination_port),
        sequence,
        flags,
        payload,
        end - start - len(payload),
    )
