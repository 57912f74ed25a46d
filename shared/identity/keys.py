"""The published keys of one issuer: fetched together and rarely, and what was fetched serves for as long as it must.

An unknown key id asks the issuer at most once in `jwks_refetch_seconds`, however many ask at once; old keys are asked for
again behind the requests' back; an issuer that is away or talks nonsense changes nothing. Source: OpenID Connect Discovery
1.0 §4.3 (the document must name the issuer that was asked), RFC 7517, RFC 8725 §3.1.
"""

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import orjson
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from shared import clock
from shared.identity.base import IssuerAway
from shared.identity.issuers import Issuer, trustworthy
from shared.settings import Limits

log = logging.getLogger(__name__)

DISCOVERY = "/.well-known/openid-configuration"
DOCUMENT_BYTES = 1024 * 1024
RSA_BITS = 2048
"""Shorter ones are not taken (RFC 7518 §3.3)."""
FAMILIES: dict[str, tuple[str, str | None, tuple[str, ...]]] = {
    "RS256": ("RSA", None, ("RS256",)),
    "ES256": ("EC", "P-256", ("ES256",)),
    "EdDSA": ("OKP", "Ed25519", ("EdDSA", "Ed25519")),
}
"""Key type, curve and what the key may call its algorithm (RFC 9864 has a new word for the third)."""
MAKERS: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class Nonsense(ValueError):
    """The issuer answered, and not with what was asked."""


class Keys:
    """The keys of one issuer by algorithm and id; `generation` rises whenever one of them is gone."""

    def __init__(self, issuer: Issuer, limits: Limits) -> None:
        self._issuer = issuer
        self._limits = limits
        self._known: dict[tuple[str, str], Key] = {}
        self._asked_at = float("-inf")
        self._fetched_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self.generation = 0

    async def find(self, algorithm: str, key_id: str | None) -> Key | None:
        """The key, asking the issuer where it is not known and may be asked; raises IssuerAway without any key."""
        found = self._find(algorithm, key_id)
        if found is None:
            await self._ask(self._limits.jwks_refetch_seconds if self._known else self._limits.jwks_retry_seconds)
            found = self._find(algorithm, key_id)
        if not self._known:
            wait = {"Retry-After": str(max(1, round(self._limits.jwks_retry_seconds)))}
            raise IssuerAway("Tokens cannot be verified until the issuer answers.", headers=wait)
        return found

    def refresh(self) -> None:
        """Has old keys fetched again, and waits for nothing: until then, and when that fails, the old ones serve."""
        now = clock.elapsed()
        aged = now - self._fetched_at >= self._limits.jwks_seconds
        if aged and self._known and now - self._asked_at >= self._limits.jwks_refetch_seconds:
            self._begin()

    async def close(self) -> None:
        """Gives up what is being fetched."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _find(self, algorithm: str, key_id: str | None) -> Key | None:
        if key_id is not None:
            return self._known.get((algorithm, key_id))
        fitting = [key for (fits, _), key in self._known.items() if fits == algorithm]
        return fitting[0] if len(fitting) == 1 else None

    async def _ask(self, pause_seconds: float) -> None:
        """One fetch for all who wait, none when the last one is too recent; who goes away does not end it."""
        if self._fetching is None:
            if clock.elapsed() - self._asked_at < pause_seconds:
                return
            self._begin()
        if self._fetching is not None:
            await asyncio.shield(self._fetching)

    def _begin(self) -> None:
        if self._fetching is None:
            self._asked_at = clock.elapsed()
            self._fetching = asyncio.create_task(self._fetch(), name=f"keys of {self._issuer.issuer}")

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(self._limits.jwks_wait_seconds):
                fetched = usable(await self._published())
            if not fetched:
                raise Nonsense("it publishes no key that is of use here")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:  # OSError: time-outs too
            log.warning("issuer's keys not fetched", extra={"issuer": self._issuer.issuer, "reason": repr(error)})
        else:
            if any(_differ(key, fetched.get(place)) for place, key in self._known.items()):
                self.generation += 1
            self._known = fetched
            self._fetched_at = clock.elapsed()
        finally:
            self._asked_at = clock.elapsed()
            self._fetching = None

    async def _published(self) -> Any:
        address = self._issuer.jwks
        if address and "://" not in address:
            return orjson.loads(await asyncio.to_thread(Path(address).read_bytes))
        async with httpx.AsyncClient(timeout=self._limits.jwks_wait_seconds) as client:
            if not address:
                address = await self._discovered(client)
            return await _json(client, address)

    async def _discovered(self, client: httpx.AsyncClient) -> str:
        """Where the issuer says its keys are."""
        issuer = self._issuer.issuer
        document = await _json(client, issuer.rstrip("/") + DISCOVERY)
        if not isinstance(document, dict) or document.get("issuer") != issuer:
            raise Nonsense("its document is about another issuer")
        address = document.get("jwks_uri")
        if not isinstance(address, str) or not trustworthy(address):
            raise Nonsense(f"its document names no address of keys that can be trusted: {address!r}")
        return address


async def _json(client: httpx.AsyncClient, address: str) -> Any:
    """A JSON document of bounded size; a redirect is not followed."""
    async with client.stream("GET", address) as answer:
        if answer.status_code != httpx.codes.OK:
            raise Nonsense(f"{address} answered {answer.status_code}")
        body = b""
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > DOCUMENT_BYTES:
                raise Nonsense(f"{address} answered with more than {DOCUMENT_BYTES} bytes")
    return orjson.loads(body)


def usable(document: Any) -> dict[tuple[str, str], Key]:
    """The public keys for signatures that are taken here; others, which may stand beside them, are passed over."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise Nonsense("it is no set of keys")
    found: dict[tuple[str, str], Key] = {}
    for number, entry in enumerate(entries):
        for algorithm in FAMILIES:
            if isinstance(entry, dict) and (key := _key(entry, algorithm)) is not None:
                found[algorithm, str(entry.get("kid", f"#{number}"))] = key
    return found


def _key(entry: dict[str, Any], algorithm: str) -> Key | None:
    kind, curve, words = FAMILIES[algorithm]
    if (entry.get("kty"), entry.get("crv"), entry.get("use", "sig")) != (kind, curve, "sig"):
        return None
    if entry.get("alg", algorithm) not in words:
        return None
    public = {name: value for name, value in entry.items() if name in {"kty", "crv", "n", "e", "x", "y"}}
    try:
        short = kind == "RSA" and len(public["n"]) * 6 // 8 < RSA_BITS // 8
        return None if short else MAKERS[kind].import_key(public)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        log.warning("a published key cannot be read", extra={"kid": str(entry.get("kid")), "reason": repr(error)})
        return None


def _differ(key: Key, other: Key | None) -> bool:
    return other is None or key.thumbprint() != other.thumbprint()
