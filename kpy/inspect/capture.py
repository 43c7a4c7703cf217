"""A capture file to exchanges: packets are sorted into connections, and each is a conversation.

A connection is one if one of its ports is a broker's. Whoever sent the SYN is the client; without one, whoever talks
to such a port. What could not be used is counted, and said at the end.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

from kpy.inspect.conversation import BROKER, CLIENT, Conversation
from kpy.inspect.exchange import Item, Problem
from kpy.inspect.packets import Address, PacketError, Segment, tcp_segment
from kpy.inspect.pcap import read_packets
from kpy.inspect.source import InputError, Source
from kpy.inspect.tcp import Chunk, Lost, Reassembly

CONNECTIONS_MAX: Final = 10_000
"""With more at a time, the one that was opened first is taken for closed."""
BUFFERED_BYTES_MAX: Final = 256 * 1024 * 1024
"""What all connections hold together; beyond it, the one that holds most is given up."""
PORTS_SHOWN: Final = 8
PORTS_COUNTED_MAX: Final = 10_000
OVERHEAD_BYTES: Final = 4096
"""What a connection costs besides the bytes that it holds."""


class Connection:
    """Two directions, put together and understood."""

    def __init__(self, client: Address, broker: Address) -> None:
        self.client = client
        self.name = f"{_written(client)} to {_written(broker)}"
        self._conversation = Conversation(self.name)
        self._directions = {CLIENT: Reassembly(), BROKER: Reassembly()}
        self._begun: set[str] = set()
        self.buffered_bytes = OVERHEAD_BYTES
        self.is_given_up = False

    def is_another(self, segment: Segment) -> bool:
        """Whether the ports are used again, for a connection of its own."""
        return segment.is_syn and self._directions[self._side(segment)].is_another(segment)

    def add(self, segment: Segment) -> Iterator[Item]:
        side = self._side(segment)
        # Where one begins in the middle the other does not wait longer either, and the client is first: replies are
        # found by their requests.
        if side == BROKER and self._directions[BROKER].begins_with_next:
            yield from self._begin(CLIENT)
        for what in self._directions[side].add(segment):
            yield from self._receive(side, what)
        if any(direction.from_middle for direction in self._directions.values()):
            yield from self._begin(CLIENT)
            yield from self._begin(BROKER)
        held = sum(each.held_bytes for each in self._directions.values())
        self.buffered_bytes = OVERHEAD_BYTES + held + self._conversation.buffered_bytes

    def end(self) -> Iterator[Item]:
        for side, direction in self._directions.items():
            for what in direction.end():
                yield from self._receive(side, what)
        yield from self._conversation.end()

    def give_up(self) -> None:
        """Forget what is held and all that comes."""
        self._conversation = Conversation("")
        self._directions.clear()
        self.buffered_bytes = OVERHEAD_BYTES
        self.is_given_up = True

    def _begin(self, side: str) -> Iterator[Item]:
        for what in self._directions[side].begin():
            yield from self._receive(side, what)

    def _receive(self, side: str, what: Chunk | Lost) -> Iterator[Item]:
        if side not in self._begun:
            self._begun.add(side)
            if self._directions[side].from_start:
                self._conversation.begins(side)
        yield from self._conversation.receive(side, what)

    def _side(self, segment: Segment) -> str:
        return CLIENT if segment.source == self.client else BROKER


class Capture:
    """All connections of a capture file, and what could not be used of it."""

    def __init__(self, ports: Collection[int]) -> None:
        self._ports = frozenset(ports)
        self._connections: dict[frozenset[Address], Connection] = {}
        self._buffered_bytes = 0
        self._unused: Counter[str] = Counter()
        self._other_ports: Counter[int] = Counter()
        self._found = False

    def read(self, source: Source) -> Iterator[Item]:
        """All exchanges. InputError is raised, after them, where the file breaks off, or if nothing was to be found."""
        failure: InputError | None = None
        packets = read_packets(source)
        while True:
            try:
                packet = next(packets, None)
            except InputError as error:
                failure = error
                break
            if packet is None:
                break
            try:
                segment = tcp_segment(packet)
            except PacketError as error:
                self._unused[str(error)] += 1
                continue
            if segment is not None:
                yield from self._take(segment)
        for connection in self._connections.values():
            if not connection.is_given_up:
                yield from connection.end()
        for reason, count in self._unused.items():
            yield Problem(f"{count} packets: {reason}")
        if failure is None and not self._found:
            failure = self._nothing_found()
        if failure is not None:
            raise failure

    def _take(self, segment: Segment) -> Iterator[Item]:
        ports = {segment.source[1], segment.destination[1]}
        if not ports & self._ports:
            if len(self._other_ports) < PORTS_COUNTED_MAX:
                self._other_ports.update(ports)
            return
        self._found = True
        if segment.cut_bytes:
            self._unused["cut short by the capture's snap length"] += 1
        key = frozenset((segment.source, segment.destination))
        connection = self._connections.get(key)
        if connection is not None and not connection.is_given_up and connection.is_another(segment):
            yield from self._close(key)
            connection = None
        if connection is None:
            if len(self._connections) >= CONNECTIONS_MAX:
                yield from self._close(next(iter(self._connections)))
            connection = self._connections[key] = self._open(segment)
            self._buffered_bytes += connection.buffered_bytes
        if connection.is_given_up:
            return
        before = connection.buffered_bytes
        yield from connection.add(segment)
        self._buffered_bytes += connection.buffered_bytes - before
        if self._buffered_bytes > BUFFERED_BYTES_MAX:
            yield self._give_up_largest()

    def _open(self, segment: Segment) -> Connection:
        from_client = segment.destination[1] in self._ports
        if segment.is_syn and segment.source[1] in self._ports and from_client:
            from_client = not segment.is_ack
        if from_client:
            return Connection(segment.source, segment.destination)
        return Connection(segment.destination, segment.source)

    def _close(self, key: frozenset[Address]) -> Iterator[Item]:
        connection = self._connections.pop(key)
        self._buffered_bytes -= connection.buffered_bytes
        if not connection.is_given_up:
            yield from connection.end()

    def _give_up_largest(self) -> Problem:
        largest = max(self._connections.values(), key=lambda connection: connection.buffered_bytes)
        name, before = largest.name, largest.buffered_bytes
        largest.give_up()
        self._buffered_bytes += largest.buffered_bytes - before
        return Problem(f"given up: {before} bytes of it wait for what does not come", name)

    def _nothing_found(self) -> InputError:
        wanted = " or ".join(str(port) for port in sorted(self._ports))
        if not self._other_ports:
            reasons = "; ".join(f"{count} packets: {reason}" for reason, count in self._unused.items())
            return InputError(f"there is no TCP in the capture{f' ({reasons})' if reasons else ''}")
        seen = ", ".join(str(port) for port, _ in self._other_ports.most_common(PORTS_SHOWN))
        return InputError(f"nothing in the capture goes to port {wanted}; the ports in it, for --port: {seen}")


def _written(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
