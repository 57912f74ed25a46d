"""Whose tokens are taken, and for whom each issuer may speak: data that operations write, checked before the first request.

One issuer alone stands in the settings (`ORDERS_ISSUER`, `ORDERS_JWKS`, `ORDERS_AUDIENCE`) and is the platform's own: it may
speak for everybody. Others stand in a TOML file (`ORDERS_ISSUERS_FILE`) and each says for whom it may speak:

    [[issuer]]
    issuer = "https://login.hospitals.example/realms/main"
    audience = "jicai"                        # or a table: audience.orders = "jicai-orders"
    organisations = ["H33010200059"]          # "*" means any
    roles = ["hospital"]
    regions = ["330100"]                      # and those under it
    fixed.region = "330102"                   # whatever the token says
    claims.organisation = "employer.site"     # where it stands; a dot goes one level down
    claims.roles = "realm_access.roles"
    values.roles.procurement-clerk = "hospital"
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.codes import parse_region
from shared.identity.base import ROLES
from shared.settings import EMBEDDED_ISSUER, IssuersWrong, ServiceSettings

ANY = "*"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Region = Annotated[str, Field(pattern=r"^[0-9]{6}$"), AfterValidator(parse_region)]
Role = Literal["hospital", "manufacturer", "distributor", "agency", "authority", "operator"]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Places(_Told):
    """Where in a token each thing stands: a claim's name, or names with dots between them."""

    organisation: str = "org"
    roles: str = "roles"
    region: str = "region"
    person: str = "sub"
    client: str = "client_id"
    scopes: str = "scope"


class Values(_Told):
    """What the issuer's words mean here. Where anything is named, a word that is not named means nothing."""

    organisation: Mapping[str, str] = {}
    roles: Mapping[str, Role] = {}
    region: Mapping[str, Region] = {}
    scopes: Mapping[str, str] = {}


class Fixed(_Told):
    """What holds for every token of the issuer, whatever it says itself."""

    organisation: str | None = None
    roles: tuple[Role, ...] = ()
    region: Region | None = None


class Issuer(_Told):
    """One issuer, and the bounds of what it may say."""

    issuer: str = Field(min_length=1)
    jwks: str = Field("", description="address or file of its public keys; empty: it is asked where they are")
    audience: str | Mapping[str, str] = Field("", description="empty: the name of the service")
    organisations: tuple[str, ...] = ()
    roles: tuple[Role | Literal["*"], ...] = Field(min_length=1)
    regions: tuple[Region | Literal["*"], ...] = Field(min_length=1)
    claims: Places = Places()
    values: Values = Values()
    scopes_needed: bool = Field(default=False, description="a token without a scope of ours may do nothing")
    fixed: Fixed = Fixed()

    @model_validator(mode="after")
    def _can_be_trusted(self) -> Self:
        if not self.organisations and self.fixed.organisation is None:
            raise ValueError('name the organisations it may speak for, or "*"')
        address = self.jwks or self.issuer
        if ("://" in address or not self.jwks) and not trustworthy(address):
            raise ValueError(f"keys that come from {address!r} prove nothing: an https address is needed")
        return self

    def audience_of(self, service: str) -> str:
        """What `aud` must hold for this service."""
        named = self.audience if isinstance(self.audience, str) else self.audience.get(service)
        return named or service

    def may_speak_for(self, organisation: str) -> bool:
        """Whether a token of this issuer may name that organisation."""
        allowed = self.organisations or (self.fixed.organisation,)
        return ANY in allowed or organisation in allowed


def trustworthy(address: str) -> bool:
    """Whether nobody on the way can give us other keys: https, or this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def trusted(settings: ServiceSettings) -> tuple[Issuer, ...]:
    """Every issuer whose tokens a service takes; raises IssuersWrong."""
    found = list(_read(settings.issuers_file)) if settings.issuers_file else []
    if settings.issuer:
        everybody = {"organisations": (ANY,), "roles": (ANY,), "regions": (ANY,)}
        alone = {"issuer": settings.issuer, "jwks": settings.jwks, "audience": settings.audience}
        found.append(_checked({**alone, **everybody}, "the settings"))
    if not found:
        raise IssuersWrong("Nobody's tokens are taken: name an issuer, or a file of issuers.")
    names = [one.issuer for one in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise IssuersWrong(f"Named more than once: {', '.join(twice)}.")
    if EMBEDDED_ISSUER in names and not settings.embedded:
        raise IssuersWrong(f"{EMBEDDED_ISSUER} is for trying out: only the embedded default trusts it.")
    return tuple(found)


def _read(file: Path) -> list[Issuer]:
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise IssuersWrong(f"{file}: {error}") from error
    entries = told.pop("issuer", [])
    if told or not isinstance(entries, list) or not entries:
        raise IssuersWrong(f"{file}: each issuer stands under [[issuer]]; nothing else is read.")
    return [_checked(entry, f"{file}, issuer {number}") for number, entry in enumerate(entries, start=1)]


def _checked(entry: object, where: str) -> Issuer:
    try:
        return Issuer.model_validate(entry)
    except ValidationError as refusal:
        wrong = [f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}" for fault in refusal.errors()]
        raise IssuersWrong(f"{where}: {'; '.join(wrong)}; roles are {', '.join(ROLES)}") from refusal
