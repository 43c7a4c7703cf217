"""Where kpy answers otherwise than Apache Kafka 4.3.1, by intention or because something is not done, and why.

A run of `python -m interop_tests.conformance` fails for what differs and is not here, and for what is here and does not
differ. docs/conformance.md is made from this (`make docs`).
"""

from collections.abc import Mapping, Sequence

from interop_tests.conformance.comparison import Anticipates, Closes, Difference, Differs, Lacks, Verdict

QUESTIONS: Mapping[str, int] = {
    "framing": 57,
    "metadata": 56,
    "produce": 178,
    "fetch": 132,
    "offsets": 142,
    "commits": 63,
    "groups": 166,
    "topics": 145,
    "consumer": 84,
    "configs": 104,
    "cluster": 25,
    "apiversions": 12,
}
"""How many questions there are about what kpy serves, by area."""

SERVED = (
    *(f"{area}." for area in QUESTIONS if area != "cluster"),
    "cluster.feature_update",
    "cluster.unregister_broker",
)
"""What the names of these questions begin with."""

APIS_NOT_SERVED = frozenset({
    *range(24, 32), *range(38, 42), 45, *range(48, 52), 55, 65, 66, *range(76, 82), *range(83, 93),
})  # fmt: skip
"""The keys, of those that Kafka lists with its defaults: transactions, ACLs, delegation tokens, reassignment, quotas,
SCRAM, the quorum, share groups and Streams groups.
"""

FEATURES_NOT_SERVED = frozenset({"kraft.version", "share.version", "streams.version", "transaction.version"})
"""What says that these are there."""

_ADVERTISED = "1.reply.ApiKeys"
_TABLE = Lacks(_ADVERTISED, APIS_NOT_SERVED, told_by="ApiKey")
_FINALIZED = Lacks("1.reply.FinalizedFeatures", FEATURES_NOT_SERVED, told_by="Name")
_SUPPORTED = Lacks("1.reply.SupportedFeatures", FEATURES_NOT_SERVED, told_by="Name")
_KEYS = Lacks("1.note.keys", APIS_NOT_SERVED)
_LOWEST = Lacks("1.note.lowest", frozenset(map(str, APIS_NOT_SERVED)))

_STORED: Mapping[str, object] = {
    "BaseOffset": 0,
    "ErrorCode": 0,
    "ErrorMessage": None,
    "Index": 0,
    "LogAppendTimeMs": -1,
    "LogStartOffset": 0,
    "RecordErrors": [],
}

DIFFERENCES: Sequence[Difference] = (
    Difference(
        Verdict.NOT_SERVED,
        "APIs that kpy does not serve are not in its table, nor are the features that stand for them; all else in the "
        "table is Kafka's, every version of every API.",
        {
            "apiversions.finalized_features": [_FINALIZED],
            "apiversions.supported_features": [_SUPPORTED],
            **{f"apiversions.keys@{version}": [_KEYS] for version in (0, 3, 4)},
            **{f"apiversions.minimum_versions@{version}": [_LOWEST] for version in (0, 4)},
            **{f"apiversions.table@{version}": [_TABLE] for version in (0, 2)},
            "apiversions.table@3": [_TABLE, _FINALIZED],
            "apiversions.table@4": [_TABLE, _FINALIZED, _SUPPORTED],
        },
    ),
    Difference(
        Verdict.BETTER,
        "A topic that is created by asking for it is there in the first answer, with its leaders. Kafka answers "
        "UNKNOWN_TOPIC_OR_PARTITION once, and old clients give up on that.",
        {f"metadata.auto_creation@{version}": [Anticipates(1, 2)] for version in (0, 3, 4, 13)},
    ),
    Difference(
        Verdict.BETTER,
        "A partition that is named twice in one request has both batches stored and answered. Kafka stores the last "
        "one and forgets the first.",
        {
            "produce.the_same_partition_twice": [
                Differs("1.reply.Responses[0].PartitionResponses", [_STORED], [_STORED, {**_STORED, "BaseOffset": 1}])
            ]
        },
    ),
    Difference(
        Verdict.STRICTER,
        "Text that is not UTF-8 is no message, and closes the connection. Kafka puts replacement characters into it "
        "and goes on.",
        {"framing.invalid_utf8_name": [Closes(1)]},
    ),
    Difference(
        Verdict.NOT_SERVED,
        "AlterPartitionReassignments is not served.",
        {
            **{f"topics.reassign_to_the_same@{version}": [Closes(1)] for version in (0, 1)},
            "topics.reassign_unknown_places@0": [Closes(1), Closes(2)],
        },
    ),
    Difference(
        Verdict.NOT_SERVED,
        "UpdateFeatures refuses `transaction.version` 2, the level that Kafka has already and kpy has nothing behind.",
        {
            "cluster.feature_update[same_level]@1": [
                Differs("1.reply.ErrorCode", 0, 95),
                Differs("1.reply.ErrorMessage", None, "<text>"),
                Lacks("1.reply.Results", frozenset({"transaction.version"}), told_by="Feature"),
            ],
            "cluster.feature_update[same_level]@2": [
                Differs("1.reply.ErrorCode", 0, 95),
                Differs("1.reply.ErrorMessage", None, "<text>"),
            ],
        },
    ),
    Difference(
        Verdict.NOT_SERVED,
        "Streams groups are not served.",
        {
            "consumer.streams_describe[empty]@0": [Closes(1)],
            "consumer.streams_describe[unknown]@0": [Closes(1)],
            "consumer.streams_join@0": [Closes(1)],
        },
    ),
)
