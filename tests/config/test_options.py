"""Options parse, check and print their values as Kafka's ConfigDef does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpy.config.options import ConfigError, ConfigType, Option, format_double, long
from kpy.config.topic import TopicConfig


def option(kind: ConfigType) -> Option:
    return Option(name="some.option", type=kind, default=None, check=None, documentation="")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (ConfigType.BOOLEAN, " TRUE ", True),
        (ConfigType.BOOLEAN, "false", False),
        (ConfigType.INT, "+5", 5),
        (ConfigType.INT, "-2147483648", -(2**31)),
        (ConfigType.SHORT, "32767", 32767),
        (ConfigType.LONG, "9223372036854775807", 2**63 - 1),
        (ConfigType.DOUBLE, "0.25", 0.25),
        (ConfigType.LIST, "", ()),
        (ConfigType.LIST, "a , b,c", ("a", "b", "c")),
        (ConfigType.LIST, "a,b,a", ("a", "b")),
        (ConfigType.STRING, " both ends ", "both ends"),
    ],
)
def test_parse(kind: ConfigType, text: str, value: object) -> None:
    """A value is read as its type is in Java, without the white space around it."""
    assert option(kind).parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        (ConfigType.BOOLEAN, "yes", "Expected value to be either true or false"),
        (ConfigType.INT, "2147483648", "Not a number of type INT"),
        (ConfigType.INT, "1_000", "Not a number of type INT"),
        (ConfigType.INT, "", "Not a number of type INT"),
        (ConfigType.INT, "1" * 5000, "Not a number of type INT"),
        (ConfigType.SHORT, "32768", "Not a number of type SHORT"),
        (ConfigType.LONG, "9223372036854775808", "Not a number of type LONG"),
        (ConfigType.DOUBLE, "1_0", "Not a number of type DOUBLE"),
    ],
)
def test_parse_refuses(kind: ConfigType, text: str, problem: str) -> None:
    """What Java does not read as that type is refused in Kafka's words."""
    with pytest.raises(ConfigError) as error:
        option(kind).parse(text)

    assert str(error.value) == f"Invalid value {text} for configuration some.option: {problem}"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "segment.bytes",
            "1048575",
            "Invalid value 1048575 for configuration segment.bytes: Value must be at least 1048576",
        ),
        (
            "min.cleanable.dirty.ratio",
            "7",
            "Invalid value 7.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            "cleanup.policy",
            "delete,shred",
            "Invalid value shred for configuration cleanup.policy: String must be one of: compact, delete",
        ),
        ("cleanup.policy", "delete,", "Configuration 'cleanup.policy' values must not be empty."),
        (
            "compression.type",
            "brotli",
            (
                "Invalid value brotli for configuration compression.type:"
                " String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"
            ),
        ),
    ],
)
def test_checks(name: str, text: str, message: str) -> None:
    """A value outside its range is refused in Kafka's words."""
    with pytest.raises(ConfigError) as error:
        TopicConfig.options[name].parse(text)

    assert str(error.value) == message


def test_gzip_level_has_a_special_value() -> None:
    """gzip's levels are 1 to 9, and -1 for its own default."""
    level = TopicConfig.options["compression.gzip.level"]

    assert [level.parse(text) for text in ("-1", "1", "9")] == [-1, 1, 9]
    with pytest.raises(ConfigError):
        level.parse("0")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0.0"),
        (0.5, "0.5"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (0.00025, "2.5E-4"),
        (1e7, "1.0E7"),
        (9999999.0, "9999999.0"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_format_double(number: float, text: str) -> None:
    """Numbers print as Java's do."""
    assert format_double(number) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_format_double_loses_nothing(number: float) -> None:
    """A printed number reads as the same number."""
    assert float(format_double(number)) == number


def test_what_is_allowed_is_said_in_words() -> None:
    """Each kind of value can be explained to somebody who gave another."""
    declared = long(1, "")

    assert declared.type is ConfigType.LONG
    assert TopicConfig.options["preallocate"].allowed == "true or false"
    assert TopicConfig.options["segment.ms"].allowed == "an integer, 1 or more"
    assert TopicConfig.options["cleanup.policy"].allowed == "a comma-separated list, one of compact, delete"
