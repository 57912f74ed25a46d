"""The issuer of the embedded default: signs tokens for trying out, with a key that never leaves the data folder.

A real platform trusts the identity provider that its settings name; this one is trusted by the embedded default alone.
"""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from deploy.embedded import CannotStart, writable
from deploy.services import NAMES
from shared import clock
from shared.codes import CodeRefused, parse_region
from shared.identity import ROLES
from shared.identity.claims import SCOPED
from shared.settings import EMBEDDED_ISSUER as ISSUER
from shared.settings import Limits

ALGORITHM = "ES256"
DAY_SECONDS = 86_400


class TokenImpossible(CannotStart):
    """A token was asked for that every service would refuse."""


def jwks_file(data_dir: Path) -> Path:
    """Where the public keys are, for the services to read; made together with the key when missing."""
    folder = data_dir / "keys"
    public = folder / "jwks.json"
    key = _key(folder)
    if not public.exists():
        with writable(folder):
            _replace(public, orjson.dumps(KeySet([key]).as_dict(private=False)), mode=0o644)
    return public


def has_issuer(data_dir: Path) -> bool:
    """Whether a platform was ever started on this folder, and so has a key to sign with."""
    return (data_dir / "keys" / "issuer.json").exists()


def make_token(
    data_dir: Path,
    *,
    organisation: str,
    roles: Sequence[str],
    region: str,
    person: str = "somebody",
    days: float = 1,
    scopes: Sequence[str] = (),
    client: str | None = None,
    services: Sequence[str] = NAMES,
) -> str:
    """A token for all five services, or for those that are named; for a person, or for the system `client` itself.

    Raises TokenImpossible for a role, region, scope or service that none of them knows.
    """
    _check(organisation, roles, region, days)
    _check_width(scopes, services)
    key = _key(data_dir / "keys")
    now = int(clock.wall_seconds())
    claims = {
        "iss": ISSUER,
        "aud": list(services),
        "sub": client or person,
        "org": organisation,
        "roles": list(roles),
        "region": region,
        "iat": now,
        "nbf": now,
        "exp": now + int(days * DAY_SECONDS),
    }
    if client:
        claims["client_id"] = client
    if scopes:
        claims["scope"] = " ".join(scopes)
    return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key)


def _check(organisation: str, roles: Sequence[str], region: str, days: float) -> None:
    if not organisation:
        raise TokenImpossible("A token needs the code of an organisation.")
    if not roles:
        raise TokenImpossible(f"A token needs a role; there are {', '.join(ROLES)}.")
    for role in roles:
        if role not in ROLES:
            near = difflib.get_close_matches(role, ROLES, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(ROLES)}."
            raise TokenImpossible(f"There is no role {role!r}; {hint}")
    if not (len(region) == 6 and region.isascii() and region.isdigit()):  # noqa: PLR2004  GB/T 2260
        raise TokenImpossible(f"A region is a six-digit code of GB/T 2260, given {region!r}.")
    try:
        parse_region(region)
    except CodeRefused as error:
        raise TokenImpossible(f"There is no region {region!r}: {error.rule}; allowed: {error.allowed}.") from error
    most = Limits().token_days
    if not 0 < days <= most:
        raise TokenImpossible(f"A token lives more than 0 days and at most {most:g}, given {days:g}.")


def _check_width(scopes: Sequence[str], services: Sequence[str]) -> None:
    for scope in scopes:
        about, _, what = scope.partition(":")
        if about not in SCOPED or not what:
            raise TokenImpossible(f"There is no scope {scope!r}; one is like orders:read, about {', '.join(SCOPED)}.")
    for service in services:
        if service not in NAMES:
            raise TokenImpossible(f"There is no service {service!r}; there are {', '.join(NAMES)}.")


def _key(folder: Path) -> ECKey:
    """The signing key, made on the first start; of two processes that make one together, the first wins."""
    private = folder / "issuer.json"
    if not private.exists():
        with writable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            made = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, private=True)
            made.ensure_kid()
            aside = folder / f"issuer.json.{os.getpid()}"
            _replace(aside, orjson.dumps(made.as_dict(private=True)), mode=0o600)
            try:
                os.link(aside, private)
            except FileExistsError:
                pass
            finally:
                aside.unlink()
    return ECKey.import_key(orjson.loads(private.read_bytes()))


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    """Replaces the file in one step, with its mode from its first moment."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    aside.replace(path)
