"""Who is calling: an organisation, its roles and its region, out of a signed token, and nothing that the caller says.

Only asymmetric signatures are accepted (RS256, ES256, EdDSA), issuer and audience must be the expected ones. Verified
tokens are remembered until they expire, in bounded memory. Source: RFC 7519, RFC 8725 §3.1 (algorithms), §3.9 (audience).
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from shared import clock
from shared.codes import region_prefix
from shared.errors import Unauthenticated, Unavailable

log = logging.getLogger(__name__)

ROLES = ("hospital", "manufacturer", "distributor", "agency", "authority", "operator")
ALGORITHMS = ["RS256", "ES256", "EdDSA"]
SKEW_SECONDS = 30
REMEMBERED_TOKENS = 10_000
REFETCH_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `organisation` is its code (USCC, institution code), `region` covers those under it."""

    organisation: str
    roles: frozenset[str]
    region: str
    person: str
    scopes: frozenset[str] | None = None
    """None: as wide as the roles"""

    @property
    def region_prefix(self) -> str:
        return region_prefix(self.region)


class NoToken(Unauthenticated):
    title = "A token is needed"


class TokenRefused(Unauthenticated):
    title = "The token proves nothing here"


class IssuerAway(Unavailable):
    title = "The issuer's keys cannot be fetched now"


class Verifier:
    """Turns a bearer token into a Caller; keys come from the issuer's JWKS, an address or a file."""

    def __init__(self, *, issuer: str, jwks: str, audience: str) -> None:
        self._issuer = issuer
        self._jwks = jwks
        self._audience = audience
        self._keys: KeySet | None = None
        self._fetched_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._known: dict[str, tuple[Caller, float]] = {}

    async def caller(self, authorization: str | None) -> Caller:
        """The caller of a request; raises NoToken, TokenRefused or IssuerAway."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NoToken("Send the header `Authorization: Bearer <token>`.", headers={"WWW-Authenticate": "Bearer"})
        token = token.strip()
        known = self._known.get(token)
        now = clock.wall_seconds()
        if known is not None and known[1] > now:
            return known[0]
        claims = await self._verified(token)
        caller = _caller(claims)
        self._remember(token, caller, float(claims["exp"]), now)
        return caller

    def _remember(self, token: str, caller: Caller, until: float, now: float) -> None:
        if len(self._known) >= REMEMBERED_TOKENS:
            self._known = {known: entry for known, entry in self._known.items() if entry[1] > now}
            while len(self._known) >= REMEMBERED_TOKENS:
                self._known.pop(next(iter(self._known)))
        self._known[token] = (caller, until)

    async def _verified(self, token: str) -> dict[str, Any]:
        keys = await self._key_set()
        try:
            decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError) as error:
            if not isinstance(error, InvalidKeyIdError):
                raise _refused("its signature does not verify with the issuer's keys") from error
            keys = await self._key_set(refetch=True)
            try:
                decoded = jwt.decode(token, keys, algorithms=ALGORITHMS)
            except (JoseError, ValueError) as again:
                raise _refused("it is signed with a key the issuer does not publish") from again
        claims = dict(decoded.claims)
        self._check(claims)
        return claims

    def _check(self, claims: dict[str, Any]) -> None:
        now = clock.wall_seconds()
        audiences = claims.get("aud")
        audiences = [audiences] if isinstance(audiences, str) else audiences or []
        if claims.get("iss") != self._issuer:
            raise _refused("it was issued by somebody else")
        if self._audience not in audiences:
            raise _refused(f"it is not meant for {self._audience!r}")
        for claim in ("exp", "nbf"):
            if claim in claims and (isinstance(claims[claim], bool) or not isinstance(claims[claim], int | float)):
                raise _refused(f"its {claim} is not a time")
        if "exp" not in claims or now > claims["exp"] + SKEW_SECONDS:
            raise _refused("it has expired, or has no expiry")
        if now < claims.get("nbf", now) - SKEW_SECONDS:
            raise _refused("it is not valid yet")

    async def _key_set(self, *, refetch: bool = False) -> KeySet:
        """The issuer's keys; an unknown key asks for one refetch, never a storm, and old keys serve while it is away."""
        if self._keys is not None and not refetch:
            return self._keys
        async with self._fetching:
            if self._keys is not None and clock.elapsed() - self._fetched_at < REFETCH_SECONDS:
                return self._keys
            try:
                self._keys = KeySet.import_key_set(await self._fetch())
            except (httpx.HTTPError, OSError, ValueError, JoseError) as error:
                log.warning("issuer's keys not fetched", extra={"jwks": self._jwks, "reason": repr(error)})
                if self._keys is None:
                    raise IssuerAway("Tokens cannot be verified until the issuer answers.") from error
            self._fetched_at = clock.elapsed()
            return self._keys

    async def _fetch(self) -> Any:
        if self._jwks.startswith(("https://", "http://")):
            async with httpx.AsyncClient(timeout=5) as client:
                answer = await client.get(self._jwks)
                return answer.raise_for_status().json()
        return orjson.loads(await asyncio.to_thread(Path(self._jwks).read_bytes))


def _refused(why: str) -> TokenRefused:
    return TokenRefused(f"The token was refused: {why}.", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def _caller(claims: dict[str, Any]) -> Caller:
    organisation, region = claims.get("org"), claims.get("region")
    roles = claims.get("roles")
    if not isinstance(organisation, str) or not organisation:
        raise _refused("it names no organisation (`org`)")
    if not isinstance(region, str) or not (len(region) == 6 and region.isdigit()):  # noqa: PLR2004  GB/T 2260
        raise _refused("its `region` is not a six-digit code of GB/T 2260")
    if not isinstance(roles, list) or not roles or not set(map(str, roles)) <= set(ROLES):
        raise _refused(f"its `roles` are not among {', '.join(ROLES)}")
    scope = claims.get("scope")
    return Caller(
        organisation=organisation,
        roles=frozenset(roles),
        region=region,
        person=str(claims.get("sub", "unknown")),
        scopes=frozenset(scope.split()) if isinstance(scope, str) and scope else None,
    )
