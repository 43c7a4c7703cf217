"""The `uniform` assignor for members that read different topics (UniformHeterogeneousAssignmentBuilder).

1. Members keep what they had of the topics that they still read.
2. What nobody has goes to the least loaded subscriber of its topic, topics with the most partitions for each subscriber
   first.
3. Topic by topic, the most loaded subscribers hand partitions to the least loaded until they differ by at most one;
   again, until a whole round of topics moves nothing, or there have been enough rounds.

Subscriptions that overlap without being the same can stay slightly unequal: each topic is looked at by itself.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from uuid import UUID

from kpy.groups.consumer.assignors import Assignment, GroupSpec, topic_order

ROUNDS_MAX = 16
"""Each round about halves what is unequal; overlapping subscriptions may not get there sooner."""

NOBODY = -1


def assign_unequal_subscriptions(group: GroupSpec) -> Assignment:
    """Balanced for each topic, and sticky."""
    balance = _Balance(group)
    if not balance.subscribers:
        return {}
    balance.keep()
    balance.give_out()
    balance.even_out()
    return balance.assignment()


class _Balance:
    """The owner of each partition while it is being decided, by the member's place in the group's order."""

    def __init__(self, group: GroupSpec) -> None:
        self.group = group
        self.member_ids = list(group.members)
        self.sizes = [0] * len(self.member_ids)
        self.subscribers: dict[UUID, list[int]] = {}
        for index, member_id in enumerate(self.member_ids):
            for topic in group.members[member_id].topics:
                self.subscribers.setdefault(topic, []).append(index)
        self.owners = {topic: [NOBODY] * group.partition_counts[topic] for topic in self.subscribers}

    def keep(self) -> None:
        for index, member_id in enumerate(self.member_ids):
            member = self.group.members[member_id]
            for topic in member.previous.keys() & member.topics:
                for partition in member.previous[topic]:
                    self._give(topic, partition, index)

    def give_out(self) -> None:
        for topic in self._in_order(self.subscribers):
            scales = Scales(self.subscribers[topic], self.sizes)
            for partition, owner in enumerate(self.owners[topic]):
                if owner == NOBODY:
                    self._give(topic, partition, scales.lightest())

    def even_out(self) -> None:
        topics = self._in_order(topic for topic, members in self.subscribers.items() if len(members) > 1)
        last_moved: UUID | None = None
        for _ in range(ROUNDS_MAX):
            for topic in topics:
                if topic == last_moved:
                    return  # a whole round ago something moved for the last time
                if self._even_out(topic) or last_moved is None:
                    last_moved = topic

    def _even_out(self, topic: UUID) -> bool:
        """Whether anything of the topic has moved."""
        owners, scales = self.owners[topic], Scales(self.subscribers[topic], self.sizes)
        if scales.difference <= 1:
            return False
        owned: dict[int, list[int]] = {}
        for partition, owner in enumerate(owners):
            owned.setdefault(owner, []).append(partition)
        has_moved = False
        while True:
            heaviest = scales.heaviest()
            while heaviest is not None and not owned.get(heaviest):
                scales.set_heaviest_aside()
                heaviest = scales.heaviest()
            if heaviest is None:
                return has_moved
            lightest = scales.lightest()
            if scales.is_balanced:
                return has_moved
            self._give(topic, owned[heaviest].pop(), lightest)
            has_moved = True

    def assignment(self) -> Assignment:
        given: dict[str, dict[UUID, set[int]]] = {member_id: {} for member_id in self.member_ids}
        for topic, owners in self.owners.items():
            for partition, owner in enumerate(owners):
                given[self.member_ids[owner]].setdefault(topic, set()).add(partition)
        return {
            member_id: {topic: frozenset(partitions) for topic, partitions in topics.items()}
            for member_id, topics in given.items()
        }

    def _give(self, topic: UUID, partition: int, index: int) -> None:
        owner = self.owners[topic][partition]
        if owner != NOBODY:
            self.sizes[owner] -= 1
        self.owners[topic][partition] = index
        self.sizes[index] += 1

    def _in_order(self, topics: Iterable[UUID]) -> list[UUID]:
        """The most partitions for each subscriber first, then the fewest subscribers, then by id."""

        def order(topic: UUID) -> tuple[Fraction, int, tuple[int, int]]:
            subscribers = len(self.subscribers[topic])
            return Fraction(-self.group.partition_counts[topic], subscribers), subscribers, topic_order(topic)

        return sorted(topics, key=order)


class Scales:
    """The subscribers of a topic from the least to the most loaded, while partitions move from one end to the other.

    At each end there is a run of members that began equally loaded or have become so: `level` partitions each before
    the next pass over the run, which takes each member once. Then the level moves by one, and the run grows by those
    who are at the new level.
    """

    def __init__(self, members: Sequence[int], sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.order = sorted(members, key=lambda member: (sizes[member], member))
        least, most = sizes[self.order[0]], sizes[self.order[-1]]
        self.difference = most - least
        self.low_level, self.low_end, self.low_next = least - 1, 0, 0
        self.high_level, self.high_start, self.high_end = most + 1, len(self.order), len(self.order)
        self.high_next = len(self.order) - 1

    @property
    def is_balanced(self) -> bool:
        return self.high_level - self.low_level <= 1

    def lightest(self) -> int:
        """Who gets the next partition; it counts as given."""
        if self.low_next >= self.low_end:
            self.low_level += 1
            while self.low_end < len(self.order) and self.sizes[self.order[self.low_end]] == self.low_level:
                self.low_end += 1
            self.low_next = 0
        self.low_next += 1
        return self.order[self.low_next - 1]

    def heaviest(self) -> int | None:
        """Who gives the next partition, which counts as taken; None if nobody is left who could."""
        if self.high_next < self.high_start:
            if self.high_end <= self.high_start and self.high_start > 0:
                self.high_level = self.sizes[self.order[self.high_start - 1]]  # all of the run were set aside
            else:
                self.high_level -= 1
            while self.high_start > 0 and self.sizes[self.order[self.high_start - 1]] == self.high_level:
                self.high_start -= 1
            self.high_next = self.high_end - 1
        if self.high_next < 0:
            return None
        self.high_next -= 1
        return self.order[self.high_next + 1]

    def set_heaviest_aside(self) -> None:
        """The member that was just named has nothing to give: it leaves the run by its upper end."""
        place, end = self.high_next + 1, self.high_end - 1
        self.order[place], self.order[end] = self.order[end], self.order[place]
        self.high_end -= 1
