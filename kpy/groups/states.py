"""The states of a classic group and the moves between them, as data.

              join                   everybody joined, or time is up
Empty ----------------> Preparing -----------------------------------> Completing
  ^                      |  ^  ^                                        |   |
  +---- nobody joined ---+  |  +------- member joins, leaves, dies -----+   |  leader syncs
                            +------- member joins, leaves, dies --- Stable <+

any of them --- the group is deleted ---> Dead
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class GroupState(StrEnum):
    """The state of a classic group, by the name that clients see."""

    EMPTY = "Empty"
    """Nobody is in the group; it lives for its committed offsets.

    Joins start a rebalance. Heartbeat, sync and leave are answered UNKNOWN_MEMBER_ID. Anybody may commit.
    """

    PREPARING_REBALANCE = "PreparingRebalance"
    """Joins are held until all known members have sent theirs, or the rebalance timeout has passed.

    Heartbeat and sync are answered REBALANCE_IN_PROGRESS, which calls members to join. Members of the last generation
    may still commit.
    """

    COMPLETING_REBALANCE = "CompletingRebalance"
    """The generation has its members and waits for its leader to assign.

    Syncs of followers are held. Heartbeats are fine, commits are answered REBALANCE_IN_PROGRESS.
    """

    STABLE = "Stable"
    """Every member has, or can fetch with a sync, what it is assigned. Heartbeats and commits are fine."""

    DEAD = "Dead"
    """The group is deleted; nothing finds it any more."""


_EMPTY, _PREPARING = GroupState.EMPTY, GroupState.PREPARING_REBALANCE
_COMPLETING, _STABLE = GroupState.COMPLETING_REBALANCE, GroupState.STABLE

MOVES: Mapping[GroupState, frozenset[GroupState]] = MappingProxyType(
    {
        GroupState.EMPTY: frozenset({_PREPARING, GroupState.DEAD}),
        GroupState.PREPARING_REBALANCE: frozenset({_COMPLETING, _EMPTY, GroupState.DEAD}),
        GroupState.COMPLETING_REBALANCE: frozenset({_STABLE, _PREPARING, GroupState.DEAD}),
        GroupState.STABLE: frozenset({_PREPARING, GroupState.DEAD}),
        GroupState.DEAD: frozenset(),
    }
)
"""Where a group may go from each state."""

RECORDED = frozenset({_EMPTY, _STABLE})
"""What records tell of. A log that is loaded jumps between these, since rebalances leave no other trace in it."""


class IllegalMoveError(Exception):
    """A bug: a group was moved where its state does not lead."""


def check_move(group_id: str, current: GroupState, target: GroupState) -> None:
    """Raise unless the table has the move."""
    if target not in MOVES[current]:
        raise IllegalMoveError(f"group {group_id!r}: {current} does not lead to {target}")


def check_recorded_move(group_id: str, current: GroupState, target: GroupState) -> None:
    """As `check_move`, for the state that a record puts a group into."""
    if current not in RECORDED:
        check_move(group_id, current, target)
