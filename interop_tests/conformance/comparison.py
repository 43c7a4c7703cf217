"""A broker's recorded answers, compared with Apache Kafka's and with the list of how they may differ.

The answer to a question is a list of steps, each an object with the name of an `api` and the `reply` to it, or what
else became of the request. A listed difference is applied to Kafka's answer, and the broker's has to equal what comes
out: so what is not listed shows in the same reply too, and what is listed shows when it no longer happens.

A path says where a value is: "1.reply.Topics[0].ErrorCode" is in the first step.
"""

import copy
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

Steps = list[dict[str, Any]]

UNKNOWN_SERVER_ERROR = -1
ABSENT = "(absent)"


class Misfit(Exception):
    """Kafka's answer is not the one for which a difference was listed."""


class Differs(NamedTuple):
    """At `path` Kafka has one value and kpy another."""

    path: str
    kafka: Any
    kpy: Any

    def apply(self, steps: Steps) -> None:
        place, name = _place(steps, self.path)
        if place[name] != self.kafka:
            raise Misfit(f"{self.path} is {_text(place[name])} on Kafka, not {_text(self.kafka)}")
        place[name] = copy.deepcopy(self.kpy)


class Lacks(NamedTuple):
    """Of the list or object at `path` kpy has all members but these; objects in a list are told apart by a field."""

    path: str
    members: frozenset[Any]
    told_by: str | None = None

    def apply(self, steps: Steps) -> None:
        place, name = _place(steps, self.path)
        value = place[name]
        names = [member if self.told_by is None else member[self.told_by] for member in value]
        if missing := self.members - set(names):
            raise Misfit(f"{self.path} has no {', '.join(map(str, sorted(missing)))} on Kafka")
        if isinstance(value, dict):
            place[name] = {member: value[member] for member in names if member not in self.members}
        else:
            place[name] = [item for member, item in zip(names, value, strict=True) if member not in self.members]


class Closes(NamedTuple):
    """Where Kafka replies in this step, kpy closes the connection."""

    step: int

    def apply(self, steps: Steps) -> None:
        place, name = _place(steps, str(self.step))
        if "reply" not in place[name]:
            raise Misfit(f"Kafka has no reply in step {self.step}")
        place[name] = {"api": place[name]["api"], "outcome": "closed"}


class Anticipates(NamedTuple):
    """kpy gives in this step the reply that Kafka gives in a later one."""

    step: int
    later: int

    def apply(self, steps: Steps) -> None:
        place, name = _place(steps, f"{self.step}.reply")
        later, _ = _place(steps, f"{self.later}.reply")
        place[name] = copy.deepcopy(later["reply"])


Change = Differs | Lacks | Closes | Anticipates


class Verdict(Enum):
    """How an answer compares: it is Kafka's, differs in what is listed for one of three reasons, or is otherwise."""

    EXACT = "exact"
    BETTER = "better"
    STRICTER = "stricter"
    NOT_SERVED = "not served"
    OTHERWISE = "otherwise"


class Difference(NamedTuple):
    """Why kpy answers some questions in another way, and in which."""

    verdict: Verdict
    reason: str
    changes: Mapping[str, Sequence[Change]]
    """By the names of the questions."""


class Listed(NamedTuple):
    """How the answer to one question differs."""

    verdict: Verdict
    changes: Sequence[Change]


class Outcome(NamedTuple):
    """How the answer to one question compares, and in which lines "path: what it should be | what it is"."""

    verdict: Verdict
    lines: Sequence[str]


def by_question(differences: Sequence[Difference]) -> dict[str, Listed]:
    return {name: Listed(each.verdict, changes) for each in differences for name, changes in each.changes.items()}


def compare_all(
    kafka: Mapping[str, Steps], got: Mapping[str, Steps], listed: Mapping[str, Listed]
) -> dict[str, Outcome]:
    """The outcome of each question that Kafka has answered or that is listed."""
    outcomes = {}
    for name in sorted(kafka.keys() | listed.keys()):
        if name not in kafka:
            outcomes[name] = Outcome(Verdict.OTHERWISE, ["it is listed, and not asked"])
        else:
            outcomes[name] = compare(kafka[name], got.get(name, []), listed.get(name))
    return outcomes


def compare(kafka: Steps, got: Steps, listed: Listed | None = None) -> Outcome:
    if listed is None:
        lines = list(_differences(kafka, got, ""))
        return Outcome(Verdict.OTHERWISE if lines else Verdict.EXACT, lines)
    if not any(_differences(kafka, got, "")):
        return Outcome(Verdict.OTHERWISE, ["it is listed, and the same as on Kafka"])
    wanted = copy.deepcopy(kafka)
    try:
        for change in listed.changes:
            change.apply(wanted)
    except Misfit as misfit:
        return Outcome(Verdict.OTHERWISE, [f"what is listed does not fit: {misfit}", *_differences(kafka, got, "")])
    lines = list(_differences(wanted, got, ""))
    return Outcome(Verdict.OTHERWISE if lines else listed.verdict, lines)


def counts(outcomes: Mapping[str, Outcome]) -> dict[str, Counter[Verdict]]:
    """How many questions of each area, and of all, compare how."""
    rows: dict[str, Counter[Verdict]] = {area: Counter() for area in (*sorted(set(map(area_of, outcomes))), "total")}
    for name, outcome in outcomes.items():
        rows[area_of(name)][outcome.verdict] += 1
        rows["total"][outcome.verdict] += 1
    return rows


def area_of(name: str) -> str:
    """The name of a question begins with its area."""
    return name.partition(".")[0]


def _differences(wanted: Any, got: Any, path: str) -> Iterator[str]:
    """Leaf by leaf. Where Kafka fails with UNKNOWN_SERVER_ERROR any error is as good, with or without words."""
    if wanted == got:
        return
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in [*wanted, *(key for key in got if key not in wanted)]:
            if not (key in {"ErrorCode", "ErrorMessage"} & wanted.keys() & got.keys() and _forgives(wanted, got)):
                yield from _differences(wanted.get(key, ABSENT), got.get(key, ABSENT), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(got, list) and (len(wanted) == len(got) or not path):
        for index in range(max(len(wanted), len(got))):
            ours, theirs = (steps[index] if index < len(steps) else ABSENT for steps in (wanted, got))
            yield from _differences(ours, theirs, f"{path}[{index}]" if path else str(index + 1))
    else:
        yield f"{path}: {_text(wanted)} | {_text(got)}"


def _forgives(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> bool:
    return wanted.get("ErrorCode") == UNKNOWN_SERVER_ERROR and got.get("ErrorCode", 0) != 0


def _place(steps: Steps, path: str) -> tuple[Any, Any]:
    """The list or object that has the value at `path`, and the index or name that it has there."""
    first, *rest = re.findall(r"[^.\[\]]+", path)
    place: Any = steps
    name: Any = int(first) - 1
    try:
        for part in rest:
            place = place[name]
            name = int(part) if isinstance(place, list) else part
        place[name]
    except (LookupError, TypeError, ValueError):
        raise Misfit(f"Kafka's answer has no {path}") from None
    return place, name


def _text(value: Any) -> str:
    return value if value == ABSENT else json.dumps(value, sort_keys=True)
