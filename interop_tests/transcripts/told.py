"""Conversations that tell of one thing each, in the order in which a group comes to know it."""

from collections.abc import Callable
from typing import Any

from interop_tests.transcripts.conversation import Conversation, Party, subscription

Told = Callable[[Conversation], None]
SHORT_MS = 3_000
"""A timeout that runs out while somebody waits for it, and not between two steps on a machine that stalls."""


def stable(talk: Conversation, *names: str, **settings: Any) -> list[Party]:
    """Members of one stable generation, the first of them leading."""
    members = [talk.party(name, **{"client_id": name, "version": 5, **settings}) for name in names]
    for member in members:
        member.join()
        if not member.is_held and member.generation < 0:
            member.join()
        for older in members[: members.index(member)]:
            older.join()
    for member in reversed(members):
        member.sync()
    return members


def members_come_and_go(talk: Conversation) -> None:
    a, b, c = stable(talk, "a", "b", "c")
    b.leave()
    c.beat()
    c.join()
    a.join()
    c.sync()
    a.sync()
    talk.party("admin", version=5).remove((a.member_id, None), (c.member_id, None), ("nobody", None), reason="over")
    c.beat()
    a.join()


def old_clients(talk: Conversation) -> None:
    """Versions before a member had to know its id."""
    a, b = stable(talk, "a", "b", version=0)
    a.commit("topic", 5, version=2)
    a.commit("topic", 6, version=2, generation_id_or_member_epoch=1)
    b.leave()
    b.beat()
    a.beat()
    a.join()
    a.sync()
    a.leave()
    a.leave()


def a_session_ends(talk: Conversation) -> None:
    """One member is silent; the other hears of it and goes on, and the silent one is unknown."""
    a = talk.party("a")
    a.join()
    a.join()
    a.sync()
    b = talk.party("b", session_ms=SHORT_MS, rebalance_ms=SHORT_MS)
    b.join()
    b.join()
    a.join()
    b.sync()
    a.sync()
    talk.until("PreparingRebalance")
    b.beat()
    a.beat()
    a.join()
    a.sync()
    b.join()


def the_rebalance_timeout(talk: Conversation) -> None:
    """Who does not join in time is out, heartbeats or not; then who never syncs is out, too."""
    a, b = stable(talk, "a", "b", rebalance_ms=SHORT_MS)
    c = talk.party("c", rebalance_ms=SHORT_MS)
    c.join()
    c.join()
    a.join()
    b.beat()
    talk.until("CompletingRebalance")
    b.beat()
    c.sync()
    talk.until("PreparingRebalance")
    c.join()
    a.beat()
    c.sync()


def a_reserved_id(talk: Conversation) -> None:
    """An id that was given out holds a rebalance up, until it is given back or nobody has joined with it in time."""
    [a] = stable(talk, "a")
    b, c = talk.party("b"), talk.party("c", session_ms=SHORT_MS)
    b.join()
    a.join()
    b.leave()
    a.sync()
    c.join()
    a.join()
    talk.until("CompletingRebalance")
    c.join()
    a.sync()


def a_static_leader_returns(talk: Conversation) -> None:
    """In every version that may, to a stable group; the old process is fenced wherever it asks."""
    one = talk.party("one", instance="one", version=9)
    one.join()
    one.sync()
    two = talk.party("two", instance="two", version=5)
    two.join()
    one.join()
    two.sync()
    one.sync()
    again = talk.party("again", instance="one", version=9)
    again.join()
    again.sync()
    one.beat()
    one.sync()
    one.commit("topic", 1)
    one.join()
    one.leave()
    older = talk.party("older", instance="one", version=8)
    older.join()
    older.sync()
    again.beat()
    two.beat()
    two.leave()
    two.join(member_id="")


def a_static_member_returns_in_a_rebalance(talk: Conversation) -> None:
    """While joins are held its join is fenced, while the leader assigns its sync is, and all join again."""
    one, two = (talk.party(name, instance=name) for name in ("one", "two"))
    one.join()
    one.sync()
    two.join()
    one.join()
    two.sync()
    again = talk.party("again", instance="two")
    again.join()
    one.sync()
    one.join()
    again.sync()
    one.sync()
    again.protocols = ("other", "range")
    again.join()
    third = talk.party("third", instance="two")
    third.join()
    again.beat()
    one.join()
    third.sync()
    one.sync()


def static_members_are_removed(talk: Conversation) -> None:
    """By an administrator, by instance id; with the wrong member id they are fenced."""
    one, two = (talk.party(name, instance=name) for name in ("one", "two"))
    one.join()
    one.sync()
    two.join()
    one.join()
    two.sync()
    one.sync()
    admin = talk.party("admin")
    admin.remove(("", "three"), ("wrong", "one"), ("", None), ("wrong", None))
    admin.remove(("", "two"), reason="scaled down")
    two.beat()
    one.beat()
    one.join()
    admin.remove(("", "one"))
    one.sync()


def another_strategy(talk: Conversation) -> None:
    """Strategies are voted for; who shares none is refused, and a static member that changes the vote rebalances."""
    one = talk.party("one", instance="one", protocols=("range", "sticky"))
    one.join()
    one.sync()
    two = talk.party("two", instance="two", protocols=("sticky", "range"))
    two.join()
    one.join()
    two.sync()
    one.sync()
    stranger = talk.party("stranger", protocols=("other",))
    stranger.join()
    stranger.protocols, stranger.protocol_type = ("range",), "connect"
    stranger.join()
    again = talk.party("again", instance="one", protocols=("range",))
    again.join()
    two.join()
    two.sync()
    again.sync()
    two.sync(protocol_name="sticky")
    two.sync(protocol_type="connect")


def answers_that_were_lost(talk: Conversation) -> None:
    """Who asks again hears the same; news, or a leader, begin another round."""
    a, b = stable(talk, "a", "b")
    b.join()
    b.sync()
    a.sync()
    a.join()
    b.join()
    a.join()
    b.join()
    b.metadata = subscription("another")
    b.join()
    a.beat()
    a.sync()
    a.join()
    b.sync()
    a.sync()


def wrong_words(talk: Conversation) -> None:
    """Members that are not, generations that were, instances of others, in each request."""
    a = talk.party("a")
    a.beat(member_id="nobody")
    a.join(member_id="nobody")
    a.sync(member_id="nobody", protocol_name="range")
    a.commit("topic", 1, member_id="nobody", generation_id_or_member_epoch=3)
    a.commit("topic", 1, member_id="nobody", generation_id_or_member_epoch=3, version=8)
    a.remove(("nobody", None))
    stable(talk, "b")
    for changes in ({"member_id": "nobody"}, {"group_instance_id": "nobody"}, {"generation_id": 7}):
        b = talk.parties["b"]
        b.beat(**changes)
        b.sync(**changes)
        epoch = {"generation_id_or_member_epoch": 7} if "generation_id" in changes else changes
        b.commit("topic", 1, **epoch)
    a.commit("topic", 1)
    a.session_ms = 5
    a.join()
    a.session_ms = 2**31 - 1
    a.join()


def offsets_of_members(talk: Conversation) -> None:
    """Commits go on until the leader has to assign; what the group reads is not deleted, the rest is."""
    a, b = stable(talk, "a", "b")
    a.commit("topic", 10, 20)
    b.commit("other", 5, metadata="a note")
    b.metadata = subscription("another")
    b.join()
    a.commit("topic", 11, 21)
    a.join()
    a.commit("topic", 12)
    b.sync()
    a.sync()
    a.fetch("topic", 0, 1, 9)
    a.fetch(None, version=5)
    a.delete_offsets("topic", 0)
    a.delete_offsets("other", 0, 1, 9)
    a.delete_offsets("missing", 0)
    a.delete_group()
    a.list_groups(["stable"], ["classic"])
    a.list_groups(["Empty", "Dead"])
    a.list_groups([], ["consumer"])
    a.leave()
    b.leave()
    a.delete_offsets("topic", 0)
    a.fetch("topic", 0, 1)
    a.commit("topic", 3)
    a.delete_group()
    a.fetch("topic", 0)
    a.delete_group()


def offsets_without_members(talk: Conversation) -> None:
    """A group that only commits has no protocol, is empty, and anybody may; large metadata is refused."""
    a = talk.party("a")
    a.fetch("topic", 0)
    a.commit("topic", 1, 2, 3, metadata=None)
    a.commit("topic", 4, metadata="x" * 4096, member_id="whoever")
    a.commit("topic", 5, metadata="x" * 4097)
    a.commit("topic", 5, metadata="\U0001f600" * 2048)
    a.commit("topic", 6, metadata="\U0001f600" * 2049)
    a.commit("missing", 1)
    a.commit("topic", 7, version=3, retention_time_ms=3_600_000)
    a.commit("topic", 8, generation_id_or_member_epoch=0)
    a.fetch("topic", 2, 1, 0, version=1)
    a.fetch("missing", 0, version=7)
    a.list_groups(["Empty"])
    a.delete_offsets("topic", 0, 1)
    a.fetch("topic", 0, 1, 2, version=5)
    stable(talk, "b")
    a.commit("topic", 9)


def a_protocol_of_another_type(talk: Conversation) -> None:
    """Groups that are not of consumers guard all offsets, and an empty group takes the next type that comes."""
    [a] = stable(talk, "a", protocol_type="connect", metadata=b"opaque")
    a.commit("topic", 1)
    a.delete_offsets("topic", 0)
    a.leave()
    a.delete_offsets("topic", 0)
    stable(talk, "b", protocols=("range", "sticky"), metadata=b"\x00")
    talk.parties["b"].commit("other", 1)
    talk.parties["b"].delete_offsets("other", 0)


TOLD: dict[str, Told] = {
    told.__name__: told
    for told in (
        members_come_and_go,
        old_clients,
        a_session_ends,
        the_rebalance_timeout,
        a_reserved_id,
        a_static_leader_returns,
        a_static_member_returns_in_a_rebalance,
        static_members_are_removed,
        another_strategy,
        answers_that_were_lost,
        wrong_words,
        offsets_of_members,
        offsets_without_members,
        a_protocol_of_another_type,
    )
}
