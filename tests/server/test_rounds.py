"""What is put off is done when the round ends."""

from kpy.server.rounds import Rounds


def test_what_is_put_off_is_done_once_when_the_round_ends() -> None:
    """In the order in which it was put off, and not again in the next round."""
    rounds, done = Rounds(), list[str]()
    rounds.begin()
    rounds.put_off(lambda: done.append("first"))
    rounds.put_off(lambda: done.append("second"))
    assert done == []

    rounds.end()
    rounds.begin()
    rounds.end()

    assert done == ["first", "second"]


def test_what_comes_of_it_is_done_when_nothing_can_be_put_off_any_more() -> None:
    """A round ends, whatever its end brings about: that finds it closed, and is not put off for ever."""
    rounds, found_open = Rounds(), list[bool]()

    def look() -> None:
        found_open.append(rounds.is_open)
        if rounds.is_open:
            rounds.put_off(look)

    rounds.begin()
    rounds.put_off(look)
    rounds.end()

    assert found_open == [True, False]
    assert not rounds.is_open
