"""The rules for Prometheus ask for metrics that are there, by labels that these have."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from shared import telemetry

FILE = Path(telemetry.__file__).parents[1] / "deploy" / "alarms.yaml"
RULES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text("utf-8"))["groups"][0]["rules"]
SELECTOR = re.compile(r"(jicai_\w+)(?:\{(\w+)=)?")


def labels_of(sample: str) -> set[str]:
    """The labels of the metric that shows this sample; raises KeyError where there is none."""
    return set(REGISTRY._names_to_collectors[sample]._labelnames)  # type: ignore[attr-defined]


def test_dead_letters_are_an_alarm_at_once() -> None:
    (rule,) = (one for one in RULES if one["alert"] == "DeadLetters")
    assert rule["expr"] == "sum by (service) (jicai_dead_letters) > 0"  # what waits behind nothing counts too
    assert "for" not in rule
    page = re.search(r"docs/[\w-]+\.md", rule["annotations"]["summary"])
    assert page
    assert (FILE.parents[1] / page[0]).is_file()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_rule_asks_for_what_is_shown(rule: dict[str, Any]) -> None:
    asked = SELECTOR.findall(rule["expr"])
    assert asked
    for sample, label in asked:
        grouped = set(re.findall(r"\w+", re.search(r"by \(([^)]*)\)", rule["expr"])[1]))  # type: ignore[index]
        assert grouped | ({label} if label else set()) <= labels_of(sample)
        assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= grouped
