"""Who may take part as an enterprise: its code, its several names, and what a provisional one is.

An enterprise goes by one code for good: its USCC, or a provisional code made of its exact name when the USCC is not known.
A USCC that becomes known later is kept beside the provisional code.
"""

import hashlib
from dataclasses import replace
from uuid import UUID

from services.listing.errors import EnterpriseKnown, EnterpriseRefused
from services.listing.rules.faults import Faults
from shared.codes import normal_name, parse_uscc
from shared.values import frozen

KINDS = ("manufacturer", "distributor", "agent")
PROVISIONAL = "PROV-"


@frozen
class Enterprise:
    """An enterprise as it stands; `version` is raised by every change."""

    id: UUID
    code: str
    uscc: str | None
    name: str
    aliases: tuple[str, ...]
    kinds: tuple[str, ...]
    provisional: bool
    override_reason: str | None
    region: str
    active: bool
    version: int


def checked_code(faults: Faults, uscc: str | None, name: str, override_reason: str | None, region: str) -> str:
    """The code an enterprise would be registered under; empty where its USCC is none, which is a fault as is a region
    that does not exist."""
    faults.region(region)
    return provisional_code(name) if uscc is None else checked_uscc(faults, uscc, override_reason)


def checked_uscc(faults: Faults, uscc: str, override_reason: str | None) -> str:
    """The normal form of a USCC. A wrong form is a fault; a failing check digit is one unless a reason is given to
    override it, for some early codes were issued so (GB 32100-2015)."""
    parsed = faults.parsed("/uscc", uscc, parse_uscc)
    if parsed is None:
        return ""
    if not parsed.check_ok and not override_reason:
        faults.check_digit("/uscc", parsed.code, parsed.expected_digit)
    return parsed.code


def provisional_code(name: str) -> str:
    """The code of an enterprise known by its exact name alone; the same name always gives the same code."""
    return PROVISIONAL + hashlib.sha256(normal_name(name).encode()).hexdigest()[:12].upper()


def name_keys(enterprise: Enterprise) -> list[str]:
    """The forms by which an enterprise is found by name."""
    return sorted({normal_name(name) for name in (enterprise.name, *enterprise.aliases)})


def also_known_as(enterprise: Enterprise, name: str, kinds: tuple[str, ...]) -> Enterprise:
    """The enterprise with one more name and the kinds added; the same value when nothing is new."""
    aliases = enterprise.aliases if normal_name(name) in name_keys(enterprise) else (*enterprise.aliases, name)
    together = tuple(kind for kind in KINDS if kind in {*enterprise.kinds, *kinds})
    if (aliases, together) == (enterprise.aliases, enterprise.kinds):
        return enterprise
    return replace(enterprise, aliases=aliases, kinds=together, version=enterprise.version + 1)


def identified(enterprise: Enterprise, uscc: str, override_reason: str | None) -> Enterprise:
    """The enterprise, provisional so far, with its USCC known; the same value when it is known by it already.

    Raises EnterpriseKnown when another USCC is known, EnterpriseRefused for a USCC that is none.
    """
    faults = Faults()
    code = checked_uscc(faults, uscc, override_reason)
    faults.refuse(EnterpriseRefused)
    if enterprise.uscc == code:
        return enterprise
    if enterprise.uscc is not None:
        raise EnterpriseKnown(
            "{code} is known by the USCC {uscc}, given {code_2}.",
            code=enterprise.code,
            uscc=enterprise.uscc,
            code_2=code,
        )
    return replace(
        enterprise, uscc=code, provisional=False, override_reason=override_reason, version=enterprise.version + 1
    )
