"""The `listeners` options: where to listen and what to advertise (SocketServerConfigs, KafkaConfig)."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from kpy.config.options import ConfigError

ENDPOINT = re.compile(r"(?P<name>[^:/]*)://\[?(?P<host>[0-9a-zA-Z\-%._:]*)\]?:(?P<port>-?[0-9]+)\Z")
META_ADDRESSES = {"", "0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


class Listener(NamedTuple):
    """One listener for clients.

    An empty `host` is every interface. `advertised_host` None is the machine's name, `advertised_port` 0 the port
    that was bound.
    """

    name: str
    host: str
    port: int
    advertised_host: str | None
    advertised_port: int


class _Endpoint(NamedTuple):
    name: str
    host: str
    port: int


def client_listeners(
    listeners: Sequence[str],
    advertised: Sequence[str] | None,
    protocol_map: str,
    controller_names: Sequence[str],
) -> tuple[Listener, ...]:
    """The listeners that clients use; raises ConfigError, also for any that speaks more than PLAINTEXT."""
    controllers = {name.upper() for name in controller_names}
    endpoints = [endpoint for endpoint in _endpoints("listeners", listeners) if endpoint.name not in controllers]
    if not endpoints:
        raise ConfigError("listeners", ",".join(listeners), "listeners must name at least one listener for clients")
    protocols = _protocols(protocol_map)
    for endpoint in endpoints:
        _check_plaintext(endpoint.name, protocols)
    by_name = {
        endpoint.name: endpoint
        for endpoint in _endpoints("advertised.listeners", advertised or ())
        if endpoint.name not in controllers
    }
    _check_advertised(by_name, {endpoint.name for endpoint in endpoints})
    return tuple(_listener(endpoint, by_name.get(endpoint.name)) for endpoint in endpoints)


def _listener(endpoint: _Endpoint, advertised: _Endpoint | None) -> Listener:
    if advertised is not None:
        return Listener(endpoint.name, endpoint.host, endpoint.port, advertised.host, advertised.port)
    host = None if endpoint.host in META_ADDRESSES else endpoint.host
    return Listener(endpoint.name, endpoint.host, endpoint.port, host, endpoint.port)


def _endpoints(option: str, texts: Sequence[str]) -> list[_Endpoint]:
    endpoints = []
    for text in texts:
        match = ENDPOINT.match(text)
        if match is None or not match["name"]:
            raise ConfigError(option, text, f"Invalid value {text} for configuration {option}: not NAME://HOST:PORT")
        if not 0 <= int(match["port"]) <= 65535:
            raise ConfigError(option, text, f"Invalid value {text} for configuration {option}: no such port")
        endpoints.append(_Endpoint(match["name"].upper(), match["host"], int(match["port"])))
    names = [endpoint.name for endpoint in endpoints]
    if len(set(names)) < len(names):
        raise ConfigError(option, ",".join(texts), f"{option}: each listener must have a name of its own")
    return endpoints


def _protocols(protocol_map: str) -> dict[str, str]:
    protocols = {}
    for entry in filter(None, (entry.strip() for entry in protocol_map.split(","))):
        name, _, protocol = entry.rpartition(":")
        if not name or protocol.upper() not in PROTOCOLS:
            message = (
                f"Invalid value {entry} for configuration listener.security.protocol.map:"
                f" not NAME:PROTOCOL with a protocol of {', '.join(PROTOCOLS)}"
            )
            raise ConfigError("listener.security.protocol.map", entry, message)
        protocols[name.strip().upper()] = protocol.upper()
    return protocols


def _check_plaintext(name: str, protocols: dict[str, str]) -> None:
    protocol = protocols.get(name)
    if protocol is None:
        message = f"listener {name} has no security protocol in listener.security.protocol.map"
        raise ConfigError("listener.security.protocol.map", None, message)
    if protocol != "PLAINTEXT":
        message = (
            f"listener {name} speaks {protocol}, which kpy does not have yet; it would stand open to everyone,"
            " so kpy does not start"
        )
        raise ConfigError("listeners", name, message)


def _check_advertised(advertised: dict[str, _Endpoint], names: set[str]) -> None:
    for endpoint in advertised.values():
        where = f"{endpoint.name}://{endpoint.host}:{endpoint.port}"
        if endpoint.name not in names:
            message = f"advertised.listeners has {where}, but listeners has no {endpoint.name}"
            raise ConfigError("advertised.listeners", where, message)
        if endpoint.host in META_ADDRESSES:
            message = f"advertised.listeners cannot have {where}: clients cannot connect to a meta-address"
            raise ConfigError("advertised.listeners", where, message)
