"""Who may take part as an enterprise: its code, its several names, and what a provisional one is.

An enterprise goes by one code for good: its USCC, or a provisional code made of its exact name when the USCC is not known.
"""

import hashlib
from dataclasses import dataclass, replace
from uuid import UUID

from services.listing.errors import EnterpriseRefused
from shared.codes import CodeRefused, normal_name, parse_uscc
from shared.errors import Fault

KINDS = ("manufacturer", "distributor", "agent")


@dataclass(frozen=True, slots=True)
class Enterprise:
    """An enterprise as it stands; `version` is raised by every change."""

    id: UUID
    code: str
    name: str
    aliases: tuple[str, ...]
    kinds: tuple[str, ...]
    provisional: bool
    override_reason: str | None
    region: str
    active: bool
    version: int


def code_of(uscc: str | None, name: str, override_reason: str | None) -> str:
    """The code an enterprise goes by; raises EnterpriseRefused for a USCC of a wrong form, or with a failing check
    digit and no reason to override it (some early codes were issued so; GB 32100-2015)."""
    if uscc is None:
        return provisional_code(name)
    try:
        parsed = parse_uscc(uscc)
    except CodeRefused as error:
        fault = Fault("/uscc", error.given, error.rule, error.allowed)
        raise EnterpriseRefused(f"{error.given!r} is no USCC: {error.rule}.", faults=[fault]) from error
    if not parsed.check_ok and not override_reason:
        fault = Fault(
            "/override_reason", None, "the check digit of the USCC fails", "a reason why the code is right all the same"
        )
        raise EnterpriseRefused(
            f"The check digit of {parsed.code} fails; give an override_reason if it was issued so.", faults=[fault]
        )
    return parsed.code


def provisional_code(name: str) -> str:
    """The code of an enterprise known by its exact name alone; the same name always gives the same code."""
    return "PROV-" + hashlib.sha256(normal_name(name).encode()).hexdigest()[:12].upper()


def also_known_as(enterprise: Enterprise, name: str, kinds: tuple[str, ...]) -> Enterprise:
    """The enterprise with one more name and the kinds added; the same value when nothing is new."""
    names = {normal_name(known) for known in (enterprise.name, *enterprise.aliases)}
    aliases = enterprise.aliases if normal_name(name) in names else (*enterprise.aliases, name)
    together = tuple(kind for kind in KINDS if kind in {*enterprise.kinds, *kinds})
    if (aliases, together) == (enterprise.aliases, enterprise.kinds):
        return enterprise
    return replace(enterprise, aliases=aliases, kinds=together, version=enterprise.version + 1)
