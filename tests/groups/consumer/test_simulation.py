"""Random groups that members of both protocols share, on a virtual clock: they join, own, move on, commit, leave, fall
silent and come back under an instance id; topics come, grow and go; appends fail and brokers restart.

After every step the machine's invariants hold: above all, no partition has two owners. And what clients believe agrees:
no two members that the coordinator still knows read the same partition. Reading the log gives the live state again. One
seed gives one run; a failure names its seed.
"""

from collections.abc import Sequence
from random import Random
from typing import Any
from uuid import UUID

import pytest

from kpy.groups.consumer.settings import MigrationPolicy
from kpy.protocol.errors import ErrorCode
from tests.groups.consumer.consumer_context import ClassicMember, ConsumerContext, Member, assigned
from tests.groups.group_context import Answer
from tests.sweeps import seeds

STEPS = 500
A_LONG_TIME_MS = 60 * 60 * 1000
GROUPS = ("g", "h")
Place = tuple[UUID, int]
BEGINS_AGAIN = {
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.FENCED_MEMBER_EPOCH,
    ErrorCode.FENCED_INSTANCE_ID,
    ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.UNRELEASED_INSTANCE_ID,
    ErrorCode.GROUP_MAX_SIZE_REACHED,
}


class Modern:
    """A consumer of the consumer protocol. `reads` is what it works on: it gives up first, and says so then."""

    def __init__(self, simulation: "Simulation", number: int) -> None:
        random = simulation.random
        self.random = random
        self.simulation = simulation
        self.number = number
        self.lives = 0
        self.instance = f"i{random.randrange(3)}" if random.random() < 0.3 else None
        self.group = random.choice(GROUPS)
        self.member = self._born()
        self.is_in = False
        self.silent_until_ms = 0

    def _born(self) -> Member:
        random = self.random
        self.lives += 1
        pattern = random.choice([None, None, "t.*", "t|u", "v"])
        return self.simulation.groups.member(
            f"m{self.number}.{self.lives}",
            self.group,
            topics=random.choice([("t",), ("t", "u"), ("u", "v"), ()]) if pattern is None else None,
            pattern=pattern,
            instance=self.instance,
            assignor=random.choice([None, None, "uniform", "range"]),
            rebalance_ms=random.choice([500, 5_000, 60_000]) * self.simulation.patience,
        )

    @property
    def reads(self) -> set[Place]:
        return places(self.member.owned) if self.is_in else set()

    @property
    def id(self) -> str:
        return self.member.id

    def step(self) -> None:
        roll, member = self.random.random(), self.member
        if not self.is_in:
            self._heard(member.join())
        elif roll < 0.55:
            self._heard(member.own() if self.random.random() < 0.8 else member.beat())
        elif roll < 0.7:
            self.simulation.commit(self.member, self.group)
        elif roll < 0.78:
            if member.topics is not None:
                self._heard(member.subscribe(*self.random.choice([("t",), ("u",), ("t", "v")])))
        elif roll < 0.84:
            self._heard(member.own(**member.everything()))
        elif roll < 0.92:
            self._stop(member.leave())
        elif roll < 0.96 and member.instance is not None:
            self._stop(member.pause())
        elif roll < 0.98:
            self.is_in = False  # a new process: the old member id is forgotten
            self.member = self._born()

    def _heard(self, code: ErrorCode) -> None:
        if code is ErrorCode.NONE:
            self.is_in = True
        elif code in BEGINS_AGAIN:
            self.is_in = False

    def _stop(self, code: ErrorCode) -> None:
        if code is not ErrorCode.COORDINATOR_NOT_AVAILABLE:
            self.is_in = False
            self.member = self._born()


class Classic:
    """A consumer of the classic protocol, which reads what its last sync said until it joins again."""

    def __init__(self, simulation: "Simulation", number: int) -> None:
        random = simulation.random
        self.random = random
        self.simulation = simulation
        self.group = random.choice(GROUPS)
        self.client = ClassicMember(
            simulation.groups,
            f"c{number}",
            random.choice([("t",), ("t", "u")]),
            self.group,
            instance=f"i{random.randrange(3)}" if random.random() < 0.3 else None,
            session_ms=random.choice([1_000, 10_000]) * simulation.patience,
            rebalance_ms=random.choice([500, 20_000]) * simulation.patience,
        )
        self.held: Answer | None = None
        self.joined = False
        self.silent_until_ms = 0

    @property
    def reads(self) -> set[Place]:
        return self.client.owned if self.joined else set()

    @property
    def id(self) -> str:
        return self.client.id

    def step(self) -> None:
        if self.held is not None:
            if self.held.is_parked and self.random.random() < 0.9:
                return
            self._answered(self.held)
            self.held = None
            return
        client, roll = self.client, self.random.random()
        if client.generation < 0 or roll < 0.05:
            self._join()
        elif not self.joined:
            self._sync()
        elif roll < 0.6:
            heard = client.beat()
            if heard is not ErrorCode.NONE:
                if heard is not ErrorCode.REBALANCE_IN_PROGRESS:
                    self._forget()
                self._join()
        elif roll < 0.8:
            self.simulation.commit(client, self.group)
        elif roll < 0.88:
            client.leave()
            self._forget()

    def _sync(self) -> None:
        self.held = self.client.sync(self._leads_to() if self.client.leads else None)
        self._answered(self.held)

    def _leads_to(self) -> dict[str, bytes]:
        """A leader's assignment: each partition once."""
        topics = self.simulation.groups.topics.by_name
        given: dict[str, dict[str, list[int]]] = {peer: {} for peer in self.client.peers}
        for name in self.client.topics:
            for partition in topics[name].partitions if name in topics else ():
                given[self.random.choice(self.client.peers)].setdefault(name, []).append(partition)  # type: ignore[arg-type]
        return {peer: assigned(**found) for peer, found in given.items()}

    def _answered(self, answer: Answer) -> None:
        if answer.is_parked:
            return
        if answer.message is None:
            self.held = None
            return
        code = ErrorCode(answer.message.error_code)  # type: ignore[attr-defined]
        if code is not ErrorCode.NONE:
            self.joined = False
            if code not in (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.MEMBER_ID_REQUIRED):
                self._forget()
            else:
                self.client.generation = -1
        elif hasattr(answer.message, "assignment"):
            self.client.read(answer)
            self.joined = True

    def _join(self) -> None:
        """Before it joins again, a cooperative consumer keeps what it has and says so."""
        self.joined = False
        if self.random.random() < 0.5:
            self.client.has = []
        self.held = self.client.join()
        self._answered(self.held)

    def _forget(self) -> None:
        self.client.id, self.client.generation, self.client.has = "", -1, []
        self.joined = False


class Simulation:
    """One run, of a few actors, or of so many over as many partitions."""

    def __init__(self, seed: int, *, crowd: int | None = None, steps: int = STEPS) -> None:
        self.random = random = Random(seed)
        self.steps = steps
        self.patience = 1 if crowd is None else 100
        """In a crowd it takes long until it is anybody's turn again."""
        self.groups = ConsumerContext(
            settings={
                "session_timeout_ms": random.choice([1_000, 10_000]) * self.patience,
                "assignment_interval_ms": random.choice([0, 0, 500]),
            },
            consumer={
                "max_size": random.choice([3, *[2**31 - 1] * 3]) if crowd is None else 2**31 - 1,
                "migration_policy": MigrationPolicy(random.choice(policies())),
            },
            initial_rebalance_delay_ms=random.choice([0, 300]),
            offsets_retention_ms=60_000,
            offsets_retention_check_interval_ms=5_000,
        )
        self.groups.add_topic("u", 3)
        self.last_commits: dict[tuple[str, int], int] = {}
        count = random.choice([2, 5, 12, 40])
        if crowd is not None:
            count = crowd
            self.groups.grow_topic("t", crowd)
        classic_share = random.choice([0.0, 0.3, 0.7])
        self.actors: list[Modern | Classic] = [
            Classic(self, number) if random.random() < classic_share else Modern(self, number)
            for number in range(count)
        ]

    def commit(self, member: Member | ClassicMember, group: str) -> None:
        partition, offset = self.random.randrange(4), self.random.randrange(1000)
        if self.groups.topics.topic("t") is not None:
            options = {"version": self.random.choice([9, 10])}
            if member.commit(("t", partition, offset), **options) == [ErrorCode.NONE]:
                self.last_commits[group, partition] = offset

    def run(self) -> None:
        random, groups = self.random, self.groups
        for _ in range(self.steps):
            actor = random.choice(self.actors)
            groups.appends_fail = random.random() < 0.03
            if groups.now_ms >= actor.silent_until_ms:
                self._guarded(actor)
            self._time_and_topics(actor)
            self._check()
        self._end()

    def _guarded(self, actor: Modern | Classic) -> None:
        """A request whose record is not appended has no answer that says what has become of it."""
        if not self.groups.appends_fail:
            actor.step()
        elif isinstance(actor, Modern):
            if actor.is_in:
                actor.member.own()
            else:
                actor.member.join()
            actor.is_in = False

    def _time_and_topics(self, actor: Modern | Classic) -> None:
        random, groups, roll = self.random, self.groups, self.random.random()
        if roll < 0.3:
            groups.advance(random.choice([0, 1, 50, 400]))
        elif roll < 0.32:
            actor.silent_until_ms = groups.now_ms + random.choice([2_000, 20_000])
        elif roll < 0.325:
            groups.advance(random.choice([5_000, 70_000]))
        elif roll < 0.34:
            groups.appends_fail = False
            groups.restart()
            for each in self.actors:
                if isinstance(each, Classic):
                    each.held = None
        elif roll < 0.345:
            groups.appends_fail = False
            groups.delete_groups(*GROUPS)
        elif roll < 0.36:
            self._change_topics()

    def _change_topics(self) -> None:
        random, groups = self.random, self.groups
        groups.appends_fail = False
        name = random.choice(["t2", "v", "u"])
        topic = groups.topics.topic(name)
        if topic is None:
            groups.topics.offset += 1_000  # another id than before
            groups.topics.add(name, random.randrange(1, 6), number=groups.topics.offset)
            groups.machine.topics_changed(groups.topics, [name], has_new=True)
        elif random.random() < 0.5:
            groups.grow_topic(name, len(topic.partitions) + 1)
        elif random.random() < 0.5:
            groups.delete_topic(name)
        else:
            groups.move_topic(name, random.choice("ab"))

    def _check(self) -> None:
        """No two members that the coordinator knows by their ids read one partition of a consumer group."""
        for group in GROUPS:
            members = {member.member_id for member in self.groups.described(group).members}
            seen: dict[Place, str] = {}
            for actor in self.actors:
                if actor.group != group or actor.id not in members:
                    continue
                for place in actor.reads:
                    assert seen.setdefault(place, actor.id) == actor.id, place
            for (_, partition), offset in self.groups.committed(group).items():
                assert offset == self.last_commits[group, partition]

    def _end(self) -> None:
        groups = self.groups
        groups.appends_fail = False
        groups.check_replay()
        groups.advance(A_LONG_TIME_MS)
        groups.check_replay()

        assert not any(answer.is_parked for answer in groups.parked), "a request waits for ever"
        assert groups.machine.list_groups([], []) == [], "a group without members and offsets stays"


def places(topics: Sequence[Any]) -> set[Place]:
    """Topic ids and partitions."""
    return {(topic.topic_id, partition) for topic in topics for partition in topic.partitions}


def policies() -> tuple[str, ...]:
    return ("bidirectional", "bidirectional", "upgrade", "downgrade", "disabled")


@pytest.mark.parametrize("seed", seeds(20))
def test_random_groups_never_contradict_themselves(seed: int) -> None:
    """Whatever members of both protocols do, and whatever becomes of topics, appends and brokers."""
    Simulation(seed).run()


@pytest.mark.parametrize("seed", seeds(2))
def test_a_crowd_never_contradicts_itself(seed: int) -> None:
    """As above, with hundreds of members in two groups."""
    Simulation(seed, crowd=240, steps=1_500).run()


def test_a_large_group_settles_whatever_happened_before() -> None:
    """After a storm of joins and leaves of a hundred members, those who behave share all partitions evenly."""
    random = Random(42)
    groups = ConsumerContext()
    groups.add_topic("big", 250)
    members = [groups.member(f"m{n:03}", topics=("big",)) for n in range(100)]
    inside: set[Member] = set()
    for _ in range(600):
        member = random.choice(members)
        if member in inside and random.random() < 0.4:
            member.leave()
            inside.discard(member)
        elif member in inside:
            member.own()
        else:
            member.join()
            inside.add(member)
    for member in members:
        if member not in inside:
            member.join()
    for _ in range(4):
        for member in members:
            assert member.own() is ErrorCode.NONE

    assert groups.described().group_state == "Stable"
    sizes = {len(member.has) for member in members}
    assert sizes == {2, 3}
    assert sorted(place for member in members for place in member.has) == [("big", n) for n in range(250)]
    groups.check_replay()
