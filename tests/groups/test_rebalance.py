"""How a group gets from one generation to the next: who is waited for, for how long, and what ends the wait."""

import logging

import pytest

from kpy.groups.records import empty_group, group_record
from kpy.protocol.errors import ErrorCode
from kpy.protocol.group_records import GroupMetadataValue, MemberMetadata
from kpy.protocol.messages.leave_group import LeaveGroupRequest
from tests.groups.group_context import GroupContext, settle, subscription


def test_a_new_group_waits_for_more_members() -> None:
    """The first round takes the initial delay, so that members that start together rebalance once."""
    groups = GroupContext(initial_rebalance_delay_ms=3_000)
    a = groups.client("a", version=0)
    answer = a.ask_join()
    groups.advance(2_999)
    assert answer.is_parked
    groups.advance(1)
    assert answer.code is ErrorCode.NONE


def test_each_new_member_prolongs_the_first_round_up_to_the_rebalance_timeout() -> None:
    """As long as somebody new comes within each delay, the round goes on, but not beyond the rebalance timeout."""
    groups = GroupContext(initial_rebalance_delay_ms=1_000)
    options = {"version": 3, "session_ms": 60_000, "rebalance_ms": 2_500}
    answers = [groups.client("a", **options).ask_join()]
    for name in "bcd":
        groups.advance(800)
        answers.append(groups.client(name, **options).ask_join())
        assert all(answer.is_parked for answer in answers)
    groups.advance(99)
    assert all(answer.is_parked for answer in answers)
    groups.advance(1)

    assert {answer.code for answer in answers} == {ErrorCode.NONE}
    assert len(answers[0].message.members) == 4


def test_a_first_round_that_nobody_joins_late_is_not_prolonged() -> None:
    """Without a new member the first delay is the last."""
    groups = GroupContext(initial_rebalance_delay_ms=1_000)
    answers = [groups.client(name, version=3).ask_join() for name in "ab"]
    groups.advance(1_000)
    assert all(answer.is_parked for answer in answers)  # b came after the delay had begun
    groups.advance(1_000)
    assert {answer.code for answer in answers} == {ErrorCode.NONE}


def test_members_that_leave_do_not_cut_the_first_round_short() -> None:
    """Only the timer ends it; when everybody has gone, the group is empty with a generation of its own."""
    groups = GroupContext(initial_rebalance_delay_ms=1_000)
    a = groups.client("a")
    answer = a.join()
    a.leave()
    assert answer.code is ErrorCode.UNKNOWN_MEMBER_ID
    assert groups.state("g") == "PreparingRebalance"
    groups.advance(1_000)

    assert groups.records == [group_record("g", empty_group("consumer", 1, groups.now_ms))]
    assert groups.state("g") == "Empty"


def test_who_does_not_join_in_time_is_out(groups: GroupContext) -> None:
    """The longest rebalance timeout of all members counts; heartbeats do not save a member that does not join."""
    a = groups.client("a", rebalance_ms=2_000)
    b = groups.client("b", rebalance_ms=4_000)
    settle(groups, [a, b])
    c = groups.client("c", rebalance_ms=100)
    joined = c.join()
    a.ask_join()
    for _ in range(4):
        assert joined.is_parked
        groups.advance(1_000)
        b.beat()

    assert joined.code is ErrorCode.NONE
    assert (a.leads, a.peers) == (True, [a.id, c.id])
    assert b.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_another_member_leads_when_the_leader_fails(groups: GroupContext) -> None:
    """Of those that have joined, the member that was in the group first."""
    a, b, c = groups.stable("a", "b", "c", session_ms=2_000)
    for _ in range(2):
        groups.advance(1_000)
        b.beat()
        c.beat()
    assert a.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    c.ask_join()
    b.ask_join()
    assert (b.leads, c.leads) == (True, False)


def test_a_member_without_heartbeats_is_out(groups: GroupContext) -> None:
    """After its session timeout the others rebalance without it; each sign of life begins the session anew."""
    a, b = groups.stable("a", "b", session_ms=1_000)
    groups.advance(900)
    assert (a.beat(), b.commit(("t", 0, 1))) == (ErrorCode.NONE, [ErrorCode.NONE])
    groups.advance(900)
    assert a.beat() is ErrorCode.NONE
    groups.advance(99)
    assert groups.state("g") == "Stable"
    groups.advance(1)

    assert groups.state("g") == "PreparingRebalance"
    assert b.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    assert a.beat() is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_commit_of_nothing_that_exists_is_no_sign_of_life(groups: GroupContext) -> None:
    """Kafka answers it without asking the group; one that is refused for its metadata has been there."""
    a, b = groups.stable("a", "b", session_ms=1_000)
    groups.advance(900)
    large = "x" * (groups.config.offset_metadata_max_bytes + 1)
    assert a.commit(("t", 0, 1), metadata=large) == [ErrorCode.OFFSET_METADATA_TOO_LARGE]
    assert b.commit(("missing", 0, 1), ("t", 99, 1)) == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * 2
    groups.advance(100)

    assert a.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    assert b.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_held_request_counts_as_a_sign_of_life(groups: GroupContext) -> None:
    """Members whose join or sync is held need no heartbeats; their session begins with the answer."""
    a, b = groups.stable("a", "b", session_ms=1_000, rebalance_ms=60_000)
    joined = b.ask_join()  # unchanged, so it is answered; then with news, which is held
    assert joined.code is ErrorCode.NONE
    b.protocols["range"] = subscription("other")
    held = b.ask_join()
    for _ in range(5):
        groups.advance(900)
        assert a.beat() is ErrorCode.REBALANCE_IN_PROGRESS
    assert held.is_parked
    a.ask_join()
    assert held.code is ErrorCode.NONE
    waiting = b.sync()
    for _ in range(5):
        groups.advance(900)
        assert a.beat() is ErrorCode.NONE
    assert waiting.is_parked
    a.assign()
    assert waiting.message.assignment == b"b"
    groups.advance(999)
    assert b.beat() is ErrorCode.NONE


@pytest.mark.parametrize("syncs", [False, True])
def test_a_session_begins_with_the_answer_to_a_held_request(groups: GroupContext, syncs: bool) -> None:
    """However long a join or a sync was held: who falls silent after its answer is out when the session is over."""
    a, b = groups.stable("a", "b", session_ms=1_000, rebalance_ms=60_000)
    b.protocols["range"] = subscription("other")
    held = b.ask_join()
    if syncs:
        a.ask_join()
        held = b.sync()
    for _ in range(2):
        groups.advance(900)
        a.beat()
    a.assign() if syncs else a.ask_join()
    assert held.code is ErrorCode.NONE
    groups.advance(999)
    assert (a.beat(), groups.state("g")) == (ErrorCode.NONE, "Stable" if syncs else "CompletingRebalance")
    groups.advance(1)

    assert groups.state("g") == "PreparingRebalance"
    assert b.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_session_begins_when_a_held_sync_is_called_off(groups: GroupContext) -> None:
    """A round that begins meanwhile answers it; who falls silent then is out before the round's time is up."""
    a, b = groups.stable("a", "b", session_ms=1_000, rebalance_ms=60_000)
    a.ask_join()
    b.ask_join()
    held = b.sync()
    for _ in range(2):
        groups.advance(900)
        a.beat()
    assert held.is_parked
    groups.client("c").join()
    assert held.code is ErrorCode.REBALANCE_IN_PROGRESS
    groups.advance(999)
    assert (a.beat(), len(groups.describe("g").members)) == (ErrorCode.REBALANCE_IN_PROGRESS, 3)
    groups.advance(1)

    assert b.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_joins_again_may_ask_for_other_timeouts(groups: GroupContext) -> None:
    """The ones that it asked for last count, for its session and for the round."""
    a, b = groups.stable("a", "b", session_ms=60_000, rebalance_ms=60_000)
    a.session_ms, a.rebalance_ms, b.rebalance_ms = 1_000, 5_000, 4_000
    for client in (a, b):
        client.protocols["range"] = subscription("other")
        client.ask_join()
    a.assign()
    b.sync()
    groups.advance(1_000)
    assert a.beat() is ErrorCode.UNKNOWN_MEMBER_ID

    settle(groups, [b])
    groups.client("c", session_ms=60_000, rebalance_ms=2_000).join()
    groups.advance(3_999)
    assert groups.state("g") == "PreparingRebalance"
    groups.advance(1)
    assert groups.state("g") == "CompletingRebalance"
    assert b.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_the_last_one_to_go_empties_the_group(groups: GroupContext) -> None:
    """The group stays, for its offsets, with the next generation and no members, in the log too."""
    (a,) = groups.stable("a")
    assert a.leave() is ErrorCode.NONE

    assert groups.records == [group_record("g", empty_group("consumer", 2, groups.now_ms))]
    assert groups.state("g") == "Empty"
    groups.restart()
    assert groups.state("g") == "Empty"


def test_the_first_of_a_group_that_was_empty_sets_the_protocol_type(groups: GroupContext) -> None:
    """What its former members spoke does not count, and generations go on."""
    (a,) = groups.stable("a")
    a.leave()
    b = groups.client("b", protocol_type="connect")
    b.join()
    groups.advance(0)

    assert b.generation == 3
    assert groups.describe("g").protocol_type == "connect"


def test_who_never_syncs_is_out(groups: GroupContext) -> None:
    """Members that have not fetched their assignment after the rebalance timeout are removed; the rest rebalances."""
    a, b = groups.stable("a", "b", session_ms=60_000, rebalance_ms=5_000)
    a.ask_join()
    b.protocols["range"] = subscription("other")
    b.ask_join()
    a.assign()
    groups.advance(4_999)
    assert groups.state("g") == "Stable"
    groups.advance(1)

    assert groups.state("g") == "PreparingRebalance"
    assert b.beat() is ErrorCode.UNKNOWN_MEMBER_ID
    assert a.beat() is ErrorCode.REBALANCE_IN_PROGRESS


def test_a_sync_may_come_after_the_leader_s(groups: GroupContext) -> None:
    """It is answered at once, and the wait for syncs ends with the last one: nobody is removed when its time is up."""
    a, b = groups.stable("a", "b", session_ms=60_000, rebalance_ms=5_000)
    b.protocols["range"] = subscription("other")
    b.ask_join()
    a.ask_join()
    a.assign()
    assert b.sync().message.assignment == b"b"
    groups.advance(5_000)

    assert (a.beat(), b.beat()) == (ErrorCode.NONE, ErrorCode.NONE)


def test_a_leader_that_never_syncs_is_out(groups: GroupContext) -> None:
    """Followers that wait for it are called to join again."""
    a, b = groups.stable("a", "b", session_ms=60_000, rebalance_ms=5_000)
    a.ask_join()
    b.ask_join()
    waiting = b.sync()
    groups.advance(5_000)

    assert waiting.code is ErrorCode.REBALANCE_IN_PROGRESS
    b.ask_join()
    assert b.leads
    assert a.beat() is ErrorCode.UNKNOWN_MEMBER_ID


def test_the_wait_for_syncs_ends_when_all_have_synced(groups: GroupContext) -> None:
    """Nothing happens to a group in which everybody has its assignment."""
    a, b = groups.stable("a", "b", session_ms=60_000, rebalance_ms=5_000)
    groups.advance(10_000)
    assert groups.state("g") == "Stable"
    assert (a.beat(), b.beat()) == (ErrorCode.NONE, ErrorCode.NONE)


def test_a_generation_is_one_record(groups: GroupContext) -> None:
    """Written when the leader has assigned, with Kafka's fields; joins and heartbeats leave no trace."""
    a = groups.client("a", rebalance_ms=20_000)
    a.join()
    groups.advance(0)
    began_ms = groups.now_ms
    groups.advance(50)
    a.sync({a.id: b"parts"})

    assert groups.records == [
        group_record(
            "g",
            GroupMetadataValue(
                protocol_type="consumer",
                generation=1,
                protocol="range",
                leader=a.id,
                current_state_timestamp=began_ms,
                members=[
                    MemberMetadata(
                        member_id=a.id,
                        group_instance_id=None,
                        client_id="a",
                        client_host="/127.0.0.1",
                        rebalance_timeout=20_000,
                        session_timeout=10_000,
                        subscription=subscription("t"),
                        assignment=b"parts",
                    )
                ],
            ),
        )
    ]


def test_the_log_says_why(groups: GroupContext, caplog: pytest.LogCaptureFixture) -> None:
    """The reasons that members give (KIP-800), for who reads the broker's log; 255 characters of each."""
    caplog.set_level(logging.INFO, logger="kpy.groups")
    (a,) = groups.stable("a")
    a.ask_join(reason="the topic has grown" + "!" * 500)
    groups.leave("g", (a.id, None), reason="scaled down")

    assert "joins again: the topic has grown!" in caplog.text
    assert "leaves: scaled down" in caplog.text
    assert "!" * 256 not in caplog.text


def test_an_empty_group_whose_record_fails_takes_new_members(groups: GroupContext) -> None:
    """The last member has gone, whatever the log says; who comes next begins the next generation."""
    (a,) = groups.stable("a")
    groups.appends_fail = True
    request = LeaveGroupRequest(group_id="g", member_id=a.id)
    answer = groups.ask(lambda to: groups.machine.leave_group(request, version=0, reply_to=to, now_ms=groups.now_ms))
    assert answer.error is not None
    groups.appends_fail = False
    (b,) = groups.stable("b")
    assert b.generation == 2
    groups.check_replay()


def test_an_empty_group_whose_record_fails_is_recorded_later(groups: GroupContext) -> None:
    """With the next look for what has expired, so that it does not live for ever."""
    (a,) = groups.stable("a")
    groups.appends_fail = True
    request = LeaveGroupRequest(group_id="g", member_id=a.id)
    groups.ask(lambda to: groups.machine.leave_group(request, version=0, reply_to=to, now_ms=groups.now_ms))
    groups.appends_fail = False
    interval_ms = groups.config.offsets_retention_check_interval_ms
    assert groups.advance(interval_ms) == [group_record("g", empty_group("consumer", 2, groups.now_ms))]
    assert groups.state("g") == "Empty"
    assert groups.advance(interval_ms) == [group_record("g", None)]


@pytest.mark.parametrize("seconds", [1, 100])
def test_a_loaded_group_is_as_it_was(groups: GroupContext, seconds: int) -> None:
    """Members find their generation, their assignment and a new session after a restart."""
    clients = groups.stable("a", "b", "c")
    before = groups.describe("g")
    groups.now_ms += seconds * 1000
    groups.restart()

    assert groups.describe("g") == before
    assert [client.beat() for client in clients] == [ErrorCode.NONE] * 3
    assert [client.sync().message.assignment for client in clients] == [b"a", b"b", b"c"]
    groups.advance(9_999)
    assert groups.state("g") == "Stable"
    groups.advance(1)
    assert groups.state("g") == "Empty"


def test_members_that_a_restart_has_outlived_are_out(groups: GroupContext) -> None:
    """Sessions begin anew with it, for members that never come back, too."""
    groups.stable("a", "b", session_ms=1_000)
    groups.restart()
    groups.advance(999)
    assert groups.state("g") == "Stable"
    groups.advance(1)
    assert groups.state("g") == "Empty"


def test_a_rebalance_that_a_restart_cuts_short_begins_again(groups: GroupContext) -> None:
    """The generation that was complete is the one that is loaded; who was in it joins again and gets the next."""
    a, b = groups.stable("a", "b")
    c = groups.client("c")
    c.join()
    a.ask_join()
    groups.restart()

    assert [m.client_id for m in groups.describe("g").members] == ["a", "b"]
    assert c.ask_join().code is ErrorCode.UNKNOWN_MEMBER_ID
    c.id = ""
    settle(groups, [a, b, c])
    assert a.generation == b.generation == c.generation > 2
