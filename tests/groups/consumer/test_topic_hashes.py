"""The metadata hash: Kafka's own number, which changes with all that an assignment depends on."""

from random import Random
from uuid import UUID

import pytest

from kpy.groups.consumer.topic_hashes import TopicHashes, topic_hash
from tests.groups.consumer.java_assignors import JavaAssignors
from tests.groups.group_context import FakeTopic, FakeTopics
from tests.sweeps import seeds


class Racks(FakeTopics):
    """Topics whose partitions stand in racks of their own."""

    by_partition: dict[tuple[str, int], list[str]]

    def partition_racks(self, topic: str, index: int) -> list[str]:
        return list(self.by_partition.get((topic, index), []))


def hashes(topics: FakeTopics) -> TopicHashes:
    result = TopicHashes()
    result.replace(topics, (), has_new=True)
    return result


def test_what_does_not_exist_does_not_count() -> None:
    """A group without topics has the hash 0."""
    topics = FakeTopics()
    topics.add("t")
    found = hashes(topics)

    assert found.of_group([]) == found.of_group(["nope"]) == 0
    assert found.of_group(["t", "nope"]) == found.of_group(["t"]) != 0


@pytest.mark.parametrize("change", ["partitions", "id", "racks", "deleted"])
def test_every_change_shows(change: str) -> None:
    """More partitions, another id under the same name, other racks, or the topic is gone."""
    topics = FakeTopics()
    topics.add("t", 2)
    topics.add("u", 2)
    found = hashes(topics)
    before = found.of_group(["t", "u"])
    if change == "partitions":
        topics.by_name["t"] = FakeTopic("t", topics.by_name["t"].topic_id, range(3))
    elif change == "id":
        topics.add("t", 2, number=99)
    elif change == "racks":
        topics.racks["t"] = ["r"]
    else:
        del topics.by_name["t"]
    found.replace(topics, ["t"], has_new=False)

    assert found.of_group(["t", "u"]) != before


def test_kafkas_own_hashes_are_the_same(java: JavaAssignors) -> None:
    """Of any topics with any racks, one by one and together."""
    for seed in seeds(50):
        random = Random(seed)
        topics = Racks()
        topics.by_partition = {}
        for number in range(random.randrange(1, 5)):
            name = "".join(random.choices("abc-._Z09", k=random.randrange(1, 20)))
            topics.by_name[name] = FakeTopic(name, UUID(int=random.getrandbits(128)), range(1 + number))
            for partition in range(1 + number):
                topics.by_partition[name, partition] = random.choices(["a", "eu-1", "ü𝄞", ""], k=random.randrange(4))
        asked = [
            {
                "name": name,
                "id": str(topic.topic_id),
                "racks": [topics.partition_racks(name, partition) for partition in topic.partitions],  # type: ignore[arg-type]
            }
            for name, topic in topics.by_name.items()
        ]

        assert java.ask({"hashes": asked}) == {
            "topics": [topic_hash(topic, topics) for topic in topics.by_name.values()],
            "group": hashes(topics).of_group(topics.by_name),
        }, seed
