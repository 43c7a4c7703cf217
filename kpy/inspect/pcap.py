"""Capture files to packets: pcap, in either byte order, with microseconds or nanoseconds, and pcapng.

A capture is read packet by packet, however long it is. Layouts: the IETF drafts "PCAP Capture File Format" and
"PCAP Next Generation (pcapng) Capture File Format".
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from kpy.inspect.source import InputError, Source

PACKET_BYTES_MAX: Final = 1024 * 1024
"""libpcap itself takes no more than 256 KiB."""
BLOCK_BYTES_MAX: Final = 16 * 1024 * 1024
"""Blocks of pcapng that are no packets (names, keys, statistics) may be larger than those that are."""
INTERFACES_MAX: Final = 4096

_PCAP_MAGICS: Final = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
_PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDERS: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
MAGIC_BYTES: Final = 4

_SECTION: Final = 0x0A0D0D0A
_INTERFACE: Final = 1
_OLD_PACKET: Final = 2
_SIMPLE_PACKET: Final = 3
_PACKET: Final = 6
_OPTION_END: Final = 0
_OPTION_RESOLUTION: Final = 9
_OPTION_OFFSET: Final = 14
_LINK_TYPE_MASK: Final = 0x0FFFFFFF
_SECOND_NS: Final = 10**9


class Packet(NamedTuple):
    """One packet as captured; `original_bytes` is its size on the wire, `data` may be cut short."""

    time_ns: int | None
    link_type: int
    data: bytes
    original_bytes: int


class _Interface(NamedTuple):
    link_type: int
    snap_bytes: int
    ticks_per_second: int
    offset_seconds: int


def is_capture(start: bytes) -> bool:
    """Whether a file that starts so is a capture."""
    return start[:MAGIC_BYTES] in _PCAP_MAGICS or start[:MAGIC_BYTES] == _PCAPNG_MAGIC


def read_packets(source: Source) -> Iterator[Packet]:
    """All packets in order. InputError is raised where the file breaks the format, or ends in the middle."""
    magic = source.peek(MAGIC_BYTES)
    if magic == _PCAPNG_MAGIC:
        yield from _read_pcapng(source)
    elif magic in _PCAP_MAGICS:
        yield from _read_pcap(source, *_PCAP_MAGICS[magic])
    else:
        raise InputError(f"not a capture file: it begins with {magic.hex(' ') or 'nothing'}")


def _read_pcap(source: Source, order: str, tick_ns: int) -> Iterator[Packet]:
    file_header = struct.Struct(f"{order}4sHHiIII")
    packet_header = struct.Struct(f"{order}IIII")
    link_type = file_header.unpack(source.exactly(file_header.size, "its header"))[-1] & _LINK_TYPE_MASK
    while source.peek(1):
        start = source.position
        seconds, ticks, captured, original = packet_header.unpack(
            source.exactly(packet_header.size, "the header of a packet")
        )
        _check_size(captured, PACKET_BYTES_MAX, "a packet", start)
        data = source.exactly(captured, "a packet")
        yield Packet(seconds * _SECOND_NS + ticks * tick_ns, link_type, data, max(original, captured))


def _read_pcapng(source: Source) -> Iterator[Packet]:
    order = ">"
    interfaces: list[_Interface] = []
    while source.peek(1):
        start = source.position
        head = source.exactly(8, "the header of a block")
        kind: int = struct.unpack(f"{order}I", head[:4])[0]
        if head[:4] == _PCAPNG_MAGIC:
            order = _BYTE_ORDERS.get(source.peek(4), "")
            interfaces = []
            if not order:
                raise InputError(f"the section at byte {start} has no byte order")
            kind = _SECTION
        size: int = struct.unpack(f"{order}I", head[4:])[0]
        if size < 12 or size % 4:
            raise InputError(f"a block of {size} bytes at byte {start}")
        _check_size(size, BLOCK_BYTES_MAX, "a block", start)
        body = source.exactly(size - 8, "a block")[:-4]
        try:
            if kind == _INTERFACE:
                interfaces.append(_interface(body, order))
            elif kind in (_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
                yield _block_packet(kind, body, order, interfaces)
        except (struct.error, IndexError):
            raise InputError(f"the block at byte {start} is too short, or names no interface") from None
        if len(interfaces) > INTERFACES_MAX:
            raise InputError(f"more than {INTERFACES_MAX} interfaces")


def _interface(body: bytes, order: str) -> _Interface:
    link_type, _, snap_bytes = struct.unpack_from(f"{order}HHI", body)
    ticks_per_second, offset_seconds = 10**6, 0
    position = 8
    while position + 4 <= len(body):
        code, size = struct.unpack_from(f"{order}HH", body, position)
        value = body[position + 4 : position + 4 + size]
        if code == _OPTION_END:
            break
        if code == _OPTION_RESOLUTION and size == 1:
            ticks_per_second = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
        elif code == _OPTION_OFFSET and size == 8:
            offset_seconds = struct.unpack(f"{order}q", value)[0]
        position += 4 + (size + 3) // 4 * 4
    return _Interface(link_type, snap_bytes, ticks_per_second, offset_seconds)


def _block_packet(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Packet:
    if kind == _SIMPLE_PACKET:
        interface = interfaces[0]
        (original,) = struct.unpack_from(f"{order}I", body)
        captured = min(original, interface.snap_bytes or original, len(body) - 4)
        return Packet(None, interface.link_type, body[4 : 4 + captured], original)
    layout = f"{order}IIIII" if kind == _PACKET else f"{order}HxxIIII"
    number, high, low, captured, original = struct.unpack_from(layout, body)
    interface = interfaces[number]
    data = body[20 : 20 + captured]
    if len(data) < captured:
        raise IndexError
    ticks = high << 32 | low
    time_ns = interface.offset_seconds * _SECOND_NS + ticks * _SECOND_NS // interface.ticks_per_second
    return Packet(time_ns, interface.link_type, data, max(original, captured))


def _check_size(size: int, limit: int, what: str, position: int) -> None:
    if size > limit:
        raise InputError(f"{what} of {size} bytes at byte {position}, and {limit} is the limit")
