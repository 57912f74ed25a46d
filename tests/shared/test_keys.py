"""A write without a natural key demands an Idempotency-Key, every other write offers one, and OpenAPI shows which."""

from collections.abc import Callable

import httpx
import pytest

from deploy.services import load, load_all
from shared.http import create_app
from shared.service import Service

DEMANDED = {"report_problem", "report_problems_in_bulk", "open_recall"}


@pytest.fixture
def service() -> Service:
    return load("alerts")


def test_every_write_shows_the_header_and_says_whether_it_is_needed() -> None:
    demanded = set()
    for service in load_all():
        app = create_app(service, service.settings(database_url="postgresql://nobody@nowhere/none"))
        for path, methods in app.openapi()["paths"].items():
            for method, operation in methods.items():
                if method == "get" or path == "/clock":
                    continue
                shown = [one for one in operation["parameters"] if one["name"] == "idempotency-key"]
                assert len(shown) == 1, operation["operationId"]
                if "optional here" not in shown[0]["description"]:
                    demanded.add(operation["operationId"])
    assert demanded == DEMANDED


async def test_a_report_without_a_key_is_refused_and_told_what_to_send(
    client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]
) -> None:
    body = {"kind": "short_ship", "region": "330102", "text": "缺货", "occurred_at": "2026-01-01T00:00:00Z"}
    refused = await client.post("/problems", json=body, headers=caller("hospital", "H33010200059"))
    assert (refused.status_code, refused.json()["code"]) == (400, "key_missing")
    assert "Idempotency-Key" in refused.json()["detail"]
