"""Kafka's own message definitions, as the jars of Apache Kafka 4.3.1 carry them, are what the declarations say.

The jars are those of the interoperability oracle: `KPY_KAFKA_LIBS`, or the cache that it fills. Without them the tests
are skipped, unless `KPY_REQUIRE_ALL` is set.
"""

import json
import os
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import pytest
from construct import Construct, Flag, Float64b, Int8sb, Int16sb, Int16ub, Int32sb, Int32ub, Int64sb

from interop_tests.oracle.libraries import KAFKA_VERSION, libraries_directory
from kpy.protocol import metadata_records
from kpy.protocol.fields import NO_VERSIONS, VersionRange
from kpy.protocol.primitives import (
    ZERO_UUID,
    ArrayType,
    BytesType,
    NullableStructType,
    RecordsType,
    TextType,
    UuidType,
)
from kpy.protocol.schema import Data, Field, MessageMeta, Request, Response, StructType
from tests.protocol.declarations import (
    COORDINATOR_RECORDS,
    COORDINATORS,
    DECLARATIONS,
    EMBEDDED,
    HEADERS,
    METADATA_RECORDS,
    REQUESTS,
    RESPONSES,
    name_of,
)

CLIENTS = ("kafka-clients", "common/message")
JAR_AND_FOLDER: dict[type[Data], tuple[str, str]] = {
    **dict.fromkeys([*REQUESTS, *RESPONSES, *HEADERS, *EMBEDDED], CLIENTS),
    **{
        message: (f"kafka-{coordinator}-coordinator", "common/message")
        for coordinator, messages in COORDINATOR_RECORDS.items()
        for message in messages
    },
    **dict.fromkeys(METADATA_RECORDS, ("kafka-metadata", "common/metadata")),
}
FIXED_TYPES = {
    Flag: "bool",
    Int8sb: "int8",
    Int16sb: "int16",
    Int16ub: "uint16",
    Int32sb: "int32",
    Int32ub: "uint32",
    Int64sb: "int64",
    Float64b: "float64",
}
LENGTH_TYPES = {TextType: "string", BytesType: "bytes", RecordsType: "records", UuidType: "uuid"}


class Row(NamedTuple):
    """One field, in the words of Kafka's definitions. Ranges are cut to the versions that the message has."""

    path: str
    type: str
    versions: str
    nullable: str
    default: Any
    tag: int | None
    tagged: str
    ignorable: bool
    flexible: bool


@cache
def jar(name: str) -> zipfile.ZipFile:
    path = libraries_directory() / f"{name}-{KAFKA_VERSION}.jar"
    if not path.exists():
        reason = f"{path} is not there; the interoperability suite with `--broker kafka` fetches it"
        if os.environ.get("KPY_REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    return zipfile.ZipFile(path)


@cache
def definition(jar_name: str, path: str) -> dict[str, Any]:
    """Kafka's JSON, which has comments."""
    text = jar(jar_name).read(path).decode()
    found: dict[str, Any] = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    return found


def definition_of(declaration: type[Data]) -> dict[str, Any]:
    jar_name, folder = JAR_AND_FOLDER[declaration]
    return definition(jar_name, f"{folder}/{declaration.__name__}.json")


def definitions(jar_name: str, folder: str) -> Iterator[dict[str, Any]]:
    """All that a jar has."""
    for path in jar(jar_name).namelist():
        if path.startswith(f"{folder}/") and path.endswith(".json"):
            yield definition(jar_name, path)


def both(first: VersionRange, second: VersionRange) -> VersionRange:
    return VersionRange(max(first.minimum, second.minimum), min(first.maximum, second.maximum))


def plain_name(name: str) -> str:
    """A name that camel case and snake case share."""
    return name.replace("_", "").lower()


def declared_rows(message: MessageMeta, within: VersionRange, path: str = "") -> list[Row]:
    rows: list[Row] = []
    for field in message.fields:
        versions = both(field.versions, within)
        row_path = f"{path}/{plain_name(field.name)}"
        rows.append(
            Row(
                path=row_path,
                type=type_name(field.type),
                versions=str(versions),
                nullable=str(both(field.nullable_versions, versions)),
                default=declared_default(field),
                tag=field.tag,
                tagged=str(both(field.tagged_versions, versions)),
                ignorable=field.ignorable,
                flexible=field.flexible,
            )
        )
        inner = field.type
        if isinstance(inner, ArrayType):
            inner = inner.element
        if isinstance(inner, NullableStructType):
            inner = inner.struct
        if isinstance(inner, StructType):
            rows += declared_rows(inner.message, versions, row_path)
    return rows


def type_name(construct: Construct) -> str:
    if construct in FIXED_TYPES:
        return FIXED_TYPES[construct]
    if isinstance(construct, ArrayType):
        return f"[]{type_name(construct.element)}"
    if isinstance(construct, NullableStructType):
        return type_name(construct.struct)
    if isinstance(construct, StructType):
        return str(construct.message.kafka_name)
    return LENGTH_TYPES[type(construct)]


def declared_default(field: Field) -> Any:
    if isinstance(field.type, (StructType, NullableStructType)) and field.default is not None:
        return "all defaults"
    return [] if field.default == () else field.default


def defined_rows(
    fields: list[dict[str, Any]], within: VersionRange, common: dict[str, Any], path: str = ""
) -> list[Row]:
    rows: list[Row] = []
    for field in fields:
        # a tagged field may leave it at that
        versions = both(VersionRange.parse(field.get("versions") or field["taggedVersions"]), within)
        if versions.minimum > versions.maximum:
            continue
        row_path = f"{path}/{plain_name(field['name'])}"
        element = field["type"].removeprefix("[]")
        rows.append(
            Row(
                path=row_path,
                type=field["type"],
                versions=str(versions),
                nullable=str(both(VersionRange.parse(field.get("nullableVersions", "none")), versions)),
                default=defined_default(field),
                tag=field.get("tag"),
                tagged=str(both(VersionRange.parse(field.get("taggedVersions", "none")), versions)),
                ignorable=field.get("ignorable", False),
                flexible=field.get("flexibleVersions") != "none",
            )
        )
        inner = field.get("fields") or common.get(element)
        if inner:
            rows += defined_rows(inner, versions, common, row_path)
    return rows


def defined_default(field: dict[str, Any]) -> Any:
    default = field.get("default")
    if default == "null":
        return None
    kind, default = field["type"], "" if default is None else str(default)  # JSON's own null says nothing
    if kind.startswith("[]"):
        return []
    if kind == "bool":
        return default.lower() == "true"
    if kind == "float64":
        return float(default or "0")
    if re.fullmatch(r"u?int\d+", kind):
        return int(default or "0", 0)
    zeros: dict[str, Any] = {"string": default, "uuid": ZERO_UUID, "bytes": b"", "records": None}
    return zeros.get(kind, "all defaults")


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
def test_fields(declaration: type[Data]) -> None:
    """Every field has Kafka's name, place, type, versions, default and tag, and there is no other field."""
    defined = definition_of(declaration)
    common = {struct["name"]: struct["fields"] for struct in defined.get("commonStructs", [])}
    versions = VersionRange.parse(defined["validVersions"])
    assert declared_rows(declaration, declaration.versions) == defined_rows(defined["fields"], versions, common)


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
def test_versions(declaration: type[Data]) -> None:
    """Every message is declared at the versions that Kafka has, and is flexible from the same one on."""
    defined = definition_of(declaration)
    assert declaration.versions == VersionRange.parse(defined["validVersions"])
    flexible = VersionRange.parse(defined["flexibleVersions"])
    if flexible == NO_VERSIONS:
        assert declaration.flexible_since > declaration.versions.maximum
    else:
        assert declaration.flexible_since == flexible.minimum


@pytest.mark.parametrize("declaration", [*REQUESTS, *RESPONSES], ids=name_of)
def test_api_keys(declaration: type[Request] | type[Response]) -> None:
    """Requests and responses stand under Kafka's API key."""
    defined = definition_of(declaration)
    assert declaration.api == defined["apiKey"]
    assert declaration.__name__.lower().endswith(defined["type"])


def test_unstable_versions() -> None:
    """There is one version that Kafka has and keeps to itself."""
    unstable = [defined["name"] for defined in definitions(*CLIENTS) if defined.get("latestVersionUnstable")]
    assert unstable == ["InitProducerIdRequest"]


def test_record_types() -> None:
    """Records carry Kafka's type numbers."""
    for table in (table for tables in COORDINATORS.values() for table in tables):
        for number, pair in table.types.items():
            assert [definition_of(message)["apiKey"] for message in pair] == [number, number]
            assert [definition_of(message)["type"] for message in pair] == ["coordinator-key", "coordinator-value"]
    for number, schema in metadata_records.RECORD_TYPES.items():
        assert definition_of(schema)["apiKey"] == number


def test_every_api_is_declared() -> None:
    """Nothing is missing of what Kafka's brokers answer, and there is nothing else."""
    requests = {
        defined["apiKey"]: defined["name"]
        for defined in definitions(*CLIENTS)
        if defined.get("type") == "request" and "broker" in defined.get("listeners", [])
    }
    responses = {
        defined["apiKey"]: defined["name"] for defined in definitions(*CLIENTS) if defined.get("type") == "response"
    }
    assert requests == {request.api: request.__name__ for request in REQUESTS}
    assert {api: responses[api] for api in requests} == {response.api: response.__name__ for response in RESPONSES}


@pytest.mark.parametrize("coordinator", COORDINATORS)
def test_every_record_is_declared(coordinator: str) -> None:
    """Nothing is missing of what Kafka's coordinators write into their topics, and there is nothing else."""
    defined = {
        defined["name"]
        for defined in definitions(f"kafka-{coordinator}-coordinator", "common/message")
        if defined["type"].startswith("coordinator-")
    }
    assert defined == {message.__name__ for message in COORDINATOR_RECORDS[coordinator]}


def test_every_header_and_blob_is_declared() -> None:
    """Nothing is missing of what stands before messages, and of what consumers put into them."""
    defined = {defined["name"] for defined in definitions(*CLIENTS) if defined.get("type") in {"header", "data"}}
    others = {
        *("ControlRecordTypeSchema", "EndTxnMarker"),  # control records, read and written by kpy.protocol.records
        *("KRaftVersionRecord", "LeaderChangeMessage", "VotersRecord"),  # control records of a KRaft quorum
        *("SnapshotFooterRecord", "SnapshotHeaderRecord"),  # and of its snapshots
        "DefaultPrincipalData",  # between a broker and its controller
    }
    assert defined == {message.__name__ for message in [*HEADERS, *EMBEDDED]} | others
