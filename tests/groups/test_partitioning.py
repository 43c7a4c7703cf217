"""Where a group lives: Java's hash of its id."""

from random import Random

import pytest

from kpy.groups.java import java_hash
from kpy.groups.partitioning import partition_for
from tests.protocol.java_codec import JavaCodec

BY_JAVA = [  # String.hashCode() and Utils.abs(...) % 50 of a Java 17
    ("", 0, 0),
    ("a", 97, 47),
    ("group", 98629247, 47),
    ("my-group", -1906497762, 12),
    ("console-consumer-12345", 158455506, 6),
    ("polygenelubricants", -2147483648, 0),
    ("Grüße", 69215351, 1),
    ("日本語", 25921943, 43),
    ("\U0001f600", 1772899, 49),
    ("group-\U0001f600-\U0001d11e", 839415622, 22),
    ("\ud800", 55296, 46),
    ("x\udc00y", 1861361, 11),
    ("\x00\uffff", 65535, 35),
    ("a" * 1000, 904019584, 34),
]


@pytest.mark.parametrize(("group_id", "hashed", "partition"), BY_JAVA)
def test_hash_and_partition_are_those_of_java(group_id: str, hashed: int, partition: int) -> None:
    """Astral characters count as two units, lone surrogates as one, and abs(-2^31) is 0."""
    assert java_hash(group_id) == hashed
    assert partition_for(group_id, 50) == partition


@pytest.mark.parametrize("partition_count", [50, 7])
def test_ten_thousand_ids_are_where_kafka_puts_them(java: JavaCodec, partition_count: int) -> None:
    """Random ids, of characters from every plane and lone surrogates, and those whose hash is the least integer."""
    random = Random(partition_count)
    group_ids = ["polygenelubricants", "polygenelubricants" + "\0" * 8]
    while len(group_ids) < 10_000:
        limit = random.choice([0x7F, 0xFFFF, 0x10FFFF])
        group_ids.append("".join(chr(random.randint(0, limit)) for _ in range(random.randrange(60))))

    assert {java_hash(group_id) for group_id in group_ids[:2]} == {-(2**31)}
    assert [partition_for(group_id, partition_count) for group_id in group_ids] == java.partitions_of_groups(
        group_ids, partition_count
    )
