"""What Kafka owes to Java, asked of Java itself. Its hash of a string is with where groups live."""

from random import Random

import pytest

from kpy.groups.java import hash_map_order
from tests.protocol.java_codec import JavaCodec


@pytest.mark.parametrize("count", [2, 5, 12, 13, 24, 25, 200])
def test_keys_are_in_the_order_of_a_hash_map(java: JavaCodec, count: int) -> None:
    """Whatever the size of its table; keys whose hashes are equal stay in the order in which they came."""
    random = Random(count)
    keys = ["".join(random.choice("AaBb\xe9\U0001f600-") for _ in range(random.randrange(1, 9))) for _ in range(count)]
    keys = list(dict.fromkeys(["BB", "Aa", *keys]))[:count]

    assert hash_map_order(keys) == java.hash_map_order(keys)
