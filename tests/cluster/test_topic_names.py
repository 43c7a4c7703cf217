"""Names of topics."""

import pytest

from kpy.cluster import topic_names
from kpy.protocol.errors import ErrorCode, KafkaError


@pytest.mark.parametrize("name", ["a", "A-z_0.9", "...", "n" * 249, "__consumer_offsets"])
def test_good_names(name: str) -> None:
    """ASCII letters, digits, '.', '_' and '-' make a name of up to 249 characters."""
    assert topic_names.is_valid(name)
    topic_names.check(name)


@pytest.mark.parametrize("name", ["", ".", "..", "n" * 250, "a b", "a/b", "é", "a\n", "a*", "\u0661"])
def test_bad_names(name: str) -> None:
    """Anything else is INVALID_TOPIC_EXCEPTION, with the reason."""
    assert not topic_names.is_valid(name)
    with pytest.raises(KafkaError) as caught:
        topic_names.check(name)
    assert caught.value.code is ErrorCode.INVALID_TOPIC_EXCEPTION
    assert caught.value.message.startswith("Topic name is invalid: ")


def test_internal_topics() -> None:
    """The brokers' own topics are internal; the metadata log is not one that a client could see."""
    assert topic_names.is_internal("__consumer_offsets")
    assert not topic_names.is_internal("consumer_offsets")
    assert not topic_names.is_internal("__cluster_metadata")
