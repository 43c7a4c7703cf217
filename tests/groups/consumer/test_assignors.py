"""The assignors against what must hold of any assignment, against an exhaustive search, and against Kafka's own."""

from collections import Counter
from collections.abc import Mapping
from itertools import product
from random import Random
from uuid import UUID

import pytest

from kpy.groups.consumer.assignors import Assignment, GroupSpec, MemberSpec, assign_range, topic_order
from kpy.groups.consumer.member import Target
from kpy.groups.consumer.target import ASSIGNORS
from kpy.groups.consumer.unequal_subscriptions import assign_unequal_subscriptions
from kpy.groups.consumer.uniform import assign_uniform
from tests.groups.consumer.consumer_context import ConsumerContext
from tests.groups.consumer.java_assignors import JavaAssignors
from tests.sweeps import seeds

TOPICS = [UUID(int=number) for number in range(1, 6)]
Place = tuple[UUID, int]


def spec(
    counts: Mapping[UUID, int],
    members: Mapping[str, tuple[set[UUID], Mapping[UUID, set[int]]]],
    instances: Mapping[str, str] | None = None,
) -> GroupSpec:
    specs = {
        member_id: MemberSpec(
            frozenset(topics),
            {topic: frozenset(found) for topic, found in previous.items() if found},
            (instances or {}).get(member_id),
        )
        for member_id, (topics, previous) in members.items()
    }
    return GroupSpec(specs, counts, len({member.topics for member in specs.values()}) == 1)


def places(target: Target) -> set[Place]:
    return {(topic, partition) for topic, partitions in target.items() for partition in partitions}


def sizes(group: GroupSpec, assignment: Assignment) -> list[int]:
    return [len(places(assignment.get(member_id, {}))) for member_id in group.members]


def random_group(random: Random, *, same: bool) -> GroupSpec:
    """Members with any subscriptions, who had any part of an assignment before, also of what they read no more."""
    counts = {topic: random.randrange(1, 12) for topic in TOPICS[: random.randrange(1, 6)]}
    names = [f"m{number:02}" for number in range(random.randrange(1, 9))]
    shared = set(random.sample(list(counts), random.randrange(1, len(counts) + 1)))
    previous: dict[str, dict[UUID, set[int]]] = {name: {} for name in names}
    for topic, count in counts.items():
        for partition in range(count):
            if random.random() < 0.6:
                lucky = names[min(random.randrange(len(names)), random.randrange(len(names)))]
                previous[lucky].setdefault(topic, set()).add(partition)
    members = {
        name: (
            shared if same else {topic for topic in counts if random.random() < 0.6},
            previous[name],
        )
        for name in names
    }
    instances = {name: f"i{random.randrange(100)}{name}" for name in names if random.random() < 0.3}
    group = spec(counts, members, instances)
    return group._replace(is_homogeneous=same)


def check(group: GroupSpec, assignment: Assignment) -> None:
    """What holds of every assignment: all that is subscribed to is given once, to somebody who wants it."""
    given = Counter(place for target in assignment.values() for place in places(target))
    wanted = {topic for member in group.members.values() for topic in member.topics}
    assert set(given) == {(topic, n) for topic in wanted for n in range(group.partition_counts[topic])}
    assert set(given.values()) <= {1}
    for member_id, target in assignment.items():
        assert target.keys() <= group.members[member_id].topics
        assert all(target.values())


def moved(group: GroupSpec, assignment: Assignment) -> int:
    """Partitions that their owner could have kept and did not."""
    return sum(
        len({place for place in places(member.previous) if place[0] in member.topics})
        - len(places(member.previous) & places(assignment.get(member_id, {})))
        for member_id, member in group.members.items()
    )


@pytest.mark.parametrize("name", ASSIGNORS)
@pytest.mark.parametrize("same", [True, False])
def test_every_partition_has_one_owner_who_wants_it(name: str, *, same: bool) -> None:
    """Whatever there was before."""
    for seed in seeds(200):
        group = random_group(Random(seed), same=same)
        check(group, ASSIGNORS[name](group))


def test_uniform_is_as_equal_as_can_be() -> None:
    """Members that read the same differ by at most one partition."""
    for seed in seeds(200):
        group = random_group(Random(seed), same=True)
        found = sizes(group, assign_uniform(group))

        assert max(found) - min(found) <= 1, seed


def test_uniform_moves_as_little_as_can_be() -> None:
    """No other assignment that is as equal leaves more where it was, as an exhaustive search finds."""
    for seed in seeds(60):
        random = Random(seed)
        counts = {TOPICS[0]: random.randrange(1, 4), TOPICS[1]: random.randrange(1, 3)}
        group = random_group(random, same=True)
        names = list(group.members)[:3]
        shared = set(counts)
        members = {
            name: (shared, {t: {p for p in group.members[name].previous.get(t, ()) if p < counts[t]} for t in counts})
            for name in names
        }
        group = spec(counts, members)
        found = assign_uniform(group)
        every = [(topic, partition) for topic, count in counts.items() for partition in range(count)]
        best = min(
            moved(group, assignment)
            for owners in product(names, repeat=len(every))
            if is_equal(owners, names)
            for assignment in [by_owner(every, owners)]
        )

        assert moved(group, found) == best, seed


def is_equal(owners: tuple[str, ...], names: list[str]) -> bool:
    counts = [owners.count(name) for name in names]
    return max(counts) - min(counts) <= 1


def by_owner(every: list[Place], owners: tuple[str, ...]) -> Assignment:
    found: dict[str, dict[UUID, frozenset[int]]] = {}
    for (topic, partition), owner in zip(every, owners, strict=True):
        topics = found.setdefault(owner, {})
        topics[topic] = topics.get(topic, frozenset()) | {partition}
    return dict(found)


def test_unequal_subscriptions_are_balanced_for_each_topic() -> None:
    """No subscriber of a topic has something of it to give to another who has two fewer partitions."""
    for seed in seeds(200):
        group = random_group(Random(seed), same=False)
        assignment = assign_unequal_subscriptions(group)
        total = dict(zip(group.members, sizes(group, assignment), strict=True))
        worst = max(
            (
                total[giver] - total[taker]
                for giver, target in assignment.items()
                for topic in target
                for taker, member in group.members.items()
                if topic in member.topics
            ),
            default=0,
        )

        assert worst <= 1, seed


def test_an_assignment_that_is_balanced_stays() -> None:
    """Asked again, with what it gave as what there was, an assignor gives the same."""
    for seed in seeds(100):
        for same in (True, False):
            group = random_group(Random(seed), same=same)
            first = assign_uniform(group)
            again = group._replace(
                members={
                    member_id: member._replace(previous=first.get(member_id, {}))
                    for member_id, member in group.members.items()
                }
            )

            assert moved(again, assign_uniform(again)) == 0, seed


def test_ranges() -> None:
    """Contiguous, the first members with one more; the same numbers of topics that are equally large."""
    counts = {TOPICS[0]: 5, TOPICS[1]: 5, TOPICS[2]: 2}
    everything = set(counts)
    group = spec(counts, {name: (everything, {}) for name in ("b", "a", "c")}, {"c": "x"})

    assert {member_id: sorted(places(found)) for member_id, found in assign_range(group).items()} == {
        "c": [(TOPICS[0], 0), (TOPICS[0], 1), (TOPICS[1], 0), (TOPICS[1], 1), (TOPICS[2], 0)],
        "a": [(TOPICS[0], 2), (TOPICS[0], 3), (TOPICS[1], 2), (TOPICS[1], 3), (TOPICS[2], 1)],
        "b": [(TOPICS[0], 4), (TOPICS[1], 4)],
    }


@pytest.mark.parametrize("name", ASSIGNORS)
def test_nobody_and_nothing(name: str) -> None:
    """A group without members, and one that reads nothing."""
    assert ASSIGNORS[name](GroupSpec({}, {}, is_homogeneous=True)) == {}
    assert not any(ASSIGNORS[name](spec({}, {"a": (set(), {})})).values())
    assert not any(ASSIGNORS[name](spec({}, {"a": (set(), {})})._replace(is_homogeneous=False)).values())


def test_ids_are_sorted_as_kafka_sorts_them() -> None:
    """The halves of a topic id are signed."""
    low, high = UUID(int=1), UUID(int=1 << 127)

    assert sorted([low, high], key=topic_order) == [high, low]


@pytest.mark.parametrize("name", ASSIGNORS)
@pytest.mark.parametrize("same", [True, False])
def test_kafkas_own_assignors_give_the_same(java: JavaAssignors, name: str, *, same: bool) -> None:
    """For the same members in the same order."""
    for seed in seeds(300):
        group = random_group(Random(seed), same=same)
        asked = {
            "assignor": name,
            "homogeneous": same,
            "counts": {str(topic): count for topic, count in group.partition_counts.items()},
            "members": {
                member_id: {
                    "instance": member.instance_id,
                    "topics": sorted(map(str, member.topics)),
                    "previous": {str(topic): sorted(member.previous[topic]) for topic in sorted(member.previous)},
                }
                for member_id, member in group.members.items()
            },
        }
        mine = {
            member_id: {str(topic): sorted(partitions) for topic, partitions in target.items()}
            for member_id, target in ASSIGNORS[name](group).items()
        }

        assert mine == java.ask(asked), seed


@pytest.mark.parametrize("name", ASSIGNORS)
def test_a_group_gets_the_target_that_it_gets_from_kafka(
    java: JavaAssignors, groups: ConsumerContext, name: str
) -> None:
    """Member after member: they are taken as Java's hash map lists their ids, which are random as a client's are."""
    topic_id = str(groups.add_topic("t", 101))
    random = Random(name)
    previous: dict[str, dict[str, list[int]]] = {}
    for _ in range(40):
        joining = str(UUID(int=random.getrandbits(128), version=4))
        groups.member(joining, assignor=name).join()
        target = {
            member.member_id: {str(topic.topic_id): sorted(topic.partitions) for topic in found}
            for member in groups.described().members
            for found in [member.target_assignment.topic_partitions]
        }
        asked = {
            "assignor": name,
            "homogeneous": True,
            "hashed": True,
            "counts": {topic_id: 101},
            "members": {
                member_id: {"instance": None, "topics": [topic_id], "previous": previous.get(member_id, {})}
                for member_id in sorted(target)
            },
        }

        assert target == java.ask(asked)
        previous = target
