"""An option that stands in a table has code behind it, or says that it has none."""

import ast
from pathlib import Path

from kpy.config import BrokerConfig, TopicConfig
from kpy.config.group import GroupOptions, bound

PACKAGE = Path(__file__).parents[2] / "kpy"

# Options that `kpy.config` itself turns into something else, and what that is.
BEHIND = {
    "broker.id": "node_id",
    "listeners": "client_listeners",
    "advertised.listeners": "client_listeners",
    "listener.security.protocol.map": "client_listeners",
    "controller.listener.names": "client_listeners",
    "log.dir": "data_dir",
    "log.dirs": "data_dir",
}


def attributes_read() -> set[str]:
    """The names of all attributes that the package reads outside of kpy.config."""
    return {
        node.attr
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "config"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def test_no_option_is_accepted_and_ignored() -> None:
    """Every option is read somewhere, is the default or a bound of one that is, or says why it has no effect."""
    read = attributes_read()
    topics = {
        name
        for name, option in TopicConfig.options.items()
        if option.attribute in read or option.without_effect or option.internal
    }
    defaults = {synonym.name for name in topics for synonym in TopicConfig.options[name].synonyms}
    groups = {name for name, option in GroupOptions.options.items() if option.attribute in read}
    for name in groups:
        option = GroupOptions.options[name]
        defaults |= {bound(option, "min"), bound(option, "max"), *(synonym.name for synonym in option.synonyms)}
    brokers = {
        name
        for name, option in BrokerConfig.options.items()
        if name in defaults or option.without_effect or BEHIND.get(name, option.attribute) in read
    }

    assert TopicConfig.options.keys() - topics == {"remote.storage.enable", "preallocate"}  # refused where they are set
    assert GroupOptions.options.keys() == groups
    assert BrokerConfig.options.keys() - brokers == {"log.preallocate"}  # likewise
