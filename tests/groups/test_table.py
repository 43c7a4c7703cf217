"""Groups of both protocols under one roof: who takes whose place, and what the log says meanwhile."""

from kpy.protocol.errors import ErrorCode
from tests.groups.consumer.consumer_context import ConsumerContext


def test_a_classic_group_waits_in_the_place_of_an_empty_consumer_group() -> None:
    """Until its first generation is recorded, the log tells of the consumer group, and a restart brings that back."""
    groups = ConsumerContext()
    n = groups.member("n")
    n.join()
    n.leave()
    x = groups.client("x", version=3)
    held = x.ask_join()
    assert held.is_parked
    assert groups.state("g") == "PreparingRebalance"
    groups.check_replay()
    groups.restart()

    assert groups.described().group_state == "Empty"


def test_the_first_generation_ends_the_consumer_group() -> None:
    """Its tombstones and the generation are one batch."""
    groups = ConsumerContext()
    n = groups.member("n")
    n.join()
    n.leave()
    x = groups.client("x", version=3)
    x.ask_join()
    groups.advance(0)
    groups.transcript.clear()
    x.assign()

    assert groups.transcript[1:4] == ["log: no target", "log: topics forgotten", "log: consumer group deleted"]
    groups.check_replay()
    groups.restart()
    assert groups.state("g") == "Stable"
    assert groups.described().error_code == ErrorCode.GROUP_ID_NOT_FOUND


def test_a_reserved_member_id_ends_the_consumer_group() -> None:
    """A join that makes a classic group without a member does so in the log, too."""
    groups = ConsumerContext()
    n = groups.member("n")
    n.join()
    n.leave()
    x = groups.client("x")
    assert x.ask_join().code is ErrorCode.MEMBER_ID_REQUIRED
    groups.restart()

    assert groups.state("g") == "Empty"
    assert groups.machine.list_groups([], ["classic"])


def test_a_member_of_before_does_not_make_a_classic_group() -> None:
    """Only one without an id does, also where there is an empty consumer group."""
    groups = ConsumerContext()
    n = groups.member("n")
    n.join()
    n.leave()
    x = groups.client("x")
    x.id = "from-before"

    assert x.ask_join().code is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.described().group_state == "Empty"


def test_a_consumer_group_comes_while_a_classic_one_waits() -> None:
    """The empty consumer group of before, which the log still had, is gone with all of its records."""
    groups = ConsumerContext()
    n = groups.member("n", topics=None, pattern="t")
    n.join()
    n.leave()
    x = groups.classic("x", version=3)
    held = x.ask_join()
    m = groups.member("m")
    m.join()

    assert held.code is ErrorCode.REBALANCE_IN_PROGRESS
    groups.check_replay()
    assert len(groups.described().members) == 2


def test_a_failed_append_leaves_the_consumer_group() -> None:
    """The members that wait in the classic group join again."""
    groups = ConsumerContext()
    n = groups.member("n")
    n.join()
    n.leave()
    x = groups.client("x", version=3)
    x.ask_join()
    groups.advance(0)
    groups.appends_fail = True
    x.assign()
    groups.appends_fail = False
    groups.check_replay()
    x.ask_join()
    groups.advance(0)
    x.assign()

    groups.check_replay()
    assert groups.state("g") == "Stable"
