"""Runs one replicated state machine over its partition: append, replay, timers, replies; load and unload.

What many clients ask in one round (`kpy.server.rounds`) may be appended as one batch at its end, as CoordinatorRuntime
does within `group.coordinator.append.linger.ms`; nobody sees the machine as it was before.
"""

import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar, cast

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.schema import Message
from kpy.server.clock import Clock
from kpy.server.replies import ReplySlot
from kpy.server.rounds import Rounds
from kpy.server.timers import Alarm, Timers
from kpy.state_machine import Decision, Record, Reply, ReplyTo, StateMachine, Timer

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=StateMachine)
R = TypeVar("R", bound=Message)

TIMER_RETRY_MS = 500
"""When a timer fires again whose decision could not be appended (CoordinatorRuntime does the same)."""

RECORDS_PER_STEP = 200
"""How many records are replayed at a stretch while others wait."""

BATCH_OVERHEAD_BYTES, RECORD_OVERHEAD_BYTES = 61, 21
"""The most that a batch and each record in it take beside keys and values (DefaultRecord.MAX_RECORD_OVERHEAD)."""

KeyAndValue = tuple[bytes | None, bytes | None]


class Journal(Protocol):
    """The partition that keeps a machine's records."""

    @property
    def max_batch_bytes(self) -> int:
        """The size of a batch that it takes."""

    def append_records(self, records: Sequence[KeyAndValue]) -> None:
        """Append all as one batch, or raise KafkaError and append none."""

    def when_durable(self, tell: Callable[[KafkaError | None], None]) -> None:
        """Call `tell` when what was appended is as safe as its topic asks, or with why it is not."""

    def read_records(self) -> Iterable[KeyAndValue]:
        """Every record, from the start of the log."""


class Gathered:
    """The parts of decisions that are carried out together; `size_bytes` is the most that their batch may have."""

    __slots__ = ("encoded", "records", "replies", "size_bytes", "timers")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.encoded: list[KeyAndValue] = []
        self.size_bytes = BATCH_OVERHEAD_BYTES
        self.timers: list[Timer] = []
        self.replies: list[Reply] = []

    def add(self, decision: Decision, encoded: list[KeyAndValue], size_bytes: int) -> None:
        self.records += decision.records
        self.encoded += encoded
        self.size_bytes += size_bytes
        self.timers += decision.timers
        self.replies += decision.replies


class StateMachineRuntime(Generic[M]):
    """One machine, its journal and its timers.

    The machine's methods are called through `ask` and `gather` (a request wants an answer) or `execute` (nobody waits).
    `replayed` is called after each change of durable state and before the replies, for those who follow it.
    """

    def __init__(
        self,
        name: str,
        machine: M,
        journal: Journal,
        *,
        clock: Clock,
        timers: Timers,
        replayed: Callable[[], None] | None = None,
        rounds: Rounds | None = None,
    ) -> None:
        self.name = name
        self._machine = machine
        self._journal = journal
        self._clock = clock
        self._timers = timers
        self._replayed = replayed
        self._rounds = rounds or Rounds()
        self._gathered: Gathered | None = None
        self._alarms: dict[Hashable, Alarm] = {}
        self._parked: set[ReplySlot[Message]] = set()
        self._unloaded = False

    @property
    def machine(self) -> M:
        """The machine, when all that it has decided is carried out."""
        if self._gathered is not None:
            self._settle()
        return self._machine

    def load(self) -> None:
        """Replay the journal."""
        for _ in self.load_in_steps():
            pass

    def load_in_steps(self) -> Iterator[None]:
        """As `load`, with a place after every so many records for others to run. Nobody may ask or append meanwhile."""
        for count, (key, value) in enumerate(self._journal.read_records(), start=1):
            record = self._machine.decode(key, value)
            if record is not None:
                self._machine.replay(record)
            if count % RECORDS_PER_STEP == 0:
                yield
        self.execute(self.machine.loaded(now_ms=self._clock.now_ms()))

    def unload(self) -> None:
        """Stop the timers, and answer what is parked with NOT_COORDINATOR, so that clients look for the next owner.

        So is answered who asks from now on; nothing is decided or appended any more.
        """
        self._settle()
        self._unloaded = True
        for alarm in self._alarms.values():
            alarm.cancel()
        self._alarms.clear()
        for slot in [slot for slot in self._parked if slot.message is None]:
            slot.fail(_not_coordinator())
        self._parked.clear()

    def ask(
        self, decide: Callable[[M, ReplyTo], Decision], error_response: Callable[[KafkaError], R]
    ) -> R | Awaitable[R]:
        """Execute what `decide` decides; the answer, or an awaitable of it where the machine has parked the request.

        `error_response` makes the API's response of an error that is not the machine's: a failed append, an unload.
        """
        if self._unloaded:
            return error_response(_not_coordinator())
        slot = ReplySlot(error_response)
        self.execute(decide(self.machine, slot))
        return self._answer(slot)

    def gather(
        self, decide: Callable[[M, ReplyTo], Decision], error_response: Callable[[KafkaError], R]
    ) -> R | Awaitable[R]:
        """As `ask`, for what may wait until the round ends and be appended with all else that is gathered in it.

        `decide` answers at once, and looks at nothing that others which are gathered change.
        """
        if self._unloaded or not self._rounds.is_open:
            return self.ask(decide, error_response)
        slot = ReplySlot(error_response)
        decision = decide(self._machine, slot)
        if not decision.records:
            self.execute(decision)
            return self._answer(slot)
        encoded, size_bytes = [], 0
        for record in decision.records:
            encoded.append(self._machine.encode(record))
            size_bytes += _size_bytes(encoded[-1])
        gathered = self._gathered
        if gathered is not None and gathered.size_bytes + size_bytes > self._journal.max_batch_bytes:
            self._settle()
            gathered = None
        if gathered is None:
            gathered = self._gathered = Gathered()
            self._rounds.put_off(self._settle)
        gathered.add(decision, encoded, size_bytes)
        return slot

    def _settle(self) -> None:
        """Carry out what is gathered, unless that was done before the round's end."""
        gathered, self._gathered = self._gathered, None
        if gathered is None:
            return
        try:
            self._carry_out(Decision(gathered.records, gathered.timers, gathered.replies), gathered.encoded)
        except Exception:
            logger.exception("a bug in the broker: %s cannot carry out what was gathered", self.name)
            for slot in _unanswered(gathered.replies):
                slot.fail(KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR))
        self._parked.update(_unanswered(gathered.replies))

    def _answer(self, slot: ReplySlot[R]) -> R | Awaitable[R]:
        if slot.message is not None:
            return slot.message
        self._parked.add(cast("ReplySlot[Message]", slot))
        return self._wait(slot)

    async def _wait(self, slot: ReplySlot[R]) -> R:
        try:
            return await slot.wait()
        finally:
            self._parked.discard(cast("ReplySlot[Message]", slot))

    def execute(self, decision: Decision) -> bool:
        """Carry out a decision, in the order that `kpy.state_machine` states; whether its records could be appended."""
        if self._unloaded:
            return True
        return self._carry_out(decision, [self._machine.encode(record) for record in decision.records])

    def _carry_out(self, decision: Decision, encoded: list[KeyAndValue]) -> bool:
        if encoded:
            try:
                self._append(decision, encoded)
            except KafkaError as error:
                logger.error("%s: could not append %d records: %s", self.name, len(decision.records), error)
                for reply in decision.replies:
                    reply.to.fail(error)
                return False
            if self._replayed is not None:
                self._replayed()
        for timer in decision.timers:
            self._set_timer(timer.key, timer.delay_ms)
        if encoded and decision.replies:
            self._journal.when_durable(partial(self._deliver, decision.replies))
        else:
            self._deliver(decision.replies, None)
        return True

    def _deliver(self, replies: Sequence[Reply], failure: KafkaError | None) -> None:
        if self._unloaded:
            return  # all of them were answered then
        for reply in replies:
            if failure is None:
                reply.to.resolve(reply.message)
            else:
                reply.to.fail(failure)
        if self._parked:
            self._parked.difference_update(_slots(replies))

    def _append(self, decision: Decision, encoded: list[KeyAndValue]) -> None:
        first = 0
        for end in (len(encoded),) if decision.is_atomic else self._batch_ends(encoded):
            self._journal.append_records(encoded[first:end])
            for record in decision.records[first:end]:
                self._machine.replay(record)
            first = end

    def _batch_ends(self, records: Sequence[KeyAndValue]) -> Iterator[int]:
        """Where to divide records so that each batch is small enough, but for a record that is too large itself."""
        limit = self._journal.max_batch_bytes - BATCH_OVERHEAD_BYTES
        size = 0
        for index, record in enumerate(records):
            size += _size_bytes(record)
            if size > limit and index:
                yield index
                size = _size_bytes(record)
        yield len(records)

    def _set_timer(self, key: Hashable, delay_ms: int | None) -> None:
        alarm = self._alarms.get(key)
        if delay_ms is None:
            if alarm is not None:
                del self._alarms[key]
                alarm.cancel()
            return
        if alarm is None:
            alarm = self._alarms[key] = self._timers.alarm(partial(self._expire, key))
        alarm.set(delay_ms)

    def _expire(self, key: Hashable) -> None:
        del self._alarms[key]
        if not self.execute(self.machine.expire(key, now_ms=self._clock.now_ms())):
            self._set_timer(key, TIMER_RETRY_MS)


def _slots(replies: Sequence[Reply]) -> "list[ReplySlot[Message]]":
    return cast("list[ReplySlot[Message]]", [reply.to for reply in replies])


def _unanswered(replies: Sequence[Reply]) -> "list[ReplySlot[Message]]":
    return [slot for slot in _slots(replies) if slot.message is None]


def _size_bytes(record: KeyAndValue) -> int:
    key, value = record
    return RECORD_OVERHEAD_BYTES + len(key or b"") + len(value or b"")


def _not_coordinator() -> KafkaError:
    return KafkaError(ErrorCode.NOT_COORDINATOR, "the coordinator is shutting down")
