"""From layers of settings to one configuration: precedence, what is honoured, what is warned of, what is refused."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kpy.config.broker import BrokerConfig
from kpy.config.describe import broker_synonyms
from kpy.config.kafka_names import NAMES, holds_anyway, is_known, refusal
from kpy.config.listeners import META_ADDRESSES
from kpy.config.options import ConfigError

OTHER_SYNONYMS = (("broker.id", "node.id"), ("log.dir", "log.dirs"))
PREFIXES = ("log.", "broker.", "topic.", "offsets.", "group.")


class Layer(NamedTuple):
    """Settings of one origin. In a strict layer, a name that Kafka does not have is an error, else a warning."""

    origin: str
    settings: Mapping[str, str]
    strict: bool = True


class Loaded(NamedTuple):
    """A configuration, and what its user should know about it: one line each."""

    config: BrokerConfig
    warnings: list[str]


def load(layers: Sequence[Layer]) -> Loaded:
    """Merge layers, the last one first in precedence. Raises ConfigError, whose message begins with the origin."""
    settings: dict[str, str] = {}
    warnings: list[str] = []
    not_honoured: dict[str, list[str]] = {}
    merged = _merge(layers)
    for name, layer in merged.items():
        text = layer.settings[name]
        option = BrokerConfig.options.get(name)
        if option is not None:
            settings[name] = text
            if option.without_effect:
                warnings.append(
                    f"{layer.origin}: {name} is kept and shown but changes nothing: {option.without_effect}"
                )
        elif is_known(name):
            _refuse(name, text, layer)
            if not holds_anyway(name):
                not_honoured.setdefault(layer.origin, []).append(name)
        elif layer.strict:
            raise ConfigError(name, text, f"{layer.origin}: {_unknown(name)}")
        else:
            warnings.append(f"{layer.origin}: {_unknown(name)}")
    warnings += [f"{origin}: not honoured by kpy: {', '.join(names)}" for origin, names in not_honoured.items()]
    try:
        return Loaded(BrokerConfig(settings), warnings)
    except ConfigError as error:
        origin = merged[error.name].origin if error.name in merged else "configuration"
        hint = f" (allowed: {error.allowed})" if error.allowed else ""
        raise ConfigError(error.name, error.value, f"{origin}: {error}{hint}") from None


def parse_assignment(text: str) -> tuple[str, str]:
    """The name and value of a `name=value`."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(text, None, f"-c {text}: not of the form name=value")
    return name.strip(), value


def listen_settings(
    config: BrokerConfig, *, host: str | None, port: int | None, advertise: str | None
) -> dict[str, str]:
    """The settings of `--host`, `--port` and `--advertise` over a configuration.

    They speak of the one listener for clients. What the configuration advertised for it was about another address, and
    goes when the host or the port changes.
    """
    if len(config.client_listeners) > 1:
        names = ", ".join(listener.name for listener in config.client_listeners)
        message = f"--host, --port and --advertise are for one listener, and listeners has {names}"
        raise ConfigError("listeners", None, message)
    (listener,) = config.client_listeners
    settings = {}
    if host is not None or port is not None:
        bind_host = _bracketed(listener.host if host is None else host)
        settings["listeners"] = f"{listener.name}://{bind_host}:{listener.port if port is None else port}"
        settings["advertised.listeners"] = ""
    if advertise is not None:
        advertised_host, colon, advertised_port = advertise.rpartition(":")
        if not colon or not advertised_port.isdecimal():
            raise ConfigError("advertised.listeners", advertise, f"--advertise {advertise}: not of the form HOST:PORT")
        if advertised_host.strip("[]") in META_ADDRESSES:
            message = f"--advertise {advertise}: clients cannot connect to a meta-address"
            raise ConfigError("advertised.listeners", advertise, message)
        settings["advertised.listeners"] = f"{listener.name}://{_bracketed(advertised_host)}:{advertised_port}"
    return settings


def _bracketed(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _merge(layers: Sequence[Layer]) -> dict[str, Layer]:
    """Which layer decides about each name. A layer that sets an option silences its synonyms in those below."""
    merged: dict[str, Layer] = {}
    for layer in layers:
        for name in layer.settings:
            for synonym in _synonyms(name):
                merged.pop(synonym, None)
        merged |= dict.fromkeys(layer.settings, layer)
    return merged


def _synonyms(name: str) -> tuple[str, ...]:
    return next((names for names in OTHER_SYNONYMS if name in names), broker_synonyms(name))


def _refuse(name: str, text: str, layer: Layer) -> None:
    why = refusal(name, text)
    if why is not None:
        raise ConfigError(name, text, f"{layer.origin}: {name}={text}: {why}; remove it to start without")


def _unknown(name: str) -> str:
    nearest = nearest_name(name)
    return f"unknown option {name}" + (f"; did you mean {nearest}?" if nearest else "")


def nearest_name(name: str) -> str | None:
    """The name of Kafka's that somebody may have meant."""
    import difflib  # noqa: PLC0415 - only a mistake is worth its import

    known = [*BrokerConfig.options, *NAMES]
    for candidate in (name, *(prefix + name for prefix in PREFIXES)):
        if candidate in known:
            return candidate
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return matches[0] if matches else None
