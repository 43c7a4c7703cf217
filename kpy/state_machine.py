"""The vocabulary of kpy's replicated state machines: decide, append, replay.

A machine (a group coordinator, the metadata controller) is a plain object with no I/O and no clock. Its methods look
at its state and *decide*: they return a `Decision` and change nothing durable. The runtime
(`kpy.server.state_machine_runtime`) then

1. appends `Decision.records` to the machine's partition, as one batch unless they need not be,
2. calls `machine.replay(record)` for each, the only thing that changes durable state,
3. sets and cancels `Decision.timers`,
4. delivers `Decision.replies`, as soon as the records are as safe as the topic's configuration asks.

Loading after a restart is replaying the partition, so that a live machine and a loaded one took the same path to
their state. If the append fails, nothing is replayed, no timer changes and every reply of that decision is failed
with the error; a timer whose decision it was fires again soon.

Soft state (parked requests, session deadlines) may change while deciding; it is lost with the process and no record
depends on it.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

from kpy.protocol.errors import KafkaError
from kpy.protocol.schema import Data, Message


class ReplyTo(Protocol):
    """Where the answer to a request goes; a machine only keeps it and names it in a `Reply`.

    The runtime calls exactly one of the two methods, once.
    """

    def resolve(self, message: Message) -> None:
        """Deliver the response body."""

    def fail(self, error: KafkaError) -> None:
        """Deliver an error for the handler to turn into a response of its API."""


class Record(NamedTuple):
    """One change of durable state.

    `key` and `value` are messages of the machine's own record schemas. `value` None is a tombstone; `key` None
    belongs to logs whose records have no key (cluster metadata).
    """

    key: Data | None
    value: Data | None


class Reply(NamedTuple):
    """`message` is what `to` was waiting for; it is sent once the decision's records are appended."""

    to: ReplyTo
    message: Message


class Timer(NamedTuple):
    """Call `machine.expire(key)` after `delay_ms`; None cancels. A key has one timer: setting it again replaces it."""

    key: Hashable
    delay_ms: int | None


class Decision(NamedTuple):
    """What a machine wants done, in the order of the fields.

    `is_atomic`: the records make sense only together. Those that do not, such as of many offsets that expire, may be
    appended in several batches, some of them or all.
    """

    records: Sequence[Record] = ()
    timers: Sequence[Timer] = ()
    replies: Sequence[Reply] = ()
    is_atomic: bool = True


NOTHING = Decision()


class StateMachine(Protocol):
    """What the runtime asks of a machine besides its own decisions."""

    def replay(self, record: Record) -> None:
        """Apply one appended record."""

    def expire(self, key: Hashable, *, now_ms: int) -> Decision:
        """The timer of that key fired. A key that means nothing any more gives NOTHING."""

    def loaded(self, *, now_ms: int) -> Decision:
        """Called once after replay: timers for what was found, records that settle what was left open."""

    def encode(self, record: Record) -> tuple[bytes | None, bytes | None]:
        """The key and value of a record as they stand in the log."""

    def decode(self, key: bytes | None, value: bytes | None) -> Record | None:
        """The inverse; None for a record of a kind that this machine does not know and may skip."""
