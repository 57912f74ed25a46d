"""A token is taken when the issuer signed it, for this service, now; each thing else is refused by its own name."""

import asyncio
import contextlib
import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any

import orjson
import pytest
from joserfc.jwk import ECKey

from shared import clock
from shared.identity import TokenRefused, Verifier
from shared.identity.verifier import SKEW_SECONDS
from shared.settings import Limits
from tests.shared.identity.oidc import ALGORITHMS, JWKS, QUICK, Oidc, new_key, sign


async def refusal(verifier: Verifier, token: str) -> TokenRefused:
    with pytest.raises(TokenRefused) as caught:
        await verifier.caller(f"Bearer {token}")
    return caught.value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_algorithm_is_taken_by_discovery(oidc: Oidc, algorithm: str) -> None:
    caller = await oidc.verifier().caller(f"Bearer {oidc.token(algorithm)}")
    assert (caller.organisation, caller.person, caller.roles) == ("H33010200059", "wang", {"hospital"})


@pytest.mark.parametrize(
    "header",
    [{"typ": "at+jwt"}, {"typ": "application/at+jwt"}, {"typ": "jwt"}, {"x5t": "abc", "pi.atm": "1"}, {"kid": None}],
)
async def test_headers_of_honest_issuers_are_borne(oidc: Oidc, header: dict[str, Any]) -> None:
    assert await oidc.verifier().caller(f"Bearer {oidc.token(header=header)}")


@pytest.mark.parametrize(
    ("claims", "header", "reason"),
    [
        ({"iss": "https://elsewhere.example"}, {}, "issued by somebody else"),
        ({"iss": None}, {}, "issued by somebody else"),
        ({"aud": "settlement"}, {}, "not meant for 'orders'"),
        ({"aud": ["settlement", "alerts"]}, {}, "not meant for 'orders'"),
        ({"aud": "orders2"}, {}, "not meant for 'orders'"),
        ({"aud": None}, {}, "not meant for 'orders'"),
        ({"exp": None}, {}, "no expiry"),
        ({"exp": True}, {}, "its exp is not a time"),
        ({"exp": float("nan")}, {}, "signed token"),
        ({"nbf": "now"}, {}, "its nbf is not a time"),
        ({}, {"typ": "logout+jwt"}, "`typ`"),
        ({}, {"typ": "dpop+jwt"}, "`typ`"),
        ({"typ": "ID"}, {}, "`typ`"),
        ({"typ": "Refresh"}, {}, "`typ`"),
        ({}, {"crit": ["b64"], "b64": False}, "critical"),
        ({}, {"crit": 5}, "critical"),
        ({}, {"typ": 5}, "`typ`"),
    ],
)
async def test_each_wrong_word_has_its_reason(
    oidc: Oidc, claims: dict[str, Any], header: dict[str, Any], reason: str
) -> None:
    refused = await refusal(oidc.verifier(), oidc.token(header=header, **claims))
    assert reason in refused.detail
    assert refused.status == 401
    challenge = refused.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="jicai", error="invalid_token", error_description="')
    assert challenge.isascii()
    assert challenge.count('"') == 6


@pytest.mark.parametrize(
    ("claim", "off", "taken"),
    [
        ("exp", -SKEW_SECONDS + 10, True),
        ("exp", -SKEW_SECONDS - 10, False),
        ("nbf", SKEW_SECONDS - 10, True),
        ("nbf", SKEW_SECONDS + 10, False),
    ],
)
async def test_clocks_may_differ_a_little(oidc: Oidc, claim: str, off: int, taken: bool) -> None:
    token = oidc.token(**{claim: int(clock.wall_seconds()) + off})
    if taken:
        assert await oidc.verifier().caller(f"Bearer {token}")
    else:
        await refusal(oidc.verifier(), token)


@pytest.mark.parametrize(("beyond", "taken"), [(-10, True), (SKEW_SECONDS + 10, False)])
async def test_a_token_is_good_for_as_long_as_the_limit_and_no_longer(oidc: Oidc, beyond: int, taken: bool) -> None:
    token = oidc.token(exp=int(clock.wall_seconds()) + 2 * 86_400 + beyond)
    known = oidc.verifier(limits=Limits(token_days=2))
    if taken:
        assert await known.caller(f"Bearer {token}")
    else:
        assert "more than 2 days" in (await refusal(known, token)).detail


def _by_hand(header: dict[str, Any], claims: dict[str, Any], secret: bytes | None) -> str:
    body = b".".join(urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=") for part in (header, claims))
    mac = b"" if secret is None else hmac.new(secret, body, hashlib.sha256).digest()
    return (body + b"." + urlsafe_b64encode(mac).rstrip(b"=")).decode()


async def test_the_published_key_is_no_secret_to_sign_with(oidc: Oidc) -> None:
    known = oidc.verifier()
    for key in oidc.keys.values():
        for secret in (None, key.as_pem(private=False), orjson.dumps(key.as_dict(private=False)), b"secret"):
            for alg in ("none", "None", "HS256", "RS256", "", None, 5, ["ES256"]):
                header = {"alg": alg, "kid": key.kid}
                assert "refused" in (await refusal(known, _by_hand(header, oidc.claims(), secret))).detail


async def test_a_key_that_the_token_brings_itself_counts_for_nothing(oidc: Oidc) -> None:
    own = ECKey.generate_key("P-256")
    theirs = oidc.keys["ES256"]
    for header in ({"jwk": own.as_dict(private=False)}, {"jku": "https://evil.example/keys"}):
        token = sign(own, "ES256", oidc.claims(), **{"kid": theirs.kid, **header})
        assert "signature" in (await refusal(oidc.verifier(), token)).detail


@pytest.mark.parametrize("name", ["kid", "x5u", "x5c", "jwk", "b64", "cty", "zip", "enc", "p2c", "typ"])
async def test_no_header_breaks_anything(oidc: Oidc, name: str) -> None:
    known = oidc.verifier()
    for value in (5, -1.5, True, False, {}, {"a": [1]}, [], [None], "\u0000", "x" * 3_000):
        with contextlib.suppress(TokenRefused):
            await known.caller(f"Bearer {oidc.token(header={name: value})}")


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "nbf", "iat", "sub", "org", "roles", "region", "scope", "typ"])
async def test_no_claim_breaks_anything(oidc: Oidc, name: str) -> None:
    known = oidc.verifier()
    for value in (
        5,
        -1.5,
        1e300,
        10**400,
        True,
        {},
        {"a": [1]},
        [],
        [None],
        [["orders"]],
        "\u0000",
        "\ud800",
        "x" * 3_000,
    ):
        with contextlib.suppress(TokenRefused):
            await known.caller(f"Bearer {oidc.token(**{name: value})}")


async def test_a_key_serves_one_algorithm_and_one_issuer(oidc: Oidc) -> None:
    other = Oidc()
    other.keys["ES256"] = new_key("ES256")
    await other.start()
    known = Verifier([oidc.trusted(), other.trusted(organisations=["H33010200060"])], "orders", QUICK)
    theirs = other.token(org="H33010200060")
    assert (await known.caller(f"Bearer {theirs}")).organisation == "H33010200060"
    posed = sign(other.keys["ES256"], "ES256", oidc.claims(), kid=oidc.keys["ES256"].kid)
    assert "signature" in (await refusal(known, posed)).detail
    crossed = sign(oidc.keys["ES256"], "ES256", oidc.claims(), kid=oidc.keys["RS256"].kid)
    assert "does not publish" in (await refusal(known, crossed)).detail
    await other.stop()


async def test_a_token_is_as_long_as_the_limit_and_no_longer(oidc: Oidc) -> None:
    token = oidc.token()
    narrow = {**QUICK.model_dump(), "token_characters": len(token)}
    assert await oidc.verifier(Limits(**narrow)).caller(f"Bearer {token}")
    narrow["token_characters"] -= 1
    assert f"more than {len(token) - 1}" in (await refusal(oidc.verifier(Limits(**narrow)), token)).detail
    assert not (await refusal(oidc.verifier(), "x" * 9_000)).detail.count("xxx")


async def test_a_verified_token_is_remembered_by_its_hash_in_bounded_memory(oidc: Oidc) -> None:
    known = oidc.verifier(Limits(**{**QUICK.model_dump(), "remembered_tokens": 3}))
    tokens = [oidc.token(sub=f"person {number}") for number in range(5)]
    first = [await known.caller(f"Bearer {token}") for token in tokens]
    assert len(known._known) == 3
    assert all(len(name) == 32 for name in known._known)
    assert await known.caller(f"Bearer {tokens[4]}") is first[4]
    assert await known.caller(f"Bearer {tokens[0]}") is not first[0]


async def test_a_remembered_token_ends_with_its_expiry_or_with_its_key(oidc: Oidc) -> None:
    known = oidc.verifier(Limits(**{**QUICK.model_dump(), "jwks_seconds": 0.05}))
    ended = oidc.token(exp=int(clock.wall_seconds()) - SKEW_SECONDS + 2)
    await known.caller(f"Bearer {ended}")
    token = oidc.token()
    await known.caller(f"Bearer {token}")
    oidc.keys["ES256"] = new_key("ES256")
    await asyncio.sleep(0.1)
    await known.caller(f"Bearer {token}")  # old keys serve, and are asked for again behind the back
    for _ in range(100):
        if oidc.asked[JWKS] > 1:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert "does not publish" in (await refusal(known, token)).detail
    await asyncio.sleep(2)
    assert "refused" in (await refusal(known, ended)).detail
    await known.close()
