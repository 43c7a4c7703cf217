"""Answers compared with Apache Kafka's, and with the list of how they may differ, for made-up questions."""

import pytest

from interop_tests.conformance.comparison import (
    Anticipates,
    Change,
    Closes,
    Difference,
    Differs,
    Lacks,
    Listed,
    Outcome,
    Steps,
    Verdict,
    by_question,
    compare,
    compare_all,
    counts,
)

LEADERS = {"Topics": [{"ErrorCode": 0, "Name": "t", "Partitions": [{"LeaderId": 1}]}]}
CREATED: Steps = [
    {"api": "Metadata v0", "reply": {"Topics": [{"ErrorCode": 3, "Name": "t", "Partitions": []}]}},
    {"api": "Metadata v0", "reply": LEADERS},
]
KEYS: Steps = [
    {"api": "ApiVersions v4", "reply": {"Keys": [{"Key": key, "Max": 2} for key in (1, 5, 7)]}},
    {"note": {"lowest": {"1": 0, "5": 1, "7": 0}}},
]
WITHOUT_5 = Listed(
    Verdict.NOT_SERVED,
    [Lacks("1.reply.Keys", frozenset({5}), told_by="Key"), Lacks("2.note.lowest", frozenset({"5"}))],
)


def step(**reply: object) -> Steps:
    return [{"api": "Fetch v4", "reply": reply}]


def keys(*versions: tuple[int, int], lowest: dict[str, int]) -> Steps:
    table = [{"Key": key, "Max": maximum} for key, maximum in versions]
    return [{"api": "ApiVersions v4", "reply": {"Keys": table}}, {"note": {"lowest": lowest}}]


def test_equal_answers_are_exact() -> None:
    """An answer that equals Kafka's is exact, in whatever order its fields are."""
    got = step(ErrorCode=0, Name="t")

    assert compare(step(Name="t", ErrorCode=0), got) == Outcome(Verdict.EXACT, [])


@pytest.mark.parametrize(
    ("got", "line"),
    [
        (step(Topics=[{"Name": "t", "ErrorCode": 5}]), "1.reply.Topics[0].ErrorCode: 0 | 5"),
        (step(Topics=[{"Name": "t"}]), "1.reply.Topics[0].ErrorCode: 0 | (absent)"),
        (step(Topics=[{"Name": "t", "ErrorCode": 0, "New": "x"}]), '1.reply.Topics[0].New: (absent) | "x"'),
        (step(Topics=[]), '1.reply.Topics: [{"ErrorCode": 0, "Name": "t"}] | []'),
        ([], '1: {"api": "Fetch v4", "reply": {"Topics": [{"ErrorCode": 0, "Name": "t"}]}} | (absent)'),
        ([*step(Topics=[{"Name": "t", "ErrorCode": 0}]), {"note": 1}], '2: (absent) | {"note": 1}'),
    ],
)
def test_what_is_not_listed_is_told(got: Steps, line: str) -> None:
    """A difference that is not listed is told with its place and both values, in full."""
    kafka = step(Topics=[{"Name": "t", "ErrorCode": 0}])

    assert compare(kafka, got) == Outcome(Verdict.OTHERWISE, [line])


def test_any_error_for_an_unknown_server_error() -> None:
    """Where Kafka fails with UNKNOWN_SERVER_ERROR another error will do, with or without words; no error will not."""
    kafka = step(ErrorCode=-1, ErrorMessage=None, Name="t")

    assert compare(kafka, step(ErrorCode=42, ErrorMessage="<text>", Name="t")).verdict is Verdict.EXACT
    assert compare(kafka, step(ErrorCode=0, ErrorMessage=None, Name="t")).lines == ["1.reply.ErrorCode: -1 | 0"]
    assert compare(kafka, step(ErrorCode=42, ErrorMessage=None, Name="u")).lines == ['1.reply.Name: "t" | "u"']


@pytest.mark.parametrize(
    ("kafka", "change", "got"),
    [
        (step(Code=0, Name="t"), Differs("1.reply.Code", kafka=0, kpy=95), step(Code=95, Name="t")),
        (step(Names=["a", "b"]), Lacks("1.reply.Names", frozenset("a")), step(Names=["b"])),
        (CREATED, Anticipates(1, 2), [CREATED[1], CREATED[1]]),
        (CREATED, Closes(2), [CREATED[0], {"api": "Metadata v0", "outcome": "closed"}]),
    ],
)
def test_what_is_listed_may_differ(kafka: Steps, change: Change, got: Steps) -> None:
    """An answer that differs in what is listed and in nothing else is what the list says of it."""
    for verdict in (Verdict.BETTER, Verdict.STRICTER):
        assert compare(kafka, got, Listed(verdict, [change])) == Outcome(verdict, [])


def test_the_rest_of_a_table_has_to_be_equal() -> None:
    """A table that lacks the listed keys is what the list says; another version, or one more missing key, shows."""
    lowest = {"1": 0, "7": 0}

    assert compare(KEYS, keys((1, 2), (7, 2), lowest=lowest), WITHOUT_5).verdict is Verdict.NOT_SERVED
    assert compare(KEYS, keys((1, 2), (7, 9), lowest=lowest), WITHOUT_5).lines == ["1.reply.Keys[1].Max: 2 | 9"]
    assert compare(KEYS, keys((1, 2), lowest=lowest), WITHOUT_5).verdict is Verdict.OTHERWISE
    assert compare(KEYS, keys((1, 2), (7, 2), lowest={"1": 0}), WITHOUT_5).lines == ["2.note.lowest.7: 0 | (absent)"]


def test_a_new_fault_beside_a_listed_one() -> None:
    """What is listed hides nothing else in the same reply, nor another value in the same place."""
    kafka, listed = step(Code=0, Name="t"), Listed(Verdict.STRICTER, [Differs("1.reply.Code", kafka=0, kpy=95)])

    assert compare(kafka, step(Code=95, Name="u"), listed).lines == ['1.reply.Name: "t" | "u"']
    assert compare(kafka, step(Code=7, Name="t"), listed).lines == ["1.reply.Code: 95 | 7"]


def test_a_listed_difference_has_to_happen() -> None:
    """What is listed and does not differ any more, as a whole or in part, has to leave the list."""
    assert compare(KEYS, KEYS, WITHOUT_5) == Outcome(Verdict.OTHERWISE, ["it is listed, and the same as on Kafka"])
    in_part = compare(KEYS, keys((1, 2), (7, 2), lowest={"1": 0, "5": 1, "7": 0}), WITHOUT_5)
    assert in_part == Outcome(Verdict.OTHERWISE, ["2.note.lowest.5: (absent) | 1"])


@pytest.mark.parametrize(
    ("change", "misfit"),
    [
        (Differs("1.reply.Code", kafka=1, kpy=95), "1.reply.Code is 0 on Kafka, not 1"),
        (Differs("1.reply.Names[2]", kafka="c", kpy="d"), "Kafka's answer has no 1.reply.Names[2]"),
        (Differs("3.reply", kafka=0, kpy=1), "Kafka's answer has no 3.reply"),
        (Lacks("1.reply.Names", frozenset({"a", "z"})), "1.reply.Names has no z on Kafka"),
        (Closes(2), "Kafka has no reply in step 2"),
    ],
)
def test_what_is_listed_has_to_fit_kafkas_answer(change: Change, misfit: str) -> None:
    """A difference from something that Kafka does not say is told, and so is what differs."""
    kafka: Steps = [*step(Code=0, Names=["a", "b"]), {"note": 1}]
    got: Steps = [*step(Code=0, Names=["a", "b"]), {"note": 2}]

    outcome = compare(kafka, got, Listed(Verdict.BETTER, [change]))
    assert outcome == Outcome(Verdict.OTHERWISE, [f"what is listed does not fit: {misfit}", "2.note: 1 | 2"])


def test_counts() -> None:
    """Every question counts in its area and in the total; one that is listed and not asked counts as a difference."""
    listed = by_question(
        [
            Difference(Verdict.BETTER, "because", {"metadata.created@0": [Anticipates(1, 2)]}),
            Difference(Verdict.NOT_SERVED, "so", {"topics.gone": [Closes(1)]}),
        ]
    )
    outcomes = compare_all(
        {"metadata.created@0": CREATED, "topics.one": step(Code=0), "topics.two": step(Code=0)},
        {"metadata.created@0": [CREATED[1], CREATED[1]], "topics.one": step(Code=0)},
        listed,
    )

    assert counts(outcomes) == {
        "metadata": {Verdict.BETTER: 1},
        "topics": {Verdict.EXACT: 1, Verdict.OTHERWISE: 2},
        "total": {Verdict.BETTER: 1, Verdict.EXACT: 1, Verdict.OTHERWISE: 2},
    }
