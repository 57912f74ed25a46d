"""The issuer is asked rarely and once for all; when it is away, slow or talks nonsense, the keys that are known go on serving."""

import asyncio

import orjson
import pytest
from joserfc.jwk import ECKey, RSAKey

from shared.identity import Caller, IssuerAway, TokenRefused
from shared.identity.keys import DOCUMENT_BYTES, Nonsense, usable
from shared.settings import Limits
from tests.shared.identity.oidc import DISCOVERY, JWKS, QUICK, Oidc, new_key

PATIENT = Limits(jwks_refetch_seconds=60, jwks_retry_seconds=0.05, jwks_wait_seconds=2)


async def test_a_new_key_is_found_by_one_fetch_however_many_ask(oidc: Oidc) -> None:
    known = oidc.verifier()
    await known.caller(f"Bearer {oidc.token()}")
    await asyncio.sleep(0.1)
    oidc.keys["ES256"] = new_key("ES256")
    answers = await asyncio.gather(*[known.caller(f"Bearer {oidc.token()}") for _ in range(100)])
    assert all(isinstance(answer, Caller) for answer in answers)
    assert oidc.asked[JWKS] == 2


async def test_unknown_keys_are_no_storm(oidc: Oidc) -> None:
    known = oidc.verifier(PATIENT)
    await known.caller(f"Bearer {oidc.token()}")
    assert oidc.asked[JWKS] == 1
    unknown = [oidc.token(header={"kid": f"unknown {number}"}) for number in range(100)]
    answers = await asyncio.gather(*[known.caller(f"Bearer {one}") for one in unknown], return_exceptions=True)
    assert {type(answer) for answer in answers} == {TokenRefused}
    assert oidc.asked[JWKS] == 1, "the interval since the last fetch is not over"
    later = oidc.verifier()
    await later.caller(f"Bearer {oidc.token()}")
    await asyncio.sleep(0.1)
    await asyncio.gather(*[later.caller(f"Bearer {one}") for one in unknown], return_exceptions=True)
    assert oidc.asked[JWKS] == 3


async def test_the_first_requests_share_one_fetch(oidc: Oidc) -> None:
    oidc.wait_seconds = 0.05
    known = oidc.verifier()
    await asyncio.gather(*[known.caller(f"Bearer {oidc.token()}") for _ in range(100)])
    assert dict(oidc.asked) == {DISCOVERY: 1, JWKS: 1}


async def test_one_that_goes_away_does_not_end_the_fetch_of_the_others(oidc: Oidc) -> None:
    oidc.wait_seconds = 0.1
    known = oidc.verifier()
    hasty = asyncio.create_task(known.caller(f"Bearer {oidc.token()}"))
    staying = asyncio.create_task(known.caller(f"Bearer {oidc.token()}"))
    await asyncio.sleep(0.02)
    hasty.cancel()
    assert (await staying).person == "wang"
    assert oidc.asked[JWKS] == 1


async def test_known_keys_serve_while_the_issuer_is_away(oidc: Oidc) -> None:
    known = oidc.verifier(Limits(**{**QUICK.model_dump(), "jwks_seconds": 0.05}))
    await known.caller(f"Bearer {oidc.token()}")
    await oidc.stop()
    await asyncio.sleep(0.1)
    for number in range(5):
        assert (await known.caller(f"Bearer {oidc.token(sub=str(number))}")).person == str(number)
    await known.close()


async def test_without_any_key_the_answer_is_503_and_comes_back_with_the_issuer(oidc: Oidc) -> None:
    await oidc.stop()
    known = oidc.verifier()
    with pytest.raises(IssuerAway) as away:
        await known.caller(f"Bearer {oidc.token()}")
    assert (away.value.status, away.value.headers["Retry-After"]) == (503, "1")
    await oidc.start()
    await asyncio.sleep(0.1)
    assert await known.caller(f"Bearer {oidc.token()}")


async def test_a_slow_issuer_holds_up_nobody_whose_key_is_known(oidc: Oidc) -> None:
    known = oidc.verifier()
    await known.caller(f"Bearer {oidc.token()}")
    await asyncio.sleep(0.1)
    oidc.wait_seconds = 5
    stranger = asyncio.create_task(known.caller(f"Bearer {oidc.token(header={'kid': 'other'})}"))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(0.2):
        await known.caller(f"Bearer {oidc.token(sub='li')}")
    with pytest.raises(TokenRefused, match="does not publish"):
        await stranger


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (DISCOVERY, (500, b"{}")),
        (DISCOVERY, (302, b"{}")),
        (DISCOVERY, (200, b"<html>")),
        (DISCOVERY, (200, b"[]")),
        (DISCOVERY, (200, b"{}")),
        (DISCOVERY, (200, b'{"issuer": "https://other.example", "jwks_uri": "https://other.example/keys"}')),
        (JWKS, (404, b"{}")),
        (JWKS, (200, b"[1, 2]")),
        (JWKS, (200, b'{"keys": {}}')),
        (JWKS, (200, b'{"keys": []}')),
        (JWKS, (200, b'{"keys": [1, null, {"kty": ["EC"]}, {"kty": "EC", "crv": "P-256", "x": 5}]}')),
        (JWKS, (200, b" " * (DOCUMENT_BYTES + 1))),
    ],
)
async def test_nonsense_of_the_issuer_is_as_if_it_were_away(oidc: Oidc, path: str, answer: tuple[int, bytes]) -> None:
    fresh = oidc.verifier()
    before = oidc.verifier()
    await before.caller(f"Bearer {oidc.token()}")
    await asyncio.sleep(0.1)
    oidc.answers[path] = answer
    with pytest.raises(IssuerAway):
        await fresh.caller(f"Bearer {oidc.token()}")
    with pytest.raises(TokenRefused, match="does not publish"):
        await before.caller(f"Bearer {oidc.token(header={'kid': 'other'})}")
    assert await before.caller(f"Bearer {oidc.token(sub='li')}")


@pytest.mark.parametrize("address", ["http://keys.example/keys", "file:///etc/passwd", "ftp://x/y", 5, None, ""])
async def test_a_document_that_names_keys_on_an_open_road_is_not_followed(oidc: Oidc, address: object) -> None:
    oidc.answers[DISCOVERY] = (200, oidc.document(jwks_uri=address))
    with pytest.raises(IssuerAway):
        await oidc.verifier().caller(f"Bearer {oidc.token()}")


def test_only_keys_for_signatures_that_are_taken_here_are_read() -> None:
    curve = ECKey.generate_key("P-384").as_dict(private=False)
    long = RSAKey.generate_key(2048).as_dict(private=False)
    good = new_key("ES256").as_dict(private=False)
    taken = {**good, "use": "sig", "alg": "ES256"}
    refused = [
        {**good, "use": "enc"},
        {**good, "alg": "ES384"},
        {**long, "alg": "RS512"},
        {**long, "n": long["n"][:171]},
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        curve,
    ]
    assert list(usable({"keys": [*refused, taken]})) == [("ES256", good["kid"])]
    assert [algorithm for algorithm, _ in usable({"keys": [long]})] == ["RS256"]
    with pytest.raises(Nonsense):
        usable(orjson.loads(b'"keys"'))
