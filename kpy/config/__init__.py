"""Configuration under Kafka's own names: the tables of options, where settings come from, how they are described."""

from kpy.config.broker import BrokerConfig
from kpy.config.listeners import Listener
from kpy.config.options import ConfigError, ConfigType
from kpy.config.sources import Layer, Loaded, load
from kpy.config.topic import TopicConfig

__all__ = ["BrokerConfig", "ConfigError", "ConfigType", "Layer", "Listener", "Loaded", "TopicConfig", "load"]
