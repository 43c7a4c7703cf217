"""Hundreds of consumers on a virtual clock: they join, sync, beat and commit as consumers do, and some leave, hang, die
or come back, while the broker restarts.

Beside the machine's own invariants, which hold after every step, each run keeps what a broker must: no partition has
two owners in one generation, nobody commits for a partition that another owns, an offset moves by commits alone, and
reading the log gives the live state again. When the trouble is over, everybody who lives shares everything.
"""

import heapq
from random import Random

import pytest

from kpy.protocol.errors import ErrorCode
from tests.groups.group_context import Answer, Client, GroupContext
from tests.sweeps import seeds

GROUPS = ("small", "large")
MEMBERS = {"small": 40, "large": 200}
PARTITIONS = 400
TROUBLED_MS, CALM_MS = 45_000, 30_000
HEARTBEAT_MS = 1_000
SESSION_MS, REBALANCE_MS = 6_000, 5_000
FORGETS_ITSELF = {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION, ErrorCode.FENCED_INSTANCE_ID}


class Consumer:
    """A process with a place in a group; `tick` is its poll loop, which runs every heartbeat interval."""

    def __init__(self, crowd: "Crowd", group: str, number: int) -> None:
        self._crowd = crowd
        self._random = crowd.random
        instance = f"{group}-{number}" if number % 5 == 0 else None
        self.client: Client = crowd.groups.client(
            f"{group}-{number}",
            group,
            instance=instance,
            version=9 if instance is not None else crowd.random.choice([3, 5, 9]),
            session_ms=SESSION_MS,
            rebalance_ms=REBALANCE_MS,
        )
        self.owned: set[int] = set()
        self._joining: Answer | None = None
        self._syncing: Answer | None = None

    def begin_anew(self) -> None:
        """A new process: all it knows is its instance id, if it has one."""
        self.client.id, self.client.generation = "", -1
        self.owned.clear()
        self.disconnected()

    def disconnected(self) -> None:
        """What was asked is not answered any more: who does not know what it owns joins again."""
        if self._joining is not None or self._syncing is not None:
            self.client.generation = -1
            self.owned.clear()
        self._joining = self._syncing = None

    def tick(self) -> None:
        if self._joining is not None:
            self._look_for_generation(self._joining)
        elif self._syncing is not None:
            self._look_for_assignment(self._syncing)
        elif self.client.generation < 0:
            self._join()
        elif self._crowd.troubled and self._random.random() < 0.004:
            self.client.leave()
            self.owned.clear()
            self.begin_anew()
        else:
            self._commit()
            code = self.client.beat()
            if code is not ErrorCode.NONE:
                self._rejoin(code)

    def _rejoin(self, code: ErrorCode) -> None:
        self.owned.clear()
        if code in FORGETS_ITSELF:
            self.begin_anew()
        self._join()

    def _join(self) -> None:
        self._joining = self.client.join()

    def _look_for_generation(self, answer: Answer) -> None:
        if answer.is_parked:
            return
        self._joining = None
        if answer.code is not ErrorCode.NONE:
            self._rejoin(answer.code)
            return
        peers = self.client.peers if self.client.leads else []
        shares = {peer: range(place, PARTITIONS, len(peers)) for place, peer in enumerate(peers)}
        self._syncing = self.client.sync({peer: _written(share) for peer, share in shares.items()})

    def _look_for_assignment(self, answer: Answer) -> None:
        if answer.is_parked:
            return
        self._syncing = None
        if answer.code is not ErrorCode.NONE:
            self._rejoin(answer.code)
            return
        self.owned = {int(word) for word in answer.message.assignment.decode().split()}
        self._crowd.note_owner(self.client, self.owned)

    def _commit(self) -> None:
        if not self.owned:
            return
        partition = self._random.choice(sorted(self.owned))
        offset = self._random.randrange(1_000_000)
        [code] = self.client.commit(("t", partition, offset))
        if code is ErrorCode.NONE:
            self._crowd.note_commit(self.client, partition, offset)


class Crowd:
    """One run. Events are (when, order, consumer), so that a seed is one run."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.troubled = True
        self.groups = GroupContext(initial_rebalance_delay_ms=self.random.choice([0, 3_000]))
        self.groups.topics.add("t", PARTITIONS)
        self.owners: dict[tuple[str, int, int], str] = {}
        self.commits: dict[tuple[str, int], tuple[int, int]] = {}
        self.consumers = [Consumer(self, group, number) for group in GROUPS for number in range(MEMBERS[group])]
        self._events: list[tuple[int, int, Consumer]] = []
        self._count = 0
        for consumer in self.consumers:
            self._plan(consumer, self.random.randrange(5 * HEARTBEAT_MS))

    def run(self) -> None:
        began_ms = self.groups.now_ms
        restarts = sorted(began_ms + self.random.randrange(TROUBLED_MS) for _ in range(2))
        while self._events[0][0] < began_ms + TROUBLED_MS + CALM_MS:
            due_ms, _, consumer = heapq.heappop(self._events)
            self.groups.advance(max(due_ms - self.groups.now_ms, 0))
            self.troubled = due_ms < began_ms + TROUBLED_MS
            if restarts and due_ms >= restarts[0]:
                restarts.pop(0)
                self._restart()
            self._plan(consumer, self._turn(consumer))
        self.groups.check_replay()

    def _turn(self, consumer: Consumer) -> int:
        """Let it act; when it does so again. Some hang, past their session, and some die and are started again."""
        consumer.tick()
        roll = self.random.random()
        if self.troubled and roll < 0.001:
            return 2 * SESSION_MS
        if self.troubled and roll < 0.003:
            consumer.begin_anew()
            return self.random.choice([HEARTBEAT_MS, 2 * SESSION_MS])
        return HEARTBEAT_MS

    def _plan(self, consumer: Consumer, delay_ms: int) -> None:
        self._count += 1
        heapq.heappush(self._events, (self.groups.now_ms + delay_ms, self._count, consumer))

    def _restart(self) -> None:
        self.groups.restart()
        for consumer in self.consumers:
            consumer.disconnected()
        self.check_commits()

    def note_owner(self, client: Client, owned: set[int]) -> None:
        for partition in owned:
            place = (client.group, client.generation, partition)
            assert self.owners.setdefault(place, _who(client)) == _who(client), "two owners in one generation"

    def note_commit(self, client: Client, partition: int, offset: int) -> None:
        """The committer owns the partition in its generation, and no later generation's owner has committed yet."""
        assert self.owners[client.group, client.generation, partition] == _who(client)
        generation, _ = self.commits.get((client.group, partition), (0, 0))
        assert client.generation >= generation, "a commit of an owner that was replaced"
        self.commits[client.group, partition] = client.generation, offset

    def check_commits(self) -> None:
        """Every offset is the last that was committed."""
        committed = {
            (group, partition): offset
            for group in GROUPS
            for (_, partition), offset in self.groups.committed(group).items()
        }
        assert committed == {place: offset for place, (_, offset) in self.commits.items()}


def _who(client: Client) -> str:
    """A static member that comes back has another member id in the same generation, and what it had."""
    return client.instance or client.id


def _written(partitions: range) -> bytes:
    return " ".join(map(str, partitions)).encode()


@pytest.mark.parametrize("seed", seeds(2))
def test_hundreds_of_consumers(seed: int) -> None:
    """After a minute of trouble and some calm, 240 consumers share all partitions, and no commit was lost."""
    crowd = Crowd(seed)
    crowd.run()

    crowd.check_commits()
    assert len(crowd.commits) > PARTITIONS
    for group in GROUPS:
        consumers = [consumer for consumer in crowd.consumers if consumer.client.group == group]
        assert crowd.groups.state(group) == "Stable"
        assert len({consumer.client.generation for consumer in consumers}) == 1
        assert sorted(partition for consumer in consumers for partition in consumer.owned) == list(range(PARTITIONS))
