"""Rebalances from beginning to end, as texts: who asks what, who hears what, and what the log keeps of it.

Read a difference before you accept it: each of these is what members of a group on Apache Kafka see.
"""

from textwrap import dedent

from tests.groups.group_context import GroupContext, subscription


def check(groups: GroupContext, expected: str) -> None:
    """The transcript since the last check."""
    assert "\n".join(groups.transcript) == dedent(expected).strip()
    groups.transcript.clear()


def test_two_members_come_and_one_goes(groups: GroupContext) -> None:
    """A group of one, a second member, then the first one leaves."""
    a, b = groups.client("a"), groups.client("b")
    a.join()
    groups.advance(0)
    a.assign()
    check(
        groups,
        """
        a: join
        log: generation 0 None []
        a <- MEMBER_ID_REQUIRED
        a: join
        a <- generation 1 range, leads [a]
        a: sync
        log: generation 1 range [a='a']
        a <- assigned 'a'
        """,
    )
    b.join()
    a.beat()
    a.ask_join()
    b.sync()
    a.assign()
    check(
        groups,
        """
        b: join
        b <- MEMBER_ID_REQUIRED
        b: join
        a: heartbeat <- REBALANCE_IN_PROGRESS
        a: join
        a <- generation 2 range, leads [a, b]
        b <- generation 2 range
        b: sync
        a: sync
        log: generation 2 range [a='a', b='b']
        b <- assigned 'b'
        a <- assigned 'a'
        """,
    )
    a.leave()
    b.beat()
    b.ask_join()
    b.assign()
    b.leave()
    check(
        groups,
        """
        a: leave
        b: heartbeat <- REBALANCE_IN_PROGRESS
        b: join
        b <- generation 3 range, leads [b]
        b: sync
        log: generation 3 range [b='b']
        b <- assigned 'b'
        b: leave
        log: generation 4 None []
        """,
    )


def test_a_crash_and_a_takeover(groups: GroupContext) -> None:
    """A member dies without a word; the others go on when its session has ended."""
    a, b, c = groups.stable("a", "b", "c", session_ms=6_000)
    a.commit(("t", 0, 100))
    groups.transcript.clear()
    groups.advance(5_000)
    b.beat()
    c.beat()
    groups.advance(1_000)
    c.beat()
    c.ask_join()
    b.beat()
    b.ask_join()
    c.sync()
    b.assign()
    b.commit(("t", 0, 110))
    a.beat()
    a.commit(("t", 0, 105))
    check(
        groups,
        """
        b: heartbeat <- NONE
        c: heartbeat <- NONE
        c: heartbeat <- REBALANCE_IN_PROGRESS
        c: join
        b: heartbeat <- REBALANCE_IN_PROGRESS
        b: join
        b <- generation 3 range, leads [b, c]
        c <- generation 3 range
        c: sync
        b: sync
        log: generation 3 range [b='b', c='c']
        c <- assigned 'c'
        b <- assigned 'b'
        log: g t-0 at 110
        a: heartbeat <- UNKNOWN_MEMBER_ID
        """,
    )


def test_a_cooperative_rebalance(groups: GroupContext) -> None:
    """Two rounds: members give up what moves in the first, and get it in the second; nobody stops in between."""
    (a,) = groups.stable("a", protocols=["cooperative-sticky"])
    b = groups.client("b", protocols=["cooperative-sticky"])
    groups.transcript.clear()
    b.join()
    a.commit(("t", 0, 1))
    a.ask_join()
    b.sync()
    a.sync({a.id: b"0", b.id: b""})
    a.protocols["cooperative-sticky"] = subscription("t") + b"owned: 0"
    a.ask_join()
    b.beat()
    b.ask_join()
    a.sync({a.id: b"0", b.id: b"1"})
    b.sync()
    check(
        groups,
        """
        b: join
        b <- MEMBER_ID_REQUIRED
        b: join
        log: g t-0 at 1
        a: join
        a <- generation 2 cooperative-sticky, leads [a, b]
        b <- generation 2 cooperative-sticky
        b: sync
        a: sync
        log: generation 2 cooperative-sticky [a='0', b='']
        b <- assigned ''
        a <- assigned '0'
        a: join
        b: heartbeat <- REBALANCE_IN_PROGRESS
        b: join
        a <- generation 3 cooperative-sticky, leads [a, b]
        b <- generation 3 cooperative-sticky
        a: sync
        log: generation 3 cooperative-sticky [a='0', b='1']
        a <- assigned '0'
        b: sync
        b <- assigned '1'
        """,
    )


def test_a_static_member_restarts(groups: GroupContext) -> None:
    """Its process comes back within the session timeout: nobody else notices."""
    one, two = (groups.client(name, instance=name) for name in ("one", "two"))
    one.ask_join()
    two.ask_join()
    groups.advance(0)
    two.sync()
    one.assign()
    check(
        groups,
        """
        one: join
        two: join
        one <- generation 1 range, leads [one, two]
        two <- generation 1 range
        two: sync
        one: sync
        log: generation 1 range [one='one', two='two']
        two <- assigned 'two'
        one <- assigned 'one'
        """,
    )
    restarted = groups.client("one", instance="one")
    restarted.ask_join()
    restarted.sync()
    two.beat()
    one.beat()
    check(
        groups,
        """
        one: join
        log: generation 1 range [one='one', two='two']
        one <- generation 1 range, leads [one, two], no assignment needed
        one: sync
        one <- assigned 'one'
        two: heartbeat <- NONE
        one: heartbeat <- FENCED_INSTANCE_ID
        """,
    )


def test_the_coordinator_restarts_in_the_middle(groups: GroupContext) -> None:
    """What was held is lost with it; members find the last complete generation and rebalance from there."""
    a, b = groups.stable("a", "b")
    b.protocols["range"] = subscription("other")
    groups.transcript.clear()
    b.ask_join()
    a.beat()
    a.ask_join()
    groups.restart()
    b.beat()
    b.beat(generation_id=2)
    a.ask_join()
    b.ask_join()
    b.sync()
    a.assign()
    check(
        groups,
        """
        b: join
        a: heartbeat <- REBALANCE_IN_PROGRESS
        a: join
        a <- generation 3 range, leads [a, b]
        b <- generation 3 range
        b: heartbeat <- ILLEGAL_GENERATION
        b: heartbeat <- NONE
        a: join
        b: join
        a <- generation 3 range, leads [a, b]
        b <- generation 3 range
        b: sync
        a: sync
        log: generation 3 range [a='a', b='b']
        b <- assigned 'b'
        a <- assigned 'a'
        """,
    )
