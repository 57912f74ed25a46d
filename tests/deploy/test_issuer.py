"""Tokens of the embedded issuer are taken by every service, and nothing that only looks like one is."""

import base64
import hashlib
import hmac
import stat
from pathlib import Path
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.issuer import ISSUER, TokenImpossible, jwks_file, make_token
from deploy.services import NAMES
from shared import clock
from shared.identity import Issuer, NoToken, TokenRefused, Verifier
from shared.identity.claims import SCOPED
from shared.settings import Limits

WHO = {"organisation": "H33010200059", "roles": ["hospital"], "region": "330100"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("issuer")


def verifier(data_dir: Path, audience: str = "orders") -> Verifier:
    everybody = {"organisations": ["*"], "roles": ["*"], "regions": ["*"]}
    issuer = Issuer(issuer=ISSUER, jwks=str(jwks_file(data_dir)), **everybody)
    return Verifier([issuer], audience, Limits(jwks_refetch_seconds=0.001))


def claims(**other: Any) -> dict[str, Any]:
    now = int(clock.wall_seconds())
    good = {"iss": ISSUER, "aud": list(NAMES), "sub": "wang", "org": "H1", "roles": ["hospital"], "region": "330100"}
    return {**good, "iat": now, "nbf": now, "exp": now + 60, **other}


def signed(data_dir: Path, **other: Any) -> str:
    key = ECKey.import_key(orjson.loads((data_dir / "keys" / "issuer.json").read_bytes()))
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims(**other), key)


def by_hand(header: dict[str, Any], secret: bytes | None) -> str:
    """A token that no careful library would make."""
    parts = [base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (header, claims())]
    body = b".".join(parts)
    mac = b"" if secret is None else hmac.new(secret, body, hashlib.sha256).digest()
    return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


async def refused(data_dir: Path, token: str) -> str:
    with pytest.raises(TokenRefused) as caught:
        await verifier(data_dir).caller(f"Bearer {token}")
    assert caught.value.status == 401
    return caught.value.detail


@pytest.mark.parametrize("service", NAMES)
async def test_every_service_takes_a_token(data_dir: Path, service: str) -> None:
    token = make_token(data_dir, **WHO, person="wang", days=0.5)
    caller = await verifier(data_dir, service).caller(f"Bearer {token}")
    assert (caller.organisation, caller.roles, caller.region) == ("H33010200059", {"hospital"}, "330100")
    assert caller.person == "wang"


def test_the_key_is_for_its_owner_alone_and_stays(data_dir: Path) -> None:
    jwks_file(data_dir)
    private = data_dir / "keys" / "issuer.json"
    before = private.read_bytes()
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    make_token(data_dir, **WHO)
    assert private.read_bytes() == before
    assert "d" not in orjson.loads(jwks_file(data_dir).read_bytes())["keys"][0]
    assert sorted(file.name for file in private.parent.iterdir()) == ["issuer.json", "jwks.json"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "not a time"),
        ({"nbf": 99_999_999_999}, "not valid yet"),
        ({"aud": ["payroll"]}, "not meant for 'orders'"),
        ({"aud": None}, "not meant for 'orders'"),
        ({"iss": "https://elsewhere.example"}, "issued by somebody else"),
        ({"roles": ["emperor"]}, "`roles`"),
        ({"roles": []}, "`roles`"),
        ({"region": "33"}, "`region`"),
        ({"org": ""}, "no organisation"),
    ],
)
async def test_a_token_that_says_something_wrong_is_refused(data_dir: Path, other: dict[str, Any], reason: str) -> None:
    jwks_file(data_dir)
    assert reason in await refused(data_dir, signed(data_dir, **other))


async def test_a_token_without_a_signature_is_refused(data_dir: Path) -> None:
    jwks_file(data_dir)
    assert "refused" in await refused(data_dir, by_hand({"alg": "none"}, None))


async def test_the_public_key_is_no_shared_secret(data_dir: Path) -> None:
    public = jwks_file(data_dir).read_bytes()
    key = ECKey.import_key(orjson.loads(public)["keys"][0])
    for secret in (public, key.as_pem(private=False), orjson.dumps(orjson.loads(public)["keys"][0])):
        for header in ({"alg": "HS256"}, {"alg": "HS256", "kid": key.kid}):
            assert "refused" in await refused(data_dir, by_hand(header, secret))


async def test_the_key_of_another_issuer_is_refused(data_dir: Path, tmp_path: Path) -> None:
    jwks_file(data_dir)
    assert "does not publish" in await refused(data_dir, make_token(tmp_path, **WHO))
    head, body, _ = make_token(data_dir, **WHO).split(".")
    _, _, foreign = make_token(tmp_path, **WHO).split(".")
    assert "signature" in await refused(data_dir, f"{head}.{body}.{foreign}")


async def test_a_new_key_of_the_issuer_is_fetched(tmp_path: Path) -> None:
    known = verifier(tmp_path)
    await known.caller(f"Bearer {make_token(tmp_path, **WHO)}")
    for file in (tmp_path / "keys").iterdir():
        file.unlink()
    jwks_file(tmp_path)
    assert (await known.caller(f"Bearer {make_token(tmp_path, **WHO)}")).organisation == "H33010200059"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic dXNlcg=="])
async def test_a_call_without_a_token_is_told_so(data_dir: Path, header: str | None) -> None:
    with pytest.raises(NoToken):
        await verifier(data_dir).caller(header)


@pytest.mark.parametrize(
    "junk", ["x", "a.b.c", "....", "e30.e30.e30", "\N{PILE OF POO}", "eyJhbGciOiJFUzI1NiJ9.e30." + "A" * 86]
)
async def test_junk_is_refused(data_dir: Path, junk: str) -> None:
    await refused(data_dir, junk)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"roles": ["hospitl"]}, "did you mean hospital?"),
        ({"roles": []}, "needs a role"),
        ({"region": "3301"}, "six-digit"),
        ({"region": "３３０１００"}, "six-digit"),
        ({"organisation": ""}, "organisation"),
        ({"days": 0}, "more than 0 days"),
    ],
)
def test_an_impossible_token_is_not_made(tmp_path: Path, other: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenImpossible, match=reason.replace("?", r"\?")):
        make_token(tmp_path, **{**WHO, **other})


async def test_a_token_may_be_narrower_of_a_system_and_for_one_service(data_dir: Path) -> None:
    token = make_token(data_dir, **WHO, scopes=["orders:read"], client="erp-7", services=["orders"])
    caller = await verifier(data_dir).caller(f"Bearer {token}")
    assert (caller.scopes, caller.person) == ({"orders:read"}, "client:erp-7")
    with pytest.raises(TokenRefused, match="not meant for"):
        await verifier(data_dir, "listing").caller(f"Bearer {token}")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scopes": ["orders.read"]}, "no scope 'orders.read'"),
        ({"scopes": ["orders:"]}, "no scope"),
        ({"services": ["order"]}, "no service 'order'"),
        ({"region": "990000"}, "no region '990000'"),
        ({"days": 367}, "at most 366"),
    ],
)
def test_a_token_that_would_be_refused_is_not_made(data_dir: Path, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(TokenImpossible, match=said):
        make_token(data_dir, **(WHO | wrong))


def test_scopes_are_about_the_services_there_are_and_operations() -> None:
    assert {*SCOPED} == {*NAMES, "operations"}
