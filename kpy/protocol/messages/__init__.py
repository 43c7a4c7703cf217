"""One module for each API, named as Kafka names it: the folder listing is the protocol.

A declaration is loaded when its API is first asked for. Which module and which classes those are follows from the
`ApiKey`: HEARTBEAT is `heartbeat.py` with HeartbeatRequest and HeartbeatResponse.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from kpy.protocol.api_keys import ApiKey
from kpy.protocol.schema import Request, Response


@cache
def declared_apis() -> frozenset[ApiKey]:
    """The APIs whose messages are declared, found without loading them."""
    modules = {module.name for module in iter_modules(__path__)}
    return frozenset(api for api in ApiKey if api.name.lower() in modules)


@cache
def request_class(api: ApiKey) -> type[Request]:
    """The request of an API; KeyError if it is not declared."""
    request: type[Request] = getattr(_module(api), _class_name(api, "Request"))
    return request


@cache
def response_class(api: ApiKey) -> type[Response]:
    """The response of an API; KeyError if it is not declared."""
    response: type[Response] = getattr(_module(api), _class_name(api, "Response"))
    return response


def _class_name(api: ApiKey, kind: str) -> str:
    return api.name.title().replace("_", "") + kind


def _module(api: ApiKey) -> object:
    if api not in declared_apis():
        raise KeyError(api)
    return import_module(f"{__name__}.{api.name.lower()}")
