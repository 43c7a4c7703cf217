"""Members of groups in one thread: each a socket and a small state machine, so that what takes time is the broker."""

import heapq
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from benchmarks import group_wire, wire

HEARTBEAT_S = 0.1
RETRY_S = 0.02
NOT_READY = {14, 15, 16}  # the coordinator is loading, or not there yet
REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, MEMBER_ID_REQUIRED = 27, 22, 25, 79


class GroupFailed(Exception):
    """An answer that no benchmark expects."""


class Member:
    """One member: it joins, syncs and beats until it is told to join again."""

    def __init__(self, port: int, group_id: str) -> None:
        self.group_id = group_id
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=wire.TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.member_id = ""
        self.generation = -1
        self.peers: list[str] = []
        self.is_settled = False
        self.awaits_beat = False
        self._react: Callable[[bytes], tuple[float, bool] | None] = self._joined

    def join(self) -> None:
        self.is_settled = False
        self._react = self._joined
        self.socket.sendall(group_wire.join_group(self.group_id, self.member_id))

    def beat(self) -> None:
        self._react = self._beaten
        self.awaits_beat = True
        self.socket.sendall(group_wire.heartbeat(self.group_id, self.generation, self.member_id))

    def receive(self) -> bytes:
        """One reply, behind its length."""
        size = int.from_bytes(self._exactly(4), "big")
        return self._exactly(size)

    def answered(self) -> tuple[float, bool] | None:
        """Take a reply; in how many seconds to join (true) or to beat (false), if that is what comes next."""
        return self._react(self.receive())

    def _joined(self, reply: bytes) -> tuple[float, bool] | None:
        joined = group_wire.joined(reply)
        if joined.error in NOT_READY:
            return RETRY_S, True
        if joined.error == UNKNOWN_MEMBER_ID:
            self.member_id = ""
            return 0.0, True
        self.member_id = joined.member_id
        if joined.error in (MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS):
            return 0.0, True
        if joined.error:
            raise GroupFailed(f"JoinGroup was answered with error {joined.error}")
        self.generation, self.peers = joined.generation, joined.peers
        self._react = self._synced
        assignments = dict.fromkeys(joined.peers, b"an assignment")
        self.socket.sendall(group_wire.sync_group(self.group_id, self.generation, self.member_id, assignments))
        return None

    def _synced(self, reply: bytes) -> tuple[float, bool]:
        error = group_wire.error(reply)
        if error == 0:
            self.is_settled = True
            return HEARTBEAT_S, False
        return self._again(error)

    def _beaten(self, reply: bytes) -> tuple[float, bool]:
        self.awaits_beat = False
        error = group_wire.error(reply)
        return (HEARTBEAT_S, False) if error == 0 else self._again(error)

    def _again(self, error: int) -> tuple[float, bool]:
        if error == UNKNOWN_MEMBER_ID:
            self.member_id = ""
        elif error not in (REBALANCE_IN_PROGRESS, ILLEGAL_GENERATION):
            raise GroupFailed(f"a member was answered with error {error}")
        return 0.0, True

    def _exactly(self, size: int) -> bytes:
        received = self.socket.recv(size)
        while len(received) < size:
            more = self.socket.recv(size - len(received))
            if not more:
                raise ConnectionResetError("the broker closed the connection of a member")
            received += more
        return received


class Members:
    """Members of some groups, from nothing to stable ones."""

    def __init__(self, port: int, group_ids: Sequence[str], size: int) -> None:
        self.members = [Member(port, group_id) for _ in range(size) for group_id in group_ids]
        self._size = size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            member.socket.close()

    def settle(self) -> None:
        """Return when every group has all its members in one generation, each with its assignment."""
        deadline = time.monotonic() + wire.TIMEOUT_S
        due: list[tuple[float, int, bool]] = []
        with selectors.DefaultSelector() as selector:
            for number, member in enumerate(self.members):
                selector.register(member.socket, selectors.EVENT_READ, number)
                member.join()
            while not self._are_settled():
                now = time.monotonic()
                if now > deadline:
                    raise GroupFailed(f"no stable groups after {wire.TIMEOUT_S:g} s")
                while due and due[0][0] <= now:
                    _, number, joins = heapq.heappop(due)
                    self.members[number].join() if joins else self.members[number].beat()
                for key, _ in selector.select(max(due[0][0] - now, 0) if due else RETRY_S):
                    following = self.members[key.data].answered()
                    if following is not None:
                        heapq.heappush(due, (time.monotonic() + following[0], key.data, following[1]))
            self._end_of_beats(selector)

    def _are_settled(self) -> bool:
        if not all(member.is_settled for member in self.members):
            return False
        leaders = [member for member in self.members if len(member.peers) == self._size]
        generations = {member.group_id: member.generation for member in leaders}
        return all(generations.get(member.group_id) == member.generation for member in self.members)

    def _end_of_beats(self, selector: selectors.BaseSelector) -> None:
        """Take the answers to heartbeats that are under way, so that the next reply is that to the next request."""
        while any(member.awaits_beat for member in self.members):
            for key, _ in selector.select(wire.TIMEOUT_S):
                self.members[key.data].answered()
