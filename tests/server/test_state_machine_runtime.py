"""The runtime appends, then replays, then sets timers, then replies; loading is replaying."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from kpy.protocol.errors import ErrorCode, KafkaError
from kpy.protocol.messages.heartbeat import HeartbeatResponse
from kpy.protocol.records import build_batch
from kpy.server.clock import TrioClock
from kpy.server.replies import ReplySlot
from kpy.server.rounds import Rounds
from kpy.server.state_machine_runtime import KeyAndValue, StateMachineRuntime
from kpy.server.timers import Timers
from kpy.state_machine import Decision, Record, Reply, ReplyTo, Timer

START_MS = 1_700_000_000_000


class FakeJournal:
    """Keeps records in a list, or fails."""

    def __init__(self, records: Iterable[KeyAndValue] = ()) -> None:
        self.records = list(records)
        self.error: KafkaError | None = None
        self.max_batch_bytes = 1_000
        self.batches: list[int] = []
        self.unsynced: list[Callable[[KafkaError | None], None]] | None = None

    def append_records(self, records: Sequence[KeyAndValue]) -> None:
        if self.error:
            raise self.error
        batch = build_batch(records)
        if len(batch) > self.max_batch_bytes:
            raise KafkaError(ErrorCode.MESSAGE_TOO_LARGE, "the batch is too large")
        self.batches.append(len(batch))
        self.records += records

    def when_durable(self, tell: Callable[[KafkaError | None], None]) -> None:
        if self.unsynced is None:
            tell(None)
        else:
            self.unsynced.append(tell)

    def read_records(self) -> Iterable[KeyAndValue]:
        return list(self.records)


class Counting:
    """A machine whose state is the number of records replayed; it writes down what it is asked."""

    def __init__(self) -> None:
        self.count = 0
        self.expired: list[tuple[Hashable, int]] = []
        self.parked: ReplyTo | None = None

    def increment(self, reply_to: ReplyTo) -> Decision:
        return Decision(records=[Record(None, None)], replies=[Reply(reply_to, heartbeat_response(0))])

    def park(self, reply_to: ReplyTo) -> Decision:
        self.parked = reply_to
        return Decision(timers=[Timer("park", 500)])

    def replay(self, record: Record) -> None:
        self.count += 1

    def expire(self, key: Hashable, *, now_ms: int) -> Decision:
        self.expired.append((key, now_ms))
        replies = [Reply(self.parked, heartbeat_response(ErrorCode.REBALANCE_IN_PROGRESS))] if self.parked else []
        return Decision(records=[Record(None, None)], replies=replies)

    def loaded(self, *, now_ms: int) -> Decision:
        return Decision(timers=[Timer("loaded", 1000)])

    def encode(self, record: Record) -> KeyAndValue:
        return None, b"one more"

    def decode(self, key: bytes | None, value: bytes | None) -> Record | None:
        return Record(None, None) if value == b"one more" else None


def heartbeat_response(error: int) -> HeartbeatResponse:
    return HeartbeatResponse(error_code=error)


def error_response(error: KafkaError) -> HeartbeatResponse:
    return heartbeat_response(error.code)


def make_runtime(
    journal: FakeJournal, timers: Timers | None = None, rounds: Rounds | None = None
) -> StateMachineRuntime[Counting]:
    return StateMachineRuntime(
        "test", Counting(), journal, clock=TrioClock(START_MS), timers=timers or Timers(), rounds=rounds
    )


async def test_an_answer_comes_after_the_record_is_appended_and_replayed(autojump_clock: MockClock) -> None:
    """What is asked is answered at once where the machine does, and by then it is in the journal and in the state."""
    journal = FakeJournal()
    runtime = make_runtime(journal)

    answer = runtime.ask(Counting.increment, error_response)

    assert answer == heartbeat_response(0)
    assert journal.records == [(None, b"one more")]
    assert runtime.machine.count == 1


async def test_a_failed_append_changes_nothing_and_fails_the_replies(autojump_clock: MockClock) -> None:
    """If the journal refuses, nothing is replayed and the client gets the error."""
    journal = FakeJournal()
    journal.error = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "the disk is full")
    runtime = make_runtime(journal)

    answer = runtime.ask(Counting.increment, error_response)

    assert answer == heartbeat_response(ErrorCode.KAFKA_STORAGE_ERROR)
    assert runtime.machine.count == 0


@pytest.mark.parametrize("failure", [None, KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "no disk")])
async def test_an_answer_waits_until_its_records_are_safe(
    failure: KafkaError | None, autojump_clock: MockClock
) -> None:
    """The records count at once; the answer is what became of them on the disk."""
    journal = FakeJournal()
    journal.unsynced = []
    runtime = make_runtime(journal)
    parked = runtime.ask(Counting.increment, error_response)
    assert isinstance(parked, Awaitable)
    assert runtime.machine.count == 1
    (tell,) = journal.unsynced
    tell(failure)
    assert (await parked).error_code == (failure.code if failure else 0)


async def test_a_timer_that_is_cancelled_is_forgotten(autojump_clock: MockClock) -> None:
    """Members come and go under ever new names."""
    runtime = make_runtime(FakeJournal())
    for number in range(10):
        runtime.execute(Decision(timers=[Timer(("session", number), 500)]))
        runtime.execute(Decision(timers=[Timer(("session", number), None)]))

    assert runtime._alarms == {}


async def test_unloading_answers_what_waits_for_the_disk(autojump_clock: MockClock) -> None:
    """What becomes of the disk then is told to nobody."""
    journal = FakeJournal()
    journal.unsynced = []
    runtime = make_runtime(journal)
    parked = runtime.ask(Counting.increment, error_response)
    assert isinstance(parked, Awaitable)
    runtime.unload()
    (tell,) = journal.unsynced
    tell(None)
    assert (await parked).error_code == ErrorCode.NOT_COORDINATOR


async def test_a_parked_request_is_answered_by_a_timer(autojump_clock: MockClock) -> None:
    """An awaitable is given for what the machine parks; the expiry's decision answers it."""
    timers = Timers()
    runtime = make_runtime(FakeJournal(), timers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        answer = runtime.ask(Counting.park, error_response)
        assert isinstance(answer, Awaitable)
        start = trio.current_time()
        assert await answer == heartbeat_response(ErrorCode.REBALANCE_IN_PROGRESS)
        assert trio.current_time() - start == pytest.approx(0.5)
        nursery.cancel_scope.cancel()

    assert [key for key, _ in runtime.machine.expired] == ["park"]
    assert runtime.machine.expired[0][1] == pytest.approx(TrioClock(START_MS).now_ms(), abs=1)
    assert runtime.machine.count == 1


async def test_loading_replays_the_journal_and_skips_what_is_not_known(autojump_clock: MockClock) -> None:
    """A machine that loads comes to the state that it had, and then sets its timers."""
    timers = Timers()
    runtime = make_runtime(FakeJournal([(None, b"one more"), (b"?", b"from the future"), (None, b"one more")]), timers)

    runtime.load()

    assert runtime.machine.count == 2
    with trio.move_on_after(2):
        await timers.run()
    assert [key for key, _ in runtime.machine.expired] == ["loaded"]


async def test_unloading_answers_what_is_parked_and_stops_the_timers(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A coordinator that goes away sends its clients to look for the next one."""
    timers = Timers()
    runtime = make_runtime(FakeJournal(), timers)
    answers: list[HeartbeatResponse] = []

    async def ask() -> None:
        answer = runtime.ask(Counting.park, error_response)
        assert isinstance(answer, Awaitable)
        answers.append(await answer)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        runtime.unload()

    with trio.move_on_after(2):
        await timers.run()
    assert answers == [heartbeat_response(ErrorCode.NOT_COORDINATOR)]
    assert runtime.machine.expired == []
    assert not caplog.records


async def test_unloading_leaves_alone_what_was_answered_a_moment_ago(autojump_clock: MockClock) -> None:
    """A request whose answer is there, but whose task has not run yet, keeps that answer."""
    runtime = make_runtime(FakeJournal())
    answers: list[HeartbeatResponse] = []

    async def ask() -> None:
        answer = runtime.ask(Counting.park, error_response)
        assert isinstance(answer, Awaitable)
        answers.append(await answer)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        runtime.execute(runtime.machine.expire("park", now_ms=START_MS))
        runtime.unload()

    assert answers == [heartbeat_response(ErrorCode.REBALANCE_IN_PROGRESS)]


async def test_unloading_answers_what_nobody_waits_for_yet(autojump_clock: MockClock) -> None:
    """Between being parked and being waited for, a request is as parked as any."""
    runtime = make_runtime(FakeJournal())
    answer = runtime.ask(Counting.park, error_response)
    assert isinstance(answer, Awaitable)

    runtime.unload()

    with trio.fail_after(1):
        assert await answer == heartbeat_response(ErrorCode.NOT_COORDINATOR)


async def test_who_asks_after_the_unload_is_sent_away(autojump_clock: MockClock) -> None:
    """Nothing is decided, appended, parked or timed any more."""
    timers, journal = Timers(), FakeJournal()
    runtime = make_runtime(journal, timers)
    runtime.unload()

    assert runtime.ask(Counting.park, error_response) == heartbeat_response(ErrorCode.NOT_COORDINATOR)
    runtime.execute(runtime.machine.expire("park", now_ms=START_MS))

    assert runtime.machine.parked is None
    assert journal.records == []


async def test_an_answer_to_a_client_that_has_left_goes_nowhere(autojump_clock: MockClock) -> None:
    """A parked request whose connection is gone is forgotten by the runtime; the machine may still answer it."""
    runtime = make_runtime(FakeJournal())

    async def ask() -> None:
        answer = runtime.ask(Counting.park, error_response)
        assert isinstance(answer, Awaitable)
        await answer

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    runtime.execute(runtime.machine.expire("park", now_ms=START_MS))
    runtime.unload()


async def test_records_that_need_not_be_together_may_be_many(autojump_clock: MockClock) -> None:
    """What is too much for one batch is appended in several, each as large as the journal takes, all replayed."""
    journal = FakeJournal()
    runtime = make_runtime(journal)
    records = [Record(None, None)] * 1000

    assert not runtime.execute(Decision(records=records))
    assert (runtime.machine.count, journal.batches) == (0, [])

    assert runtime.execute(Decision(records=records, is_atomic=False))
    assert (runtime.machine.count, len(journal.records)) == (1000, 1000)
    assert min(journal.batches[:-1]) > journal.max_batch_bytes / 2


class Gathering:
    """A runtime in an open round, and what its answers are once they are there."""

    def __init__(self, journal: FakeJournal) -> None:
        self.rounds = Rounds()
        self.rounds.begin()
        self.runtime = make_runtime(journal, rounds=self.rounds)
        self.answers: list[int] = []

    def gather(self, times: int = 1) -> None:
        for _ in range(times):
            slot = self.runtime.gather(Counting.increment, error_response)
            assert isinstance(slot, ReplySlot)
            slot.then(lambda slot=slot: self.answers.append(slot.message.error_code))


async def test_what_is_gathered_in_a_round_is_one_batch(autojump_clock: MockClock) -> None:
    """Nothing is appended before the round ends, then all at once, and only then is anybody answered."""
    journal = FakeJournal()
    gathering = Gathering(journal)
    gathering.gather(3)
    assert (journal.batches, gathering.answers) == ([], [])

    gathering.rounds.end()

    assert journal.records == [(None, b"one more")] * 3
    assert len(journal.batches) == 1
    assert gathering.answers == [0, 0, 0]
    assert gathering.runtime.machine.count == 3


async def test_outside_of_a_round_nothing_waits_for_others(autojump_clock: MockClock) -> None:
    """What may be gathered is answered at once where there is nothing to gather it with."""
    journal = FakeJournal()
    answer = make_runtime(journal).gather(Counting.increment, error_response)

    assert answer == heartbeat_response(0)
    assert len(journal.batches) == 1


async def test_nobody_sees_a_machine_that_lacks_what_was_gathered(autojump_clock: MockClock) -> None:
    """Whoever asks in the middle of a round finds all that was decided before, which is not appended again."""
    journal = FakeJournal()
    gathering = Gathering(journal)
    gathering.gather(2)

    assert gathering.runtime.ask(Counting.increment, error_response) == heartbeat_response(0)
    assert gathering.runtime.machine.count == 3
    gathering.rounds.end()

    assert len(journal.batches) == 2
    assert gathering.answers == [0, 0]
    assert gathering.runtime.machine.count == 3


async def test_looking_at_the_machine_carries_out_what_was_gathered(autojump_clock: MockClock) -> None:
    """As does asking: a question that changes nothing is answered by what was decided before it."""
    gathering = Gathering(FakeJournal())
    gathering.gather()

    assert gathering.runtime.machine.count == 1


async def test_a_failed_append_fails_all_that_was_gathered(autojump_clock: MockClock) -> None:
    """Nothing of it has happened, and everybody is told."""
    journal = FakeJournal()
    journal.error = KafkaError(ErrorCode.KAFKA_STORAGE_ERROR, "the disk is full")
    gathering = Gathering(journal)
    gathering.gather(2)
    gathering.rounds.end()

    assert gathering.answers == [ErrorCode.KAFKA_STORAGE_ERROR] * 2
    assert gathering.runtime.machine.count == 0


async def test_more_than_a_batch_takes_is_gathered_in_several(autojump_clock: MockClock) -> None:
    """None is refused for what it was gathered with."""
    journal = FakeJournal()
    gathering = Gathering(journal)
    gathering.gather(100)
    gathering.rounds.end()

    assert gathering.answers == [0] * 100
    assert gathering.runtime.machine.count == 100
    assert 1 < len(journal.batches) <= 4


@pytest.mark.parametrize("unload_first", [True, False])
async def test_what_was_gathered_is_answered_when_it_is_durable_or_unloaded(
    unload_first: bool, autojump_clock: MockClock
) -> None:
    """As what was asked alone: the replies wait for the disk, and an unload answers what waits, once."""
    journal = FakeJournal()
    journal.unsynced = []
    gathering = Gathering(journal)
    gathering.gather(2)
    gathering.rounds.end()
    assert gathering.answers == []

    (tell,) = journal.unsynced
    for step in (gathering.runtime.unload, partial(tell, None))[:: 1 if unload_first else -1]:
        step()

    assert gathering.answers == [ErrorCode.NOT_COORDINATOR if unload_first else 0] * 2


async def test_unloading_in_a_round_carries_out_what_was_gathered(autojump_clock: MockClock) -> None:
    """It was decided before; nothing of it is left for the round's end."""
    journal = FakeJournal()
    gathering = Gathering(journal)
    gathering.gather()
    gathering.runtime.unload()
    gathering.rounds.end()

    assert gathering.answers == [0]
    assert len(journal.batches) == 1
    assert gathering.runtime.gather(Counting.increment, error_response) == heartbeat_response(ErrorCode.NOT_COORDINATOR)


async def test_a_bug_in_what_was_gathered_is_loud_and_answers_everybody(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The round goes on to its end, for it is that of other connections too."""
    journal = FakeJournal()
    gathering = Gathering(journal)
    gathering.gather(2)
    journal.records = None  # type: ignore[assignment]  # what is extended is not there
    gathering.rounds.end()

    assert gathering.answers == [ErrorCode.UNKNOWN_SERVER_ERROR] * 2
    assert "Traceback" in caplog.text
