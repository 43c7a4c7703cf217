"""What dynamic configs may be, and what is in force under them.

Names, values and layers are those of the tables in `kpy.config`. Which of them may be changed at run time, and where,
is as in Kafka's ControllerConfigurationValidator and DynamicBrokerConfig.
"""

from collections.abc import Mapping

from kpy.cluster.features import ELIGIBLE_LEADER_REPLICAS
from kpy.cluster.image import NO_CONFIGS, ClusterImage, Resource, ResourceType
from kpy.cluster.topic_names import check as check_topic_name
from kpy.config import BrokerConfig, ConfigError, ConfigType, TopicConfig
from kpy.config.client_metrics import MAX_INTERVAL_MS, MIN_INTERVAL_MS, ClientMetricsConfig
from kpy.config.describe import ConfigEntry, topic_entries
from kpy.config.group import GroupOptions
from kpy.config.options import Option, UpdateMode
from kpy.protocol.errors import ErrorCode, KafkaError

MIN_INSYNC_REPLICAS = "min.insync.replicas"
MAX_VALUE_LENGTH = 2**15 - 1

_OPTIONS: Mapping[ResourceType, Mapping[str, Option]] = {
    ResourceType.TOPIC: TopicConfig.options,
    ResourceType.BROKER: BrokerConfig.options,
    ResourceType.CLIENT_METRICS: ClientMetricsConfig.options,
    ResourceType.GROUP: GroupOptions.options,
}


class ConfigRules:
    """The rules for one broker, whose static configuration is `config`."""

    def __init__(self, config: BrokerConfig) -> None:
        self._node_id = config.node_id
        self._config = config
        self._layers = NO_CONFIGS, NO_CONFIGS
        self._default_entries: list[ConfigEntry] = []

    def broker_config(self, image: ClusterImage) -> BrokerConfig:
        """The configuration of this broker as it is in force: static, and what was set since."""
        layers = image.config(ResourceType.BROKER, ""), image.config(ResourceType.BROKER, str(self._node_id))
        if layers != self._layers:
            self._layers = layers
            self._config = self._config.with_dynamic(*layers)
            self._default_entries = []
        return self._config

    def topic_entries(self, image: ClusterImage, configs: Mapping[str, str]) -> list[ConfigEntry]:
        """Every config of a topic that has these of its own; for the many topics that have none, made once."""
        broker = self.broker_config(image)
        if configs:
            return topic_entries(configs, broker)
        if not self._default_entries:
            self._default_entries = topic_entries({}, broker)
        return self._default_entries

    def is_list(self, kind: ResourceType, key: str) -> bool:
        """Whether items can be added to the config and taken away."""
        option = _OPTIONS[kind].get(key) if kind in _OPTIONS else None
        return option is not None and option.type is ConfigType.LIST

    def default_text(self, kind: ResourceType, key: str) -> str:
        """The default of a list, as it is written in a file."""
        option = _OPTIONS[kind][key]
        return option.format(option.default) or ""

    def check_exists(self, image: ClusterImage, resource: Resource) -> None:
        """Raise for a topic that there is not."""
        kind, name = resource
        if kind is ResourceType.TOPIC and name not in image.topics:
            raise KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The topic '{name}' does not exist.")

    def check_change(self, image: ClusterImage, resource: Resource, changes: Mapping[str, str | None]) -> None:
        """Raise for single values that cannot be set or taken back, whatever the others are."""
        kind, name = resource
        uses_elr = image.features.get(ELIGIBLE_LEADER_REPLICAS, 0) > 0
        if kind is ResourceType.BROKER and MIN_INSYNC_REPLICAS in changes and uses_elr:
            if name:
                raise _invalid(f"Broker-level {MIN_INSYNC_REPLICAS} cannot be altered while ELR is enabled.")
            if changes[MIN_INSYNC_REPLICAS] is None:
                raise _invalid(f"Cluster-level {MIN_INSYNC_REPLICAS} cannot be removed while ELR is enabled.")
        for value in changes.values():
            if value is not None and len(value) > MAX_VALUE_LENGTH:
                raise _invalid(
                    "The configuration value cannot be added because it exceeds the maximum value size of "
                    f"{MAX_VALUE_LENGTH} bytes."
                )

    def check(self, image: ClusterImage, resource: Resource, configs: Mapping[str, str]) -> None:
        """Raise if the resource cannot have just these dynamic configs."""
        kind, name = resource
        if kind is ResourceType.TOPIC:
            if not name:
                raise _refused("Default topic resources are not allowed.")
            check_topic_name(name)
            if not configs:
                return
            try:
                TopicConfig(configs, self.broker_config(image))
            except ConfigError as error:
                raise _invalid(str(error)) from None
        elif kind is ResourceType.BROKER:
            self._check_broker(image, name, configs)
        elif kind is ResourceType.CLIENT_METRICS:
            _check_client_metrics(name, configs)
        elif kind is ResourceType.GROUP:
            self._check_group(image, name, configs)
        else:
            raise AssertionError(f"there are no configs of resource type {kind.name}")

    def _check_broker(self, image: ClusterImage, name: str, configs: Mapping[str, str]) -> None:
        """As DynamicBrokerConfig.validateConfigs. A name that is nobody's may be set: it may be a plug-in's."""
        if name:
            self.check_own_name(name)
        options = [option for key in configs if (option := BrokerConfig.options.get(key)) is not None]
        fixed = [option.name for option in options if option.update_mode is UpdateMode.READ_ONLY]
        if fixed:
            raise _refused(f"Cannot update these configs dynamically: {', '.join(fixed)}")
        own = [option.name for option in options if option.update_mode is UpdateMode.PER_BROKER]
        if own and not name:
            raise _refused(
                f"Cannot update these configs at default cluster level, broker id must be specified: {', '.join(own)}"
            )
        all_brokers = image.config(ResourceType.BROKER, "") if name else configs
        this_broker = configs if name else image.config(ResourceType.BROKER, str(self._node_id))
        try:
            changed = self._config.with_dynamic(all_brokers, this_broker)
        except ConfigError as error:
            raise _refused(str(error)) from None
        _check_cleaner_threads(self.broker_config(image).log_cleaner_threads, changed.log_cleaner_threads)

    def _check_group(self, image: ClusterImage, name: str, configs: Mapping[str, str]) -> None:
        """As GroupConfig.validate. There need not be such a group."""
        if not name:
            raise _refused("Default group resources are not allowed.")
        for key in configs:
            if key not in GroupOptions.options:
                raise _invalid(f"Unknown group config name: {key}")
        broker = self.broker_config(image)
        try:
            GroupOptions(configs, broker).check(configs, broker)
        except ConfigError as error:
            raise _invalid(str(error)) from None

    def check_own_name(self, name: str) -> None:
        """Raise for a broker resource that is not this broker."""
        try:
            number = int(name)
        except ValueError:
            raise _refused(f"Node id must be an integer, but it is: {name}") from None
        if number != self._node_id:
            raise _refused(f"Unexpected broker id, expected {self._node_id}, but received {name}")


def _check_cleaner_threads(current: int, changed: int) -> None:
    """As LogCleaner.validateReconfiguration."""
    if changed < current // 2:
        raise _refused(f"Log cleaner threads cannot be reduced to less than half the current value {current}")
    if changed > 2 * current:
        raise _refused(f"Log cleaner threads cannot be increased to more than double the current value {current}")


def _check_client_metrics(name: str, configs: Mapping[str, str]) -> None:
    """As ClientMetricsConfigs.validate."""
    if not name:
        raise _refused("Subscription name can't be empty")
    for key in configs:
        if key not in ClientMetricsConfig.options:
            raise _refused(f"Unknown client metrics configuration: {key}")
    try:
        config = ClientMetricsConfig(configs)
    except ConfigError as error:
        raise _invalid(str(error)) from None
    if not config.interval_is_allowed:
        raise _refused(
            f"Invalid value {config.interval_ms} for interval.ms, interval must be between "
            f"{MIN_INTERVAL_MS} and {MAX_INTERVAL_MS} (1 hour)"
        )


def _invalid(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_CONFIG, message)


def _refused(message: str) -> KafkaError:
    return KafkaError(ErrorCode.INVALID_REQUEST, message)
