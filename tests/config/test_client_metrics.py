"""Client metrics subscriptions: what they may say."""

import pytest

from kpy.config import ConfigError
from kpy.config.client_metrics import ClientMetricsConfig, client_metrics_entries


def test_defaults_and_settings() -> None:
    """A subscription takes no metrics from nobody every five minutes, until it says otherwise."""
    assert (ClientMetricsConfig({}).metrics, ClientMetricsConfig({}).interval_ms) == ((), 300_000)
    config = ClientMetricsConfig({"match": "client_id=a.*,client_software_name=b", "metrics": "*"})
    assert config.match == ("client_id=a.*", "client_software_name=b")


@pytest.mark.parametrize("match", ["client_id", "color=red", "client_id=", "client_id=a=b", "client_id=("])
def test_matches_that_mean_nothing(match: str) -> None:
    """A match is one of six criteria with a regular expression."""
    with pytest.raises(ConfigError):
        ClientMetricsConfig({"match": match})


@pytest.mark.parametrize(("interval", "allowed"), [("99", False), ("100", True), ("3600000", True), ("3600001", False)])
def test_the_interval_has_bounds(interval: str, allowed: bool) -> None:
    """A client may push ten times a second at most, and once an hour at least."""
    assert ClientMetricsConfig({"interval.ms": interval}).interval_is_allowed is allowed


def test_what_is_described() -> None:
    """What is set has its source and itself as its synonym; what is not has its default."""
    entries = {entry.name: entry for entry in client_metrics_entries({"interval.ms": "1000"})}
    assert (entries["interval.ms"].value, entries["interval.ms"].source) == ("1000", 7)
    assert [synonym.value for synonym in entries["interval.ms"].synonyms] == ["1000"]
    assert (entries["match"].value, entries["match"].source, entries["match"].synonyms) == ("", 5, ())
