"""Kafka's own message definitions, as the jars of Apache Kafka 4.3.1 carry them, are what the declarations say.

The jars are those of the interoperability oracle: `KPY_KAFKA_LIBS`, or the cache that it fills. Without them the tests
are skipped, unless `KPY_REQUIRE_ALL` is set.
"""

import json
import os
import re
import zipfile
from functools import cache
from typing import Any, NamedTuple

import pytest
from construct import Construct, Flag, Float64b, Int8sb, Int16sb, Int16ub, Int32sb, Int32ub, Int64sb

from interop_tests.oracle.libraries import KAFKA_VERSION, libraries_directory
from kpy.protocol import group_records, metadata_records
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
    DECLARATIONS,
    EMBEDDED,
    GROUP_RECORDS,
    HEADERS,
    METADATA_RECORDS,
    REQUESTS,
    RESPONSES,
    name_of,
)

JAR_AND_FOLDER: dict[type[Data], tuple[str, str]] = {
    **dict.fromkeys([*REQUESTS, *RESPONSES, *HEADERS, *EMBEDDED], ("kafka-clients", "common/message")),
    **dict.fromkeys(GROUP_RECORDS, ("kafka-group-coordinator", "common/message")),
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


def definition_of(declaration: type[Data]) -> dict[str, Any]:
    """Kafka's JSON, which has comments."""
    name, folder = JAR_AND_FOLDER[declaration]
    text = jar(name).read(f"{folder}/{declaration.__name__}.json").decode()
    definition: dict[str, Any] = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    return definition


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
        return str(construct.message.__name__)
    return LENGTH_TYPES[type(construct)]


def declared_default(field: Field) -> Any:
    if isinstance(field.type, StructType):
        return "all defaults"
    return [] if field.default == () else field.default


def defined_rows(
    fields: list[dict[str, Any]], within: VersionRange, common: dict[str, Any], path: str = ""
) -> list[Row]:
    rows: list[Row] = []
    for field in fields:
        versions = both(VersionRange.parse(field["versions"]), within)
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
    kind, default = field["type"], str(field.get("default", ""))
    if default == "null":
        return None
    if kind.startswith("[]"):
        return []
    if kind == "bool":
        return default == "true"
    if "int" in kind:
        return int(default or "0", 0)
    zeros: dict[str, Any] = {"string": default, "uuid": ZERO_UUID, "bytes": b"", "records": None}
    return zeros.get(kind, "all defaults")


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
def test_fields(declaration: type[Data]) -> None:
    """Every field has Kafka's name, place, type, versions, default and tag, and there is no other field."""
    definition = definition_of(declaration)
    common = {struct["name"]: struct["fields"] for struct in definition.get("commonStructs", [])}
    versions = VersionRange.parse(definition["validVersions"])
    assert declared_rows(declaration, declaration.versions) == defined_rows(definition["fields"], versions, common)


@pytest.mark.parametrize("declaration", DECLARATIONS, ids=name_of)
def test_versions(declaration: type[Data]) -> None:
    """Every message is declared at the versions that Kafka has, and is flexible from the same one on."""
    definition = definition_of(declaration)
    assert declaration.versions == VersionRange.parse(definition["validVersions"])
    flexible = VersionRange.parse(definition["flexibleVersions"])
    if flexible == NO_VERSIONS:
        assert declaration.flexible_since > declaration.versions.maximum
    else:
        assert declaration.flexible_since == flexible.minimum


@pytest.mark.parametrize("declaration", [*REQUESTS, *RESPONSES], ids=name_of)
def test_api_keys(declaration: type[Request] | type[Response]) -> None:
    """Requests and responses stand under Kafka's API key."""
    definition = definition_of(declaration)
    assert declaration.api == definition["apiKey"]
    assert declaration.__name__.lower().endswith(definition["type"])


def test_record_types() -> None:
    """Records carry Kafka's type numbers."""
    for number, pair in group_records.RECORD_TYPES.items():
        assert [definition_of(schema)["apiKey"] for schema in pair] == [number, number]
        assert [definition_of(schema)["type"] for schema in pair] == ["coordinator-key", "coordinator-value"]
    for number, schema in metadata_records.RECORD_TYPES.items():
        assert definition_of(schema)["apiKey"] == number
