"""How a consumer group notices that its topics have changed: one number for all it subscribes to (KIP-1101).

A topic's hash is XXH3 (64 bits) over its id, name, number of partitions and the racks of each; a group's is XXH3 over
those of its topics in the order of their names. The bytes hashed are Kafka's (Utils.computeTopicHash), so that a log
means the same to either broker. Records keep it as a signed number.
"""

import struct
from collections.abc import Iterable

from kpy.groups.consumer.assignors import java_order
from kpy.groups.topics import NoTopics, Topic, Topics

HASH_VERSION = 0
NO_HASH = 0


class TopicHashes:
    """The topics as they are now, with the hashes of those that were asked for."""

    def __init__(self) -> None:
        self.topics: Topics = NoTopics()
        self.version_with_new_topics = 0
        self._hashes: dict[str, int] = {}

    def replace(self, topics: Topics, changed: Iterable[str], *, has_new: bool) -> None:
        """Topics have changed; `has_new` says whether there are some that regular expressions have not seen."""
        self.topics = topics
        if has_new:
            self.version_with_new_topics = topics.offset
        for name in changed:
            self._hashes.pop(name, None)

    def of_group(self, names: Iterable[str]) -> int:
        """The hash of a group with these subscriptions. Those that do not exist do not count."""
        hashes = [self._of_topic(topic) for name in sorted(names, key=java_order) if (topic := self.topics.topic(name))]
        return _xxh3(struct.pack(f"<{len(hashes)}q", *hashes)) if hashes else NO_HASH

    def _of_topic(self, topic: Topic) -> int:
        found = self._hashes.get(topic.name)
        if found is None:
            found = self._hashes[topic.name] = topic_hash(topic, self.topics)
        return found


def topic_hash(topic: Topic, topics: Topics) -> int:
    """The hash of one topic."""
    high, low = topic.topic_id.int >> 64, topic.topic_id.int & 0xFFFFFFFFFFFFFFFF
    parts = [struct.pack("<BQQ", HASH_VERSION, high, low), _string(topic.name), _int(len(topic.partitions))]
    for index in range(len(topic.partitions)):
        parts.append(_int(index))
        for rack in sorted(topics.partition_racks(topic.name, index), key=java_order):
            parts += _int(len(rack.encode("utf-16-le", "surrogatepass")) // 2), _string(rack)
    return _xxh3(b"".join(parts))


def _int(value: int) -> bytes:
    return struct.pack("<i", value)


def _string(text: str) -> bytes:
    """UTF-16 units and how many they are, as hash4j feeds a string to its hashes."""
    units = text.encode("utf-16-le", "surrogatepass")
    return units + _int(len(units) // 2)


def _xxh3(data: bytes) -> int:
    import xxhash  # noqa: PLC0415 - only groups of this protocol need it

    hashed: int = xxhash.xxh3_64_intdigest(data)
    return hashed - (hashed >> 63 << 64)
