"""The state table of classic groups."""

import pytest

from kpy.groups.states import MOVES, GroupState, IllegalMoveError, check_move, check_recorded_move

EMPTY, PREPARING, COMPLETING, STABLE, DEAD = GroupState

PREVIOUS = {  # as ClassicGroupState has it, the other way round
    EMPTY: {PREPARING},
    PREPARING: {STABLE, COMPLETING, EMPTY},
    COMPLETING: {PREPARING},
    STABLE: {COMPLETING},
    DEAD: {STABLE, PREPARING, COMPLETING, EMPTY},
}


def test_the_table_is_kafkas() -> None:
    """Every state can be reached from exactly the states that Kafka allows, but the dead do not die again."""
    assert {state: {s for s in MOVES if state in MOVES[s]} for state in GroupState} == PREVIOUS


@pytest.mark.parametrize("current", GroupState)
@pytest.mark.parametrize("target", GroupState)
def test_an_illegal_move_raises(current: GroupState, target: GroupState) -> None:
    """A move that the table lacks is a bug and loud."""
    if current in PREVIOUS[target]:
        check_move("g", current, target)
        return
    with pytest.raises(IllegalMoveError, match=f"'g': {current} does not lead to {target}"):
        check_move("g", current, target)


def test_records_jump_between_what_they_tell_of() -> None:
    """A log goes from stable to stable, empty to stable and back; but a live round must fit the record."""
    for current in (EMPTY, STABLE):
        for target in (EMPTY, STABLE):
            check_recorded_move("g", current, target)
    check_recorded_move("g", COMPLETING, STABLE)
    check_recorded_move("g", PREPARING, EMPTY)
    with pytest.raises(IllegalMoveError):
        check_recorded_move("g", PREPARING, STABLE)
