"""Subscriptions by regular expression: when they are resolved, shared, refreshed and forgotten."""

from collections.abc import Hashable

from kpy.groups.consumer.patterns import NAMES_PER_STEP
from kpy.groups.consumer.update import patterns_timer
from kpy.protocol.errors import ErrorCode
from tests.groups.consumer.consumer_context import ConsumerContext

RESOLVED_MS = 10_001
"""How long resolved patterns count in any case, and a little."""


def test_a_pattern_that_is_known_is_assigned_at_once(groups: ConsumerContext) -> None:
    """The second member that subscribes to it makes a new epoch with its first heartbeat."""
    a, b = groups.member("a", topics=None, pattern="t"), groups.member("b", topics=None, pattern="t")
    a.join()
    groups.advance(0)
    a.beat()
    b.join()
    a.beat()
    a.own()
    b.beat()

    assert (len(a.has), len(b.has), b.epoch) == (2, 2, 3)


def test_another_pattern_waits(groups: ConsumerContext) -> None:
    """All patterns of a group are resolved together, and not twice in ten seconds."""
    groups.add_topic("u", 1)
    a, b = groups.member("a", topics=None, pattern="t"), groups.member("b", topics=None, pattern="u")
    a.join()
    groups.advance(0)
    b.join()
    groups.advance(0)
    b.beat()
    assert b.has == []
    groups.advance(RESOLVED_MS)
    a.beat()
    groups.advance(0)
    b.beat()

    assert b.has == [("u", 0)]


def test_patterns_that_come_and_go_while_others_are_looked_up(groups: ConsumerContext) -> None:
    """All that take more than a step are known together, in one new epoch; one that nobody has any more is left out."""
    for number in range(NAMES_PER_STEP):
        groups.add_topic(f"u{number}", 1)
    a, b, c = (groups.member(name, topics=None, pattern=f"u{name}") for name in "123")
    a.join()
    b.join()
    fire_once(groups, patterns_timer("g"))
    b.leave()
    c.join()
    epoch = c.epoch
    fire_once(groups, patterns_timer("g"))
    for member in (a, c):
        member.beat()

    assert (a.has, c.has, a.epoch, c.epoch) == ([("u1", 0)], [("u3", 0)], epoch + 1, epoch + 1)
    assert [line for line in groups.transcript if " is [" in line] == ["log: 'u1' is ['u1']", "log: 'u3' is ['u3']"]


def fire_once(groups: ConsumerContext, timer: Hashable) -> None:
    """Without what it sets for itself."""
    del groups.timers[timer]
    groups.execute(groups.machine.expire(timer, now_ms=groups.now_ms))


def test_patterns_are_refreshed_now_and_then() -> None:
    """A topic that is gone stays in a resolved pattern until then; it is not assigned any more all the same."""
    groups = ConsumerContext(consumer={"regex_refresh_interval_ms": 20_000})
    groups.add_topic("t2", 1)
    a = groups.member("a", topics=None, pattern="t.*")
    a.join()
    groups.advance(0)
    a.beat()
    groups.delete_topic("t2")
    a.own()
    a.own()
    assert len(a.has) == 4
    groups.transcript.clear()
    groups.advance(RESOLVED_MS)
    a.beat()
    groups.advance(10_000)
    a.beat()
    groups.advance(0)

    assert [line for line in groups.transcript if " is [" in line] == ["log: 't.*' is ['t']"]


def test_names_and_a_pattern_together(groups: ConsumerContext) -> None:
    """A member may subscribe to both."""
    groups.add_topic("u", 1)
    a = groups.member("a", topics=("t",), pattern="u")
    a.join()
    assert len(a.has) == 4
    groups.advance(0)
    a.beat()

    assert len(a.has) == 5


def test_from_a_pattern_to_names(groups: ConsumerContext) -> None:
    """The pattern is forgotten with its last member, and what only it brought is given up."""
    groups.add_topic("t2", 1)
    a = groups.member("a", topics=None, pattern="t.*")
    a.join()
    groups.advance(0)
    a.beat()
    assert len(a.has) == 5
    a.ask("changes", subscribed_topic_names=["t"], subscribed_topic_regex="")
    a.own()

    assert len(a.has) == 4
    assert "log: 't.*' is forgotten" in groups.transcript
    groups.check_replay()


def test_what_only_a_pattern_brought_counts_no_more(groups: ConsumerContext) -> None:
    """When its last member leaves, the group comes to one new epoch, and not to another after a restart."""
    groups.add_topic("u", 1)
    a, b = groups.member("a"), groups.member("b", topics=None, pattern="u")
    a.join()
    b.join()
    groups.advance(0)
    b.beat()
    assert b.has == [("u", 0)]
    b.leave()
    epoch = groups.described().group_epoch
    groups.restart()
    a.own()

    assert groups.described().group_epoch == epoch


def test_a_pattern_that_is_none_changes_nothing(groups: ConsumerContext) -> None:
    """The member keeps what it subscribed to before."""
    a = groups.member("a")
    a.join()
    before = len(groups.log)
    assert a.ask("changes", subscribed_topic_regex="(") is ErrorCode.INVALID_REGULAR_EXPRESSION

    assert len(groups.log) == before
    assert a.beat() is ErrorCode.NONE


def test_patterns_after_a_restart(groups: ConsumerContext) -> None:
    """What they mean is in the log; new topics of meanwhile are found by the next heartbeat."""
    a = groups.member("a", topics=None, pattern="t.*")
    a.join()
    groups.advance(0)
    a.beat()
    groups.topics.add("t2", 1)
    groups.restart()
    groups.advance(RESOLVED_MS)
    a.beat()
    groups.advance(0)
    a.beat()

    assert len(a.has) == 5
