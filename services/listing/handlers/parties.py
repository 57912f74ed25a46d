"""Finds the enterprise that a command names, by code or by exact name; what cannot be meant in one way is a fault."""

from services.listing.queries.enterprises import Directory, Party
from services.listing.rules.faults import Faults
from shared.codes import normal_name
from shared.errors import Said


def normal_code(code: str | None) -> str | None:
    """An organisation's code as it is kept."""
    return None if code is None else code.strip().upper()


def party_named(
    faults: Faults, known: Directory, field: str, code: str | None, name: str | None, kind: str | None = None
) -> Party | None:
    """The enterprise of `<field>_code` or `<field>_name`, taking part as `kind`; None, and a fault, otherwise."""
    pointer, given = (f"/{field}_name", name) if code is None else (f"/{field}_code", code)
    found = known.of_name(name or "") if code is None else [known.of_code(normal_code(code) or "")]
    parties = [party for party in found if party is not None]
    if not parties:
        faults.add(pointer, given, "no enterprise is registered under it", "a registered enterprise; register it first")
        return None
    if len(parties) > 1:
        codes = ", ".join(sorted(party.code for party in parties))
        faults.add(
            pointer,
            given,
            Said("{count} enterprises have this name", count=len(parties)),
            Said("one of the codes {codes}", codes=codes),
        )
        return None
    (party,) = parties
    if code is not None and name is not None and normal_name(name) not in party.name_keys:
        faults.add(
            f"/{field}_name",
            name,
            Said(
                "{code} is registered as {names}, not as {name}",
                code=party.code,
                names=", ".join(party.name_keys),
                name=name,
            ),
            "a name that the code is registered under, or the code alone",
        )
    if kind is not None and kind not in party.kinds:
        faults.add(
            pointer,
            given,
            Said("takes part as {kinds}, not as {kind}", kinds=", ".join(party.kinds), kind=kind),
            Said("an enterprise registered as {kind}", kind=kind),
        )
    if not party.active:
        faults.add(pointer, given, "does not take part any more", "an active enterprise")
    return party
