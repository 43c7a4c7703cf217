"""A decision while it is being made."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from kpy.protocol.schema import Message
from kpy.state_machine import Decision, Record, Reply, ReplyTo, Timer


@dataclass(slots=True)
class Deciding:
    """Collects what one request, or one timer, leads to."""

    now_ms: int
    records: list[Record] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    def reply(self, to: ReplyTo, message: Message) -> None:
        self.replies.append(Reply(to, message))

    def start(self, timer: Hashable, delay_ms: int) -> None:
        self.timers.append(Timer(timer, delay_ms))

    def cancel(self, timer: Hashable) -> None:
        self.timers.append(Timer(timer, None))

    def add(self, other: "Deciding") -> None:
        """Take over what was decided apart, because it might have come to nothing."""
        self.records += other.records
        self.timers += other.timers
        self.replies += other.replies

    def decision(self) -> Decision:
        return Decision(self.records, self.timers, self.replies)
