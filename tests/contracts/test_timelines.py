"""Whatever has a life tells it: what happened, who acts next, by when and why."""

from typing import Any

from deploy.deeds import LIVES
from shared.service import Service
from tests.contracts.test_examples import document, service

__all__ = ["document", "service"]

NO_LIFE = {
    "jobs": "its view tells progress and `next` itself",
    "dead-letters": "settled by a person, kept with its reason",
    "errors": "a page",
    "codes": "its view is the whole life",
    "by-number": "another way to the same thing",
    "by-shipment-line": "another way to the same thing",
}
"""Things that are asked for by an id or code and have no timeline, and why."""


def test_everything_with_a_life_has_a_timeline(document: dict[str, Any]) -> None:
    bare = [
        path
        for path, methods in document["paths"].items()
        if "get" in methods and path.endswith("}") and path.split("/")[-2] not in NO_LIFE
        if "get" not in document["paths"].get(f"{path}/timeline", {})
    ]
    assert bare == []


TOLD = {
    "listing": {"enterprises", "institutions", "products", "listings", "distributions"},
    "orders": {"orders", "lines", "shipments"},
    "settlement": {"payables", "sheets", "accounts", "payment-runs", "payments"},
    "traceability": {"documents", "receipts", "recalls", "anomalies"},
    "alerts": {"alerts", "problems"},
}


def test_the_message_board_answers_for_all_of_these(document: dict[str, Any], service: Service) -> None:
    found = {path.split("/")[-3] for path in document["paths"] if path.endswith("}/timeline")}
    assert found == TOLD[service.name]


def test_the_audit_looks_for_the_deeds_of_everything_with_a_timeline(service: Service) -> None:
    of_their_own = {name.replace("-", "_") for name in TOLD[service.name]} - {
        "lines"
    }  # of a line its order's deeds tell
    assert of_their_own == set(LIVES[service.name])
