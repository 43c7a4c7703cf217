"""How an option is declared, parsed, checked and printed: Kafka's ConfigDef in small.

A table of options is a class whose attributes are the options, named as Kafka names them with the dots as underscores:

    class BrokerConfig(Options):
        num_partitions: int = integer(1, at_least(1), "partitions of a topic that is created without a number of them")

The class is the table (`BrokerConfig.options`), an instance holds the values. What a value may be and how errors read
follow ConfigDef.parseType, ConfigDef.Range, ValidString and ValidList.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

Value: TypeAlias = bool | int | float | str | tuple[str, ...] | None

NUMBER = re.compile(r"[+-]?[0-9]+\Z")
COMMA = re.compile(r"\s*,\s*")
INTEGER_BITS = {"SHORT": 16, "INT": 32, "LONG": 64}


class ConfigError(Exception):
    """A value that an option cannot have. `str()` of it reads as Kafka's ConfigException does."""

    def __init__(self, name: str, value: str | None, message: str, *, allowed: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.value = value
        self.allowed = allowed


class ConfigType(IntEnum):
    """The kinds of values, by their number in DescribeConfigs (DescribeConfigsResponse.ConfigType)."""

    UNKNOWN = 0
    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class UpdateMode(Enum):
    """Whether a running broker takes a new value, and for whom (DynamicBrokerConfig)."""

    READ_ONLY = "read-only"
    PER_BROKER = "per-broker"
    CLUSTER_WIDE = "cluster-wide"


class Check(Protocol):
    """What restricts the values of an option, or of a list each element; `str()` of it says what is allowed."""

    def problem(self, value: Value) -> str | None:
        """What is wrong with a value, None if it is allowed."""


class Between(NamedTuple):
    """A number from `low` to `high`, both included; None leaves that side open."""

    low: float | None
    high: float | None

    def problem(self, value: Value) -> str | None:
        assert isinstance(value, int | float)
        if self.low is not None and value < self.low:
            return f"Value must be at least {self.low}"
        if self.high is not None and value > self.high:
            return f"Value must be no more than {self.high}"
        return None

    def __str__(self) -> str:
        if self.high is None:
            return f"{self.low} or more"
        return f"{self.low} to {self.high}"


def at_least(low: float) -> Between:
    """A number of at least `low`."""
    return Between(low, None)


class BetweenOr(NamedTuple):
    """A number in a range, or one special number outside it."""

    low: int
    high: int
    special: int

    def problem(self, value: Value) -> str | None:
        assert isinstance(value, int)
        if value == self.special or self.low <= value <= self.high:
            return None
        return f"Value must be between {self.low} and {self.high} or equal to {self.special}"

    def __str__(self) -> str:
        return f"{self.low} to {self.high}, or {self.special}"


class OneOf(NamedTuple):
    """One of these words, if need be in any case of letters."""

    words: tuple[str, ...]
    any_case: bool = False

    def problem(self, value: Value) -> str | None:
        word = value.lower() if self.any_case and isinstance(value, str) else value
        if word in self.words:
            return None
        how = " (case insensitive)" if self.any_case else ""
        return f"String must be one of{how}: {', '.join(self.words)}"

    def __str__(self) -> str:
        return "one of " + ", ".join(self.words)


class Matching(NamedTuple):
    """A string that matches the pattern; what is allowed is said in words."""

    pattern: str
    words: str

    def problem(self, value: Value) -> str | None:
        assert isinstance(value, str)
        return None if re.fullmatch(self.pattern, value) else f"must be {self.words}"

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Synonym:
    """A broker option that a topic option takes its default from, multiplied into the topic option's unit."""

    name: str
    factor: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option.

    `kafka_default` is Kafka's where ours has to differ. `without_effect` says why the value is kept and shown but
    changes nothing yet. `synonyms` are the broker options behind a topic option, the first that is set counting.
    """

    name: str
    type: ConfigType
    default: Value
    check: Check | None
    documentation: str
    kafka_default: str | None = None
    update_mode: UpdateMode = UpdateMode.READ_ONLY
    without_effect: str = ""
    synonyms: tuple[Synonym, ...] = ()
    internal: bool = False

    @property
    def attribute(self) -> str:
        """The name of the attribute that holds the value."""
        return self.name.replace(".", "_")

    @property
    def is_sensitive(self) -> bool:
        """Whether the value is or may be a secret, which is never shown."""
        return self.type in (ConfigType.PASSWORD, ConfigType.UNKNOWN)

    def parse(self, text: str) -> Value:
        """The value of a setting; raises ConfigError."""
        value = self._parse(text)
        if self.check is not None:
            for each in value if isinstance(value, tuple) else (value,):
                problem = self.check.problem(each)
                if problem is not None:
                    raise self.error(self.format(each) or "", problem)
        return value

    def _parse(self, text: str) -> Value:
        text = text.strip()
        match self.type:
            case ConfigType.BOOLEAN:
                if text.lower() not in ("true", "false"):
                    raise self.error(text, "Expected value to be either true or false")
                return text.lower() == "true"
            case ConfigType.INT | ConfigType.SHORT | ConfigType.LONG:
                limit = 1 << (INTEGER_BITS[self.type.name] - 1)
                if NUMBER.match(text) and len(text) <= 20 and -limit <= int(text) < limit:
                    return int(text)
                raise self.error(text, f"Not a number of type {self.type.name}")
            case ConfigType.DOUBLE:
                try:
                    return float(text.replace("_", "?"))
                except ValueError:
                    raise self.error(text, f"Not a number of type {self.type.name}") from None
            case ConfigType.LIST:
                elements = tuple(dict.fromkeys(COMMA.split(text))) if text else ()
                if "" in elements and self.check is not None:
                    message = f"Configuration '{self.name}' values must not be empty."
                    raise ConfigError(self.name, text, message, allowed=self.allowed)
                return elements
            case _:
                return text

    def format(self, value: Value) -> str | None:
        """The value as Kafka prints it."""
        if value is None:
            return None
        if isinstance(value, tuple):
            return ",".join(value)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return format_double(value)
        return str(value)

    def error(self, text: str, problem: str) -> ConfigError:
        """An error about this option's value."""
        message = f"Invalid value {text} for configuration {self.name}: {problem}"
        return ConfigError(self.name, text, message, allowed=self.allowed)

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        if self.type is ConfigType.BOOLEAN:
            return "true or false"
        kind = {
            ConfigType.INT: "an integer",
            ConfigType.SHORT: "an integer of 16 bits",
            ConfigType.LONG: "an integer",
            ConfigType.DOUBLE: "a number",
            ConfigType.LIST: "a comma-separated list",
        }.get(self.type, "a string")
        return f"{kind}, {self.check}" if self.check else kind


def format_double(value: float) -> str:
    """A number as Java's Double.toString prints it."""
    if math.isnan(value) or math.isinf(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value))
    mantissa, _, exponent = f"{value:.17e}".partition("e")
    for digits in range(17):
        short = f"{value:.{digits}e}"
        if float(short) == value:
            mantissa, _, exponent = short.partition("e")
            break
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


def _declare(kind: ConfigType, default: Value, arguments: tuple[Any, ...], more: dict[str, Any]) -> Any:
    """The typed face of a declaration: `(default, [check,] documentation)` and what is rarer by keyword.

    The result is an option whose table has yet to name it.
    """
    *checks, documentation = arguments
    check = checks[0] if checks else None
    return Option(name="", type=kind, default=default, check=check, documentation=documentation, **more)


def boolean(default: bool, *arguments: Any, **more: Any) -> Any:
    """Declares a BOOLEAN option."""
    return _declare(ConfigType.BOOLEAN, default, arguments, more)


def string(default: str | None, *arguments: Any, **more: Any) -> Any:
    """Declares a STRING option."""
    return _declare(ConfigType.STRING, default, arguments, more)


def integer(default: int | None, *arguments: Any, **more: Any) -> Any:
    """Declares an INT option."""
    return _declare(ConfigType.INT, default, arguments, more)


def short(default: int | None, *arguments: Any, **more: Any) -> Any:
    """Declares a SHORT option."""
    return _declare(ConfigType.SHORT, default, arguments, more)


def long(default: int | None, *arguments: Any, **more: Any) -> Any:
    """Declares a LONG option."""
    return _declare(ConfigType.LONG, default, arguments, more)


def double(default: float | None, *arguments: Any, **more: Any) -> Any:
    """Declares a DOUBLE option."""
    return _declare(ConfigType.DOUBLE, default, arguments, more)


def listing(default: tuple[str, ...] | None, *arguments: Any, **more: Any) -> Any:
    """Declares a LIST option."""
    return _declare(ConfigType.LIST, default, arguments, more)


class Options:
    """A table of options as a class, a set of values as an instance. Instances do not change."""

    options: ClassVar[Mapping[str, Option]]

    def __init_subclass__(cls) -> None:
        options = {}
        for attribute, declared in list(vars(cls).items()):
            if isinstance(declared, Option):
                delattr(cls, attribute)
                name = attribute.replace("_", ".")
                options[name] = replace(declared, name=name)
        cls.options = MappingProxyType(options)

    def __init__(self, values: Mapping[str, Value]) -> None:
        """`values` by Kafka's name; what is not there has its default."""
        for name, option in self.options.items():
            self.__dict__[option.attribute] = values.get(name, option.default)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} does not change: {name}")

    def get(self, name: str) -> Value:
        """The value of an option by Kafka's name."""
        value: Value = self.__dict__[self.options[name].attribute]
        return value

    @classmethod
    def unknown_name(cls, name: str) -> str:
        """How the error about a name that is not in the table reads."""
        return f"Unknown config name: {name}"

    @classmethod
    def parse_values(cls, settings: Mapping[str, str]) -> dict[str, Value]:
        """The values of settings; raises ConfigError."""
        for name in settings:
            if name not in cls.options:
                raise ConfigError(name, settings[name], cls.unknown_name(name))
        return {name: cls.options[name].parse(text) for name, text in settings.items()}
