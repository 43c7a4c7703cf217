"""Where a group lives: Java's hash of its id."""

import pytest

from kpy.groups.partitioning import java_hash, partition_for

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


def test_ten_thousand_ids_hash_as_in_java() -> None:
    """The hash over all hashes, and over all partitions, of ids from every plane is the one that Java computed."""
    hashes = partitions = 0
    for number in range(10_000):
        seed, characters = number, []
        for _ in range(1 + number % 40):
            seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
            code = seed % 0x10FFFF
            characters.append(chr(0x41 if 0xD800 <= code <= 0xDFFF else code))
        group_id = "".join(characters)
        hashes = (31 * hashes + java_hash(group_id)) & 0xFFFFFFFF
        partitions = (31 * partitions + partition_for(group_id, 50)) & 0xFFFFFFFF

    assert (hashes, partitions) == (2053182267, -653606609 & 0xFFFFFFFF)
