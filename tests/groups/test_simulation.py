"""Random groups on a virtual clock: members join, sync, beat, commit, leave, fall silent, come back; brokers restart.

After every step the machine's invariants hold, and who has only read the log knows the same groups and offsets. One
seed gives one run; a failure names its seed.
"""

from random import Random

import pytest

from kpy.protocol.errors import ErrorCode
from tests.groups.group_context import Answer, Client, GroupContext, subscription
from tests.sweeps import seeds

STEPS = 600
A_LONG_TIME_MS = 60 * 60 * 1000
GROUPS = ("g", "h")
JOINS_AGAIN = {
    ErrorCode.REBALANCE_IN_PROGRESS,
    ErrorCode.ILLEGAL_GENERATION,
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.FENCED_INSTANCE_ID,
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
    ErrorCode.GROUP_MAX_SIZE_REACHED,
}


class Actor:
    """A client that does as a consumer would, or something else."""

    def __init__(self, simulation: "Simulation", number: int) -> None:
        random = simulation.random
        instance = f"i{random.randrange(4)}" if random.random() < 0.3 else None
        protocols = random.choice([["range"], ["range", "sticky"], ["sticky", "range"], ["sticky"]])
        self.random = random
        self.last_commits = simulation.last_commits
        self.client: Client = simulation.groups.client(
            f"c{number}",
            random.choice(GROUPS),
            instance=instance,
            version=random.choice([0, 3, 4, 9]) if instance is None else random.choice([5, 9]),
            session_ms=random.choice([1_000, 3_000, 10_000]),
            rebalance_ms=random.choice([500, 3_000, 20_000]),
            protocols=protocols,
        )
        self.held: Answer | None = None
        self.silent_until_ms = 0

    def step(self) -> None:
        if self.held is not None:
            if self.held.is_parked and self.random.random() < 0.9:
                return
            self.held = None
        client, roll = self.client, self.random.random()
        if client.generation < 0 or roll < 0.1:
            self._join()
        elif roll < 0.35:
            if client.beat() in JOINS_AGAIN:
                self._join()
        elif roll < 0.55:
            given = {peer: peer[:2].encode() for peer in client.peers if self.random.random() < 0.9}
            self.held = client.sync(given, protocol_name=self.random.choice(list(client.protocols)))
        elif roll < 0.85:
            self._commit(self.random.randrange(4), self.random.randrange(1000))
        elif roll < 0.92:
            client.leave()
            client.id, client.generation = "", -1
        elif roll < 0.96:
            client.protocols = dict.fromkeys(client.protocols, subscription(self.random.choice("tuv")))
        else:
            client.id, client.generation = "", -1  # a new process: the old member id is forgotten
            self.held = None

    def _commit(self, partition: int, offset: int) -> None:
        if self.client.commit(("t", partition, offset)) == [ErrorCode.NONE]:
            self.last_commits[self.client.group, partition] = offset

    def _join(self) -> None:
        if self.random.random() < 0.1:
            self.client.id = ""
        self.held = self.client.join()
        if not self.held.is_parked and self.held.error is None and self.held.code is not ErrorCode.NONE:
            self.client.id, self.client.generation = "", -1


class Simulation:
    """One run."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.groups = GroupContext(
            initial_rebalance_delay_ms=self.random.choice([0, 300, 3_000]),
            max_size=self.random.choice([3, 2**31 - 1]),
            offsets_retention_ms=60_000,
            offsets_retention_check_interval_ms=5_000,
        )
        self.last_commits: dict[tuple[str, int], int] = {}
        actor_count = self.random.choice([2, 6, 12, 100])
        self.actors = [Actor(self, number) for number in range(actor_count)]

    def run(self) -> None:
        random, groups = self.random, self.groups
        for _ in range(STEPS):
            groups.appends_fail = random.random() < 0.03
            actor = random.choice(self.actors)
            if groups.now_ms >= actor.silent_until_ms:
                self._guarded(actor)
            roll = random.random()
            if roll < 0.3:
                groups.advance(random.choice([0, 1, 50, 400]))
            elif roll < 0.32:
                actor.silent_until_ms = groups.now_ms + random.choice([2_000, 20_000])
            elif roll < 0.325:
                groups.advance(random.choice([5_000, 70_000]))
            elif roll < 0.33:
                groups.appends_fail = False
                groups.restart()
                for each in self.actors:
                    each.held = None
            elif roll < 0.34:
                groups.appends_fail = False
                groups.delete_groups(*GROUPS)
            self._check_commits()
        groups.appends_fail = False
        groups.check_replay()
        groups.advance(A_LONG_TIME_MS)
        assert not any(answer.is_parked for answer in groups.parked), "a request waits for ever"
        assert groups.machine.list_groups([], []) == [], "a group without members and offsets stays"

    def _check_commits(self) -> None:
        """An offset is the last one committed, or has expired with its group; nothing else moves it."""
        for group in GROUPS:
            for (_, partition), offset in self.groups.committed(group).items():
                assert offset == self.last_commits[group, partition]

    def _guarded(self, actor: Actor) -> None:
        """Requests whose record is not appended have no response, which joins and syncs put up with."""
        if not self.groups.appends_fail:
            actor.step()
        elif self.random.random() < 0.5:
            actor.held = actor.client.ask_join()
        else:
            actor.held = actor.client.assign()


@pytest.mark.parametrize("seed", seeds(12))
def test_random_groups_never_contradict_themselves(seed: int) -> None:
    """Whatever members do, and whenever brokers restart or fail to append."""
    Simulation(seed).run()


def test_a_large_group_settles_whatever_happened_before() -> None:
    """After a storm of joins and leaves of 200 members, those who behave form one generation that has them all."""
    random = Random(42)
    groups = GroupContext(initial_rebalance_delay_ms=0)
    clients = [groups.client(f"c{n}", session_ms=60_000, rebalance_ms=60_000) for n in range(200)]
    for _ in range(1_000):
        client = random.choice(clients)
        if client.id and random.random() < 0.2:
            client.leave()
            client.id, client.generation = "", -1
        else:
            client.join()
    held: dict[Client, Answer] = {}
    for _ in range(3):
        groups.advance(0)
        for client in clients:
            if client in held and held[client].is_parked:
                continue
            heard = client.beat()
            if heard in JOINS_AGAIN:
                client.id = client.id if heard is ErrorCode.REBALANCE_IN_PROGRESS else ""
                held[client] = client.join()
    (leader,) = [client for client in clients if client.leads]
    waiting = [client.sync() for client in clients if client is not leader]
    leader.assign()

    assert {answer.code for answer in waiting} == {ErrorCode.NONE}
    described = groups.describe("g")
    assert described.group_state == "Stable"
    assert sorted(m.member_assignment.decode() for m in described.members) == sorted(c.name for c in clients)
    groups.check_replay()
