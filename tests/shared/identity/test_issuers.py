"""Issuers are named by operations; what cannot be trusted is refused when the service starts, by name."""

from pathlib import Path

import httpx
import pytest

from deploy.issuer import ISSUER
from services.alerts.app import service as alerts
from services.orders.app import service
from shared.http import create_app
from shared.identity import trusted
from shared.settings import IssuersWrong, ServiceSettings
from tests.house import House, WorkerInHand
from tests.services.alerts.desk import REPORT, introduce
from tests.shared.identity.oidc import Oidc

ONE = """
[[issuer]]
issuer = "https://login.hospitals.example/realms/main"
organisations = ["H33010200059"]
roles = ["hospital"]
regions = ["330100"]
"""


def told(tmp_path: Path, text: str = "", **other: object) -> ServiceSettings:
    file = tmp_path / "issuers.toml"
    file.write_text(text, encoding="utf-8")
    return ServiceSettings(database_url="", issuers_file=file if text else None, **other)  # type: ignore[arg-type]


def test_the_platform_s_own_issuer_speaks_for_everybody(tmp_path: Path) -> None:
    (own,) = trusted(told(tmp_path, issuer="https://own.example", audience="x"))
    assert (own.organisations, own.roles, own.regions) == (("*",), ("*",), ("*",))
    assert own.audience_of("orders") == "x"


def test_a_file_may_name_everything(tmp_path: Path) -> None:
    text = (
        ONE
        + """
audience.orders = "jicai-orders"
fixed.region = "330102"
claims.roles = "realm_access.roles"
values.roles.procurement-clerk = "hospital"
"""
    )
    first, own = trusted(told(tmp_path, text, issuer="https://own.example"))
    assert (first.audience_of("orders"), first.audience_of("alerts"), own.audience_of("alerts")) == (
        "jicai-orders",
        "alerts",
        "alerts",
    )
    assert first.values.roles == {"procurement-clerk": "hospital"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Nobody's tokens"),
        ("x = 1", "nothing else is read"),
        ("[[issuer", "issuers.toml"),
        (ONE + "colour = 'red'", "colour"),
        (ONE + ONE, "more than once"),
        (ONE.replace("https://", "http://"), "https address"),
        (ONE + "jwks = 'http://keys.example/x'", "https address"),
        (ONE.replace('organisations = ["H33010200059"]', ""), "name the organisations"),
        (ONE.replace("[\"hospital\"]", "[]"), "roles"),
        (ONE.replace("hospital\"]", "emperor\"]"), "roles"),
        (ONE.replace("330100", "3301"), "regions"),
        (ONE + "values.roles.clerk = 'emperor'", "values.roles.clerk"),
        (ONE + "fixed.region = 'x'", "fixed.region"),
    ],
)  # fmt: skip
def test_what_cannot_be_trusted_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(IssuersWrong, match=reason.replace(".", r"\.")):
        trusted(told(tmp_path, text))


def test_the_issuer_for_trying_out_is_trusted_by_the_embedded_default_alone(tmp_path: Path) -> None:
    named = {"issuer": ISSUER, "jwks": str(tmp_path / "jwks.json")}
    assert trusted(told(tmp_path, embedded=True, **named))
    with pytest.raises(IssuersWrong, match="only the embedded default"):
        trusted(told(tmp_path, **named))
    posed = ONE.replace("https://login.hospitals.example/realms/main", ISSUER) + f"jwks = '{tmp_path}/jwks.json'"
    with pytest.raises(IssuersWrong, match="only the embedded default"):
        trusted(told(tmp_path, posed))


def test_production_does_not_trust_the_issuer_for_trying_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trusted(house.settings(service))
    monkeypatch.setenv("JICAI_PRODUCTION", "1")
    with pytest.raises(IssuersWrong):
        trusted(house.settings(service))


async def test_a_hospital_group_s_issuer_and_a_system_of_its_own_over_http(
    house: House, oidc: Oidc, tmp_path: Path
) -> None:
    text = ONE.replace("https://login.hospitals.example/realms/main", oidc.url) + "fixed.region = '330102'"
    settings = house.settings(service).model_copy(update={"issuers_file": told(tmp_path, text).issuers_file})
    app = create_app(service, settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://orders") as client:
            system = oidc.token(sub=None, client_id="erp-7", region=None, scope="orders:read")
            answers = [
                await client.request(method, "/orders", headers={"authorization": f"Bearer {token}"}, json={})
                for method, token in [
                    ("GET", system),
                    ("POST", system),
                    ("GET", oidc.token(org="H33010200060")),
                    ("GET", oidc.token(aud="settlement")),
                ]
            ]
            nobody = await client.get("/orders")
    assert [answer.status_code for answer in answers] == [200, 403, 401, 401]
    assert nobody.headers["www-authenticate"] == 'Bearer realm="jicai"'
    assert 'error="insufficient_scope", scope="orders:write"' in answers[1].headers["www-authenticate"]
    assert 'error="invalid_token"' in answers[2].headers["www-authenticate"]
    assert answers[2].json()["code"] == "token_refused"


async def test_history_names_the_system_that_did_it(house: House, oidc: Oidc, tmp_path: Path) -> None:
    text = ONE.replace("https://login.hospitals.example/realms/main", oidc.url)
    settings = house.settings(alerts).model_copy(update={"issuers_file": told(tmp_path, text).issuers_file})
    database = await house.database(alerts)
    await introduce(WorkerInHand(alerts, database))
    app = create_app(alerts, settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {oidc.token(sub=None, client_id='erp-7', aud='alerts', region='330100')}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://alerts", headers=headers) as client:
            made = await client.post("/problems", json=REPORT, headers={"idempotency-key": "1"})
            assert made.status_code == 201, made.text
    written = await database.pool.fetch("SELECT DISTINCT organisation, person FROM history")
    await house.empty(alerts)
    assert [tuple(row) for row in written] == [("H33010200059", "client:erp-7")]


@pytest.mark.parametrize(
    ("scope", "status"), [(None, 200), ("operations:read", 200), ("orders:read", 403), ("operations:write", 403)]
)
async def test_a_scope_cuts_the_operator_down_too(house: House, oidc: Oidc, scope: str | None, status: int) -> None:
    everybody = {"issuer": oidc.url, "jwks": "", "audience": ""}
    app = create_app(service, house.settings(service).model_copy(update=everybody))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://orders") as client:
            token = oidc.token(roles=["operator"], scope=scope)
            answer = await client.get("/in-flight", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == status, answer.text
