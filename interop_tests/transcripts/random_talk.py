"""Conversations that a seed makes up: a few clients join, sync, beat, commit, leave and come back, rightly and wrongly.

Everything that Apache Kafka leaves to chance is left out: a leader goes only if at most one other member is there,
since the next one is whichever a hash map lists first; nobody waits for a timer; and what was reserved is used or given
back. So a seed is one conversation, whoever answers.
"""

from random import Random
from typing import Any

from interop_tests.transcripts.conversation import Conversation, Party, subscription

STEPS = 50
PROTOCOLS = (("range",), ("range", "sticky"), ("sticky", "range"), ("range", "roundrobin"))


def random_talk(talk: Conversation, seed: int) -> None:
    """One conversation, which ends with everybody in one stable generation."""
    Talkers(talk, Random(seed)).run()


class Talkers:
    """Dynamic members, old and new, and two processes that share an instance id."""

    def __init__(self, talk: Conversation, random: Random) -> None:
        self._talk = talk
        self._random = random
        self._topics = (talk.topics["topic"], talk.topics["other"])
        self._members = [
            talk.party("old", version=random.choice([0, 1, 2, 3]), protocols=random.choice(PROTOCOLS)),
            talk.party("new", version=random.choice([4, 5, 6, 7]), protocols=random.choice(PROTOCOLS)),
            talk.party("s1", client_id="static", version=random.choice([5, 7, 8]), instance="i"),
            talk.party("s2", client_id="static", version=9, instance="i", protocols=random.choice(PROTOCOLS)),
        ]
        self._admin = talk.party("admin", version=5)

    def run(self) -> None:
        for _ in range(STEPS):
            free = [party for party in self._members if not party.is_held]
            if not free or self._random.random() < 0.12:
                self._administer()
            else:
                self._act(self._random.choice(free))
        self._settle()

    def _act(self, party: Party) -> None:
        random, roll = self._random, self._random.random()
        if party.generation < 0 or roll < 0.25:
            if random.random() < 0.15:
                party.metadata = subscription(*random.sample(self._topics, random.randrange(3)))
            party.join(reason=random.choice([None, "because"]) if party.version >= 8 else None)
        elif roll < 0.55:
            party.sync(**self._slip())
        elif roll < 0.7:
            party.beat(**self._slip())
        elif roll < 0.9:
            slip = self._slip()
            if "generation_id" in slip:
                slip["generation_id_or_member_epoch"] = slip.pop("generation_id")
            slip.pop("group_instance_id", None)
            party.commit(random.choice(self._topics), *random.choices(range(100), k=random.randrange(1, 4)), **slip)
        elif roll < 0.96 and self._may_go(party.member_id):
            party.leave()
        elif party.instance is not None:
            party.member_id, party.generation, party.leads = "", -1, False  # a new process

    def _slip(self) -> dict[str, Any]:
        """Now and then something is wrong."""
        wrong: list[dict[str, Any]] = [{"generation_id": 1}, {"generation_id": -1}, {"member_id": "nobody"}]
        return self._random.choice(wrong) if self._random.random() < 0.12 else {}

    def _may_go(self, member_id: str) -> bool:
        return len(self._talk.members) <= 2 or member_id != self._talk.leader

    def _administer(self) -> None:
        random, admin = self._random, self._admin
        roll = random.randrange(6)
        if roll == 0:
            admin.fetch(random.choice(self._topics), 2, 0, 1, version=random.choice([1, 5, 7, 8]))
        elif roll == 1:
            admin.delete_offsets(random.choice(self._topics), 0, 1)
        elif roll == 2:
            admin.delete_group()
        elif roll == 3:
            admin.list_groups(random.choice([[], ["Stable"], ["empty", "PreparingRebalance"]]))
        elif roll == 4:
            admin.commit(random.choice(self._topics), random.randrange(100), version=random.choice([2, 5, 8, 9]))
        elif len(self._talk.members) <= 2:
            admin.remove(("", "i"), ("stranger", None))

    def _settle(self) -> None:
        """Everybody who can joins until nobody waits; the leader assigns last."""
        for _ in range(len(self._members) + 1):
            for party in self._members:
                if not party.is_held and (party.generation < 0 or self._talk.held()):
                    party.join()
        free = [party for party in self._members if not party.is_held]
        for party in sorted(free, key=lambda party: party.leads):
            party.sync()
