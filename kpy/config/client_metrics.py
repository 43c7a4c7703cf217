"""The options of a client metrics subscription: which clients are to push which metrics, and how often (KIP-714).

They are kept and described, as by a broker that has nobody to give the metrics to (ClientMetricsConfigs).
"""

import re
from collections.abc import Mapping

from kpy.config.describe import ConfigEntry, ConfigSource, SynonymEntry
from kpy.config.options import ConfigError, Options, integer, listing

MIN_INTERVAL_MS = 100
MAX_INTERVAL_MS = 3_600_000

MATCHABLE = frozenset(
    {
        "client_instance_id",
        "client_id",
        "client_software_name",
        "client_software_version",
        "client_source_address",
        "client_source_port",
    }
)


class ClientMetricsConfig(Options):
    """The values of one subscription's options. The interval has bounds that its owner checks, as in Kafka."""

    metrics: tuple[str, ...] = listing((), "prefixes of the names of the metrics to push; * is all")
    interval_ms: int = integer(300_000, "how often to push")
    match: tuple[str, ...] = listing((), "which clients: criterion=pattern each, all of which must hold")

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Raises ConfigError; the names must be in the table."""
        super().__init__(self.parse_values(settings))
        for criterion in self.match:
            name, _, pattern = criterion.partition("=")
            if name.strip() not in MATCHABLE or not pattern or "=" in pattern or not _is_pattern(pattern.strip()):
                raise ConfigError("match", criterion, f"Illegal client matching pattern: {criterion}")

    @property
    def interval_is_allowed(self) -> bool:
        """Whether the interval is between a tenth of a second and an hour."""
        return MIN_INTERVAL_MS <= self.interval_ms <= MAX_INTERVAL_MS


def client_metrics_entries(settings: Mapping[str, str]) -> list[ConfigEntry]:
    """All options of a subscription that has these settings, for DescribeConfigs."""
    values = ClientMetricsConfig(settings)
    return [
        ConfigEntry(
            name=name,
            value=(value := option.format(values.get(name))),
            source=ConfigSource.CLIENT_METRICS_CONFIG if name in settings else ConfigSource.DEFAULT_CONFIG,
            type=option.type,
            synonyms=(SynonymEntry(name, value, ConfigSource.CLIENT_METRICS_CONFIG),) if name in settings else (),
            documentation=option.documentation,
            read_only=False,
            is_sensitive=False,
        )
        for name, option in ClientMetricsConfig.options.items()
    ]


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True
