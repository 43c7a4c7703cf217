"""The constructor of a message class: keyword-only arguments, defaults in place, a list of its own for each message."""

from collections.abc import Callable
from typing import Any

from kpy.protocol.layout import NO_TAGGED_FIELDS
from kpy.protocol.specialise.source import Source

_NEW_LIST: Any = object()


def constructor(message: Any) -> Callable[..., None]:
    """An `__init__` for that class."""
    source = Source(f"{message.__name__} constructor")
    arguments = ["self"]
    for index, field in enumerate(message.fields):
        if not index:
            arguments.append("*")
        default = _NEW_LIST if field.is_list else field.default
        arguments.append(field.name if field.required else f"{field.name}={source.constant('default', default)}")
    new_list = source.constant("new_list", _NEW_LIST)
    with source.block(f"def __init__({', '.join(arguments)}):"):
        for field in message.fields:
            own_list = f"[] if {field.name} is {new_list} else " if field.is_list and not field.required else ""
            source.line(f"self.{field.name} = {own_list}{field.name}")
        source.line(f"self.unknown_tagged_fields = {source.constant('none', NO_TAGGED_FIELDS)}")
    function: Callable[..., None] = source.function("__init__")
    function.__qualname__ = f"{message.__qualname__}.__init__"
    return function
