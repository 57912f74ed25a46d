"""A small OIDC issuer on this machine: discovery, keys that rotate, and every way in which it may be away or talk nonsense."""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from shared import clock
from shared.identity import Issuer, Verifier
from shared.settings import Limits

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys"
ALGORITHMS = ("RS256", "ES256", "EdDSA")
QUICK = Limits(jwks_refetch_seconds=0.05, jwks_retry_seconds=0.05, jwks_wait_seconds=1)


def new_key(algorithm: str) -> Key:
    """A signing key, with the id that goes with it."""
    made: Key
    if algorithm == "RS256":
        made = RSAKey.generate_key(2048)
    elif algorithm == "ES256":
        made = ECKey.generate_key("P-256")
    else:
        made = OKPKey.generate_key("Ed25519")
    made.ensure_kid()
    return made


def sign(key: Key, algorithm: str, claims: Mapping[str, Any], **header: Any) -> str:
    """A token; `kid=None` leaves the key's id out."""
    full = {"alg": algorithm, "typ": "JWT", "kid": key.kid} | header
    parts = ({name: value for name, value in full.items() if value is not None}, dict(claims))
    said = b".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = JWSRegistry.algorithms[algorithm].sign(said, key)
    return (said + b"." + urlsafe_b64encode(signature).rstrip(b"=")).decode()


OWN = {algorithm: new_key(algorithm) for algorithm in ALGORITHMS}
"""Made once, because an RSA key takes its time."""


class Oidc:
    """The issuer: `keys` are published, `answers` stand in for what it would say, `asked` counts."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = dict(OWN)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: Counter[str] = Counter()
        self.wait_seconds = 0.0
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def document(self, **other: Any) -> bytes:
        return orjson.dumps({"issuer": self.url, "jwks_uri": self.url + JWKS} | other)

    def published(self) -> bytes:
        shown = [key.as_dict(private=False) | {"use": "sig", "alg": alg} for alg, key in self.keys.items()]
        foreign = [
            {"kty": "RSA", "use": "enc", "kid": "e"},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "s"},
            {"kty": "new"},
        ]
        return orjson.dumps({"keys": [*shown, *foreign]})

    def token(self, algorithm: str = "ES256", *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        return sign(self.keys[algorithm], algorithm, self.claims(**claims), **(header or {}))

    def claims(self, **other: Any) -> dict[str, Any]:
        now = int(clock.wall_seconds())
        who = {"sub": "wang", "org": "H33010200059", "roles": ["hospital"], "region": "330102"}
        good = {"iss": self.url, "aud": "orders", "iat": now, "nbf": now, "exp": now + 60, **who}
        return {name: value for name, value in (good | other).items() if value is not None}

    def trusted(self, **other: Any) -> Issuer:
        """This issuer as the settings would name it."""
        bounds = {"organisations": ["H33010200059"], "roles": ["hospital"], "regions": ["330100"]}
        return Issuer(**({"issuer": self.url} | bounds | other))

    def verifier(self, limits: Limits = QUICK, **other: Any) -> Verifier:
        return Verifier([self.trusted(**other)], "orders", limits)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            self.asked[path] += 1
            await asyncio.sleep(self.wait_seconds)
            here = {DISCOVERY: (200, self.document()), JWKS: (200, self.published())}
            status, body = self.answers.get(path) or here.get(path, (404, b"{}"))
            head = f"HTTP/1.1 {status} .\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
            writer.write(head.encode() + b"content-type: application/json\r\nlocation: /elsewhere\r\n\r\n" + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
