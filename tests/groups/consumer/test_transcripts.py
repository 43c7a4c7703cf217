"""Groups of the consumer protocol from beginning to end, as texts: who says what, who hears what, what the log keeps.

Read a difference before you accept it: each of these is what members of a group on Apache Kafka see.
"""

from textwrap import dedent

from tests.groups.consumer.consumer_context import ConsumerContext, assigned


def check(groups: ConsumerContext, expected: str) -> None:
    """The transcript since the last check."""
    assert "\n".join(groups.transcript) == dedent(expected).strip()
    groups.transcript.clear()
    groups.check_replay()


def test_two_members_come_and_go(groups: ConsumerContext) -> None:
    """The first has everything, gives half up for the second, which has all of it when the first one leaves."""
    a, b = groups.member("a"), groups.member("b")
    a.join()
    check(
        groups,
        """
        a: join
        log: a is a member
        log: epoch 2
        log: a shall have [t-0 t-1 t-2 t-3]
        log: target for epoch 2
        log: a at 2 STABLE has [t-0 t-1 t-2 t-3]
        a <- epoch 2 [t-0 t-1 t-2 t-3]
        """,
    )
    b.join()
    a.beat()
    a.own()
    b.beat()
    check(
        groups,
        """
        b: join
        log: b is a member
        log: epoch 3
        log: a shall have [t-0 t-1]
        log: b shall have [t-2 t-3]
        log: target for epoch 3
        log: b at 3 UNRELEASED_PARTITIONS has []
        b <- epoch 3 []
        a: heartbeat
        log: a at 2 UNREVOKED_PARTITIONS has [t-0 t-1], gives up [t-2 t-3]
        a <- epoch 2 [t-0 t-1]
        a: owns
        log: a at 3 STABLE has [t-0 t-1]
        a <- epoch 3
        b: heartbeat
        log: b at 3 STABLE has [t-2 t-3]
        b <- epoch 3 [t-2 t-3]
        """,
    )
    a.leave()
    b.beat()
    b.leave()
    check(
        groups,
        """
        a: leave
        log: a has nothing
        log: a shall have nothing
        log: a removed
        log: epoch 4
        a <- epoch -1
        b: heartbeat
        log: b shall have [t-0 t-1 t-2 t-3]
        log: target for epoch 4
        log: b at 4 STABLE has [t-0 t-1 t-2 t-3]
        b <- epoch 4 [t-0 t-1 t-2 t-3]
        b: leave
        log: b has nothing
        log: b shall have nothing
        log: b removed
        log: epoch 5
        b <- epoch -1
        """,
    )


def test_a_static_member_is_away_for_a_while(groups: ConsumerContext) -> None:
    """Nobody takes its instance id while it is in use; whoever does then goes on in the same epoch (KIP-345)."""
    a, b = groups.member("a", instance="one"), groups.member("b", instance="one")
    a.join()
    groups.transcript.clear()
    b.join()
    a.pause()
    b.join()
    a.beat()
    check(
        groups,
        """
        b: join
        b <- UNRELEASED_INSTANCE_ID
        a: leave for a while
        log: a at -2 STABLE has [t-0 t-1 t-2 t-3]
        a <- epoch -2
        b: join
        log: a has nothing
        log: a shall have nothing
        log: a removed
        log: b is a member
        log: b shall have [t-0 t-1 t-2 t-3]
        log: b at 0 STABLE has [t-0 t-1 t-2 t-3]
        log: b is a member
        log: b at 2 STABLE has [t-0 t-1 t-2 t-3]
        b <- epoch 2 [t-0 t-1 t-2 t-3]
        a: heartbeat
        a <- FENCED_INSTANCE_ID
        """,
    )


def test_a_pattern_and_a_new_topic(groups: ConsumerContext) -> None:
    """A pattern is resolved after the heartbeat that brought it; new topics are looked for, but not all the time."""
    a = groups.member("a", topics=None, pattern="t.*")
    a.join()
    groups.advance(0)
    a.beat()
    check(
        groups,
        """
        a: join
        log: a is a member
        log: a at 1 STABLE has []
        a <- epoch 1 []
        log: 't.*' is ['t']
        log: epoch 2
        a: heartbeat
        log: a shall have [t-0 t-1 t-2 t-3]
        log: target for epoch 2
        log: a at 2 STABLE has [t-0 t-1 t-2 t-3]
        a <- epoch 2 [t-0 t-1 t-2 t-3]
        """,
    )
    groups.add_topic("t2", 1)
    a.beat()
    groups.advance(10_001)
    a.beat()
    groups.advance(0)
    a.beat()
    a.leave()
    check(
        groups,
        """
        a: heartbeat
        a <- epoch 2
        a: heartbeat
        a <- epoch 2
        log: 't.*' is ['t', 't2']
        log: epoch 3
        a: heartbeat
        log: a shall have [t-0 t-1 t-2 t-3 t2-0]
        log: target for epoch 3
        log: a at 3 STABLE has [t-0 t-1 t-2 t-3 t2-0]
        a <- epoch 3 [t-0 t-1 t-2 t-3 t2-0]
        a: leave
        log: a has nothing
        log: a shall have nothing
        log: a removed
        log: 't.*' is forgotten
        log: epoch 4
        a <- epoch -1
        """,
    )


def test_a_classic_group_goes_over_and_comes_back(groups: ConsumerContext) -> None:
    """The first member of the consumer protocol takes the group with it; when it leaves, the group is classic again."""
    x, n = groups.classic("x"), groups.member("n")
    x.join()
    groups.advance(0)
    x.sync({x.id: assigned(t=[0, 1, 2, 3])})
    groups.transcript.clear()
    n.join()
    check(
        groups,
        """
        n: join
        log: group deleted
        log: x is a member
        log: epoch 1
        log: x shall have [t-0 t-1 t-2 t-3]
        log: target for epoch 1
        log: x at 1 STABLE has [t-0 t-1 t-2 t-3]
        log: n is a member
        log: epoch 2
        log: x shall have [t-0 t-1]
        log: n shall have [t-2 t-3]
        log: target for epoch 2
        log: n at 2 UNRELEASED_PARTITIONS has []
        n <- epoch 2 []
        """,
    )
    for _ in range(2):
        x.beat()
        x.ask_join()
        x.sync()
    n.beat()
    check(
        groups,
        """
        x: heartbeat <- REBALANCE_IN_PROGRESS
        x: join
        log: x is a member
        log: x at 1 UNREVOKED_PARTITIONS has [t-0 t-1], gives up [t-2 t-3]
        x <- generation 1 range
        x: sync
        x <- synced
        x: heartbeat <- REBALANCE_IN_PROGRESS
        x: join
        log: x is a member
        log: x at 2 STABLE has [t-0 t-1]
        x <- generation 2 range
        x: sync
        x <- synced
        n: heartbeat
        log: n at 2 STABLE has [t-2 t-3]
        n <- epoch 2 [t-2 t-3]
        """,
    )
    n.leave()
    x.beat()
    x.ask_join()
    check(
        groups,
        """
        n: leave
        log: x has nothing
        log: n has nothing
        log: x shall have nothing
        log: n shall have nothing
        log: no target
        log: x removed
        log: n removed
        log: topics forgotten
        log: consumer group deleted
        log: generation 2 range (x [t-0 t-1])
        n <- epoch -1
        x: heartbeat <- REBALANCE_IN_PROGRESS
        x: join
        x <- generation 3 range, leads [x]
        """,
    )
