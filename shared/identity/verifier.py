"""Turns a bearer token into a Caller: nothing in it counts before a key of the issuer it names has verified it.

Only asymmetric signatures are taken, issuer, audience, kind and times are checked, and a verified token is remembered until it
expires, or until a key of its issuer is withdrawn. Source: RFC 7519, RFC 8725 §3.1 (algorithms), §3.9 (audience), §3.11 (kinds).
"""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from shared import clock
from shared.identity.base import Caller, no_token, refused
from shared.identity.claims import caller_of
from shared.identity.issuers import Issuer
from shared.identity.keys import FAMILIES, Keys
from shared.settings import Limits
from shared.values import frozen

SKEW_SECONDS = 30
DAY_SECONDS = 86_400
KINDS = {"JWT", "AT+JWT", "APPLICATION/AT+JWT"}
"""`typ` of an access token, where it is said; a logout token or a proof is none."""
BEARER = {"bearer", "jwt"}
"""The claim `typ`, with which some issuers tell an access token from an id token or a refresh token."""


def _signatures(algorithm: str) -> JWSRegistry:
    """That algorithm alone; headers of the issuer's own are nobody's business, unless they are critical."""
    made = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    quiet = copy(JWSRegistry.algorithms[algorithm])
    quiet.security_warning = None  # of EdDSA, which has a new name for those who sign (RFC 9864)
    made.algorithms = {algorithm: quiet}
    return made


SIGNATURES = {algorithm: _signatures(algorithm) for algorithm in FAMILIES}


@frozen
class _Remembered:
    caller: Caller
    until: float
    keys: Keys
    generation: int


class Verifier:
    """The callers of one service, by the tokens of the issuers it trusts."""

    def __init__(self, issuers: Sequence[Issuer], service: str, limits: Limits) -> None:
        self._service = service
        self._limits = limits
        self._issuers = {issuer.issuer: (issuer, Keys(issuer, limits)) for issuer in issuers}
        self._known: dict[bytes, _Remembered] = {}

    async def caller(self, authorization: str | None) -> Caller:
        """The caller of a request; raises NoToken, TokenRefused or IssuerAway."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise no_token()
        if len(token) > self._limits.token_characters:
            raise refused("it has more than {most} characters", most=self._limits.token_characters)
        if not token.isascii():
            raise refused("it is no signed token")
        name = hashlib.sha256(token.encode()).digest()
        known = self._known.get(name)
        if known is not None:
            known.keys.refresh()
            if known.until > clock.wall_seconds() and known.generation == known.keys.generation:
                return known.caller
            del self._known[name]
        remembered = await self._verified(token)
        while len(self._known) >= self._limits.remembered_tokens:
            self._known.pop(next(iter(self._known)))
        self._known[name] = remembered
        return remembered.caller

    async def close(self) -> None:
        """Gives up what is being fetched."""
        for _, keys in self._issuers.values():
            await keys.close()

    async def _verified(self, token: str) -> _Remembered:
        header, said = _unverified(token)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in FAMILIES:
            raise refused("its `alg` is not among {known}", known=", ".join(FAMILIES))
        if str(header.get("typ", "JWT")).upper() not in KINDS:
            raise refused("its `typ` is not that of an access token")
        if "crit" in header:
            raise refused("it has a critical header, and none is known here (`crit`)")
        named = said.get("iss")
        if not isinstance(named, str) or named not in self._issuers:
            raise refused("it was issued by somebody else")
        issuer, keys = self._issuers[named]
        keys.refresh()
        key_id = header.get("kid")
        key = await keys.find(algorithm, None if key_id is None else str(key_id))
        generation = keys.generation
        if key is None:
            raise refused("it is signed with a key the issuer does not publish")
        claims = _signed(token, key, algorithm)
        self._check(claims, issuer)
        return _Remembered(caller_of(claims, issuer), float(claims["exp"]), keys, generation)

    def _check(self, claims: Mapping[str, Any], issuer: Issuer) -> None:
        now = clock.wall_seconds()
        audience = issuer.audience_of(self._service)
        audiences = claims.get("aud")
        audiences = audiences if isinstance(audiences, list) else [audiences]
        if claims.get("iss") != issuer.issuer:
            raise refused("it was issued by somebody else")
        if audience not in audiences:
            raise refused("it is not meant for {audience!r}", audience=audience)
        if str(claims.get("typ", "bearer")).lower() not in BEARER:
            raise refused("it is no access token (`typ`)")
        for claim in ("exp", "nbf"):
            if claim in claims and not _is_time(claims[claim]):
                raise refused("its {claim} is not a time", claim=claim)
        if "exp" not in claims or now > claims["exp"] + SKEW_SECONDS:
            raise refused("it has expired, or has no expiry")
        if claims["exp"] > now + self._limits.token_days * DAY_SECONDS + SKEW_SECONDS:
            raise refused("it is good for more than {days:g} days (`exp`)", days=self._limits.token_days)
        if now < claims.get("nbf", now) - SKEW_SECONDS:
            raise refused("it is not valid yet")


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims as they are said, to find the key by and for nothing else."""
    parts = token.split(".")
    try:
        header, claims = (orjson.loads(base64.urlsafe_b64decode(part + "==")) for part in parts[:2])
    except ValueError as error:
        raise refused("it is no signed token") from error
    if len(parts) != 3 or not isinstance(header, dict) or not isinstance(claims, dict):  # noqa: PLR2004  RFC 7515 §3.1
        raise refused("it is no signed token")
    return header, claims


def _signed(token: str, key: Key, algorithm: str) -> dict[str, Any]:
    try:
        return dict(jwt.decode(token, key, registry=SIGNATURES[algorithm]).claims)
    except (JoseError, ValueError) as error:
        raise refused("its signature does not verify with the issuer's keys") from error


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
