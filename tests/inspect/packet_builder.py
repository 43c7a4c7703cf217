"""Captures made by hand: messages -> frames, bytes -> segments -> packets of every link type -> files."""

import struct
from collections.abc import Callable, Iterable
from io import BytesIO
from ipaddress import ip_address
from typing import Any

from kpy.inspect.capture import Capture
from kpy.inspect.frames import read_frames
from kpy.inspect.packets import Address, Segment
from kpy.inspect.rendering import render
from kpy.inspect.source import InputError, Source
from kpy.protocol.messages.headers import RequestHeader, ResponseHeader
from kpy.protocol.schema import Request, Response

CLIENT: Address = ("10.0.0.1", 50000)
BROKER: Address = ("10.0.0.2", 9092)
SYN, ACK = 0x02, 0x10
CLIENT_START, BROKER_START = 1000, 4_294_967_000  # the broker's numbers wrap around
SECOND = 10**9

ETHERNET, NULL, LOOP, RAW, COOKED, COOKED_2 = 1, 0, 108, 101, 113, 276
LINK_HEADERS: dict[int, Callable[[int], bytes]] = {
    ETHERNET: lambda v: bytes(12) + ether_type(v),
    NULL: lambda v: struct.pack("<I", 2 if v == 4 else 30),
    LOOP: lambda v: struct.pack(">I", 2 if v == 4 else 24),
    RAW: lambda v: b"",
    COOKED: lambda v: bytes(14) + ether_type(v),
    COOKED_2: lambda v: ether_type(v) + bytes(18),
}


def ether_type(version: int) -> bytes:
    return b"\x08\x00" if version == 4 else b"\x86\xdd"


def frame(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def request_frame(request: Request, version: int, correlation_id: int, client_id: str | None = "tester") -> bytes:
    header = RequestHeader(
        request_api_key=request.api,
        request_api_version=version,
        correlation_id=correlation_id,
        client_id=client_id,
    )
    return frame(header.encode(request.header_version(version)) + request.encode(version))


def response_frame(response: Response, version: int, correlation_id: int) -> bytes:
    header = ResponseHeader(correlation_id=correlation_id).encode(response.header_version(version))
    return frame(header + response.encode(version))


def segment(
    from_client: bool, position: int, payload: bytes = b"", *, flags: int = ACK, time_ns: int = SECOND, cut: int = 0
) -> Segment:
    """A segment at that position of the bytes of its side; -1 is the SYN's."""
    source, destination = (CLIENT, BROKER) if from_client else (BROKER, CLIENT)
    start = CLIENT_START if from_client else BROKER_START
    return Segment(time_ns, source, destination, (start + 1 + position) % 2**32, flags, payload, cut)


def conversation(turns: Iterable[tuple[bytes, bytes]]) -> list[Segment]:
    """A connection with its handshake, each request and each reply in a segment."""
    segments = [segment(True, -1, flags=SYN), segment(False, -1, flags=SYN | ACK)]
    sent = [0, 0]
    for number, turn in enumerate(turns, start=1):
        for side in (0, 1):
            if turn[side]:
                time_ns = number * SECOND + side * 1_500_000
                segments.append(segment(side == 0, sent[side], turn[side], time_ns=time_ns))
                sent[side] += len(turn[side])
    return segments


def packet(each: Segment, link_type: int = ETHERNET) -> bytes:
    tcp = struct.pack(
        ">HHIIBBHHH", each.source[1], each.destination[1], each.sequence, 0, 0x60, each.flags, 65535, 0, 0
    )
    tcp += b"\x01\x01\x01\x00" + each.payload + bytes(each.cut_bytes)
    source, destination = ip_address(each.source[0]), ip_address(each.destination[0])
    if source.version == 4:
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0)
    else:
        ip = struct.pack(">IHBB", 6 << 28, len(tcp) + 8, 0, 64)
        tcp = b"\x06\x00\x01\x04\x00\x00\x00\x00" + tcp  # a hop-by-hop header
    return LINK_HEADERS[link_type](source.version) + ip + source.packed + destination.packed + tcp


def pcap(
    segments: Iterable[Segment], link_type: int = ETHERNET, *, order: str = "<", nanoseconds: bool = False
) -> bytes:
    magic = 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link_type)
    for each in segments:
        data = packet(each, link_type)
        seconds, rest = divmod(each.time_ns or 0, SECOND)
        captured = data[: len(data) - each.cut_bytes]
        out += struct.pack(f"{order}IIII", seconds, rest // (1 if nanoseconds else 1000), len(captured), len(data))
        out += captured
    return out


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def pcapng(segments: Iterable[Segment], link_type: int = ETHERNET, *, order: str = "<") -> bytes:
    """One section; the interface counts nanoseconds. A block of another kind is between the packets."""
    out = block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    resolution = struct.pack(f"{order}HHB3x", 9, 1, 9) + struct.pack(f"{order}HH", 0, 0)
    out += block(order, 1, struct.pack(f"{order}HHI", link_type, 0, 0) + resolution)
    for each in segments:
        data = packet(each, link_type)
        captured = data[: len(data) - each.cut_bytes]
        high, low = divmod(each.time_ns or 0, 2**32)
        head = struct.pack(f"{order}IIIII", 0, high, low, len(captured), len(data))
        out += block(order, 6, head + captured) + block(order, 4, b"names")
    return out


def explain(capture: bytes, ports: tuple[int, ...] = (9092,)) -> list[dict[str, Any]]:
    """What `kpy decode` prints of a capture."""
    return [render(item) for item in Capture(ports).read(Source(BytesIO(capture)))]


def explain_frames(data: bytes) -> list[dict[str, Any]]:
    return [render(item) for item in read_frames(Source(BytesIO(data)))]


def attempt(capture: bytes) -> tuple[list[dict[str, Any]], str]:
    """As `explain`, of a file that is not sound: what came out before, and what was wrong."""
    shown: list[dict[str, Any]] = []
    try:
        shown.extend(render(item) for item in Capture((9092,)).read(Source(BytesIO(capture))))
    except InputError as error:
        return shown, str(error)
    raise AssertionError("the file is sound")
