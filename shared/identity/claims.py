"""Reads a caller out of verified claims; nothing that an issuer says counts beyond what it was allowed to say.

Source of `client_id` and of a system's token: RFC 9068 §2.2, RFC 6749 §4.4.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shared.codes import CodeRefused, is_clean_text, parse_region, region_prefix
from shared.errors import Said
from shared.identity.base import ROLES, Caller, TokenRefused, refused
from shared.identity.issuers import ANY, Issuer

CODE_CHARACTERS = 64
PERSON_CHARACTERS = 200
CLIENT = "client:"
"""Stands before the name of a system, so that no person can be taken for one."""

_REGION = re.compile(r"[0-9]{6}")
_SCOPE = re.compile(r"[a-z]+:[a-z_]+")
SCOPED = ("listing", "orders", "settlement", "traceability", "alerts", "operations")
"""What a scope may be about; a word that begins so and is written otherwise (`orders.read`, `Orders:Read`) is a slip."""
_OURS = re.compile(rf"({'|'.join(SCOPED)})([^a-z]|$)", re.IGNORECASE)

Claims = Mapping[str, Any]


def caller_of(claims: Claims, issuer: Issuer) -> Caller:
    """Who the token speaks of; raises TokenRefused, naming the claim."""
    organisation = _organisation(claims, issuer)
    roles = _roles(claims, issuer)
    region = _region(claims, issuer)
    return Caller(organisation, roles, region, _person(claims, issuer), _scopes(claims, issuer))


def _organisation(claims: Claims, issuer: Issuer) -> str:
    place = issuer.claims.organisation
    organisation = issuer.fixed.organisation or _meant(_one(claims, place), issuer.values.organisation)
    if organisation is None and _one(claims, place):
        raise _unmapped(place, "organisation")
    if organisation is None or not is_clean_text(organisation, CODE_CHARACTERS):
        raise refused("it names no organisation (`{place}`)", place=place)
    if not issuer.may_speak_for(organisation):
        raise refused("its issuer may not speak for the organisation it names (`{place}`)", place=place)
    return organisation


def _roles(claims: Claims, issuer: Issuer) -> frozenset[str]:
    """The roles of this platform among those of the issuer, which may have many more of its own."""
    place = issuer.claims.roles
    named = issuer.fixed.roles or [_meant(word, issuer.values.roles) for word in _words(claims, place)]
    roles = frozenset(role for role in named if role in ROLES)
    if not roles and named and issuer.values.roles:
        raise _unmapped(place, "roles")
    if not roles:
        raise refused("its `{place}` are not among {roles}", place=place, roles=", ".join(ROLES))
    if ANY not in issuer.roles and (beyond := roles - set(issuer.roles)):
        raise refused(
            "its issuer may not give the role {roles} (`{place}`)", roles=", ".join(sorted(beyond)), place=place
        )
    return roles


def _region(claims: Claims, issuer: Issuer) -> str:
    place = issuer.claims.region
    region = issuer.fixed.region or _meant(_one(claims, place), issuer.values.region)
    if region is None and _one(claims, place):
        raise _unmapped(place, "region")
    if region is None or not _REGION.fullmatch(region):
        raise refused("its `{place}` is not a six-digit code of GB/T 2260", place=place)
    try:
        parse_region(region)
    except CodeRefused as error:
        raise refused("its `{place}` is no code of GB/T 2260: {rule}", place=place, rule=Said(error.rule)) from error
    if ANY not in issuer.regions and not any(region.startswith(region_prefix(within)) for within in issuer.regions):
        raise refused("its issuer may not speak for the region it names (`{place}`)", place=place)
    return region


def _person(claims: Claims, issuer: Issuer) -> str:
    """The person, or the system: one that got its token for itself is its own subject, or has none."""
    person, client = _one(claims, issuer.claims.person), _one(claims, issuer.claims.client)
    name = person if person and person != client else client and CLIENT + client
    if not name or not is_clean_text(name, PERSON_CHARACTERS) or (person and person.startswith(CLIENT)):
        raise refused(
            "it names neither a person (`{person}`) nor a client (`{client}`)",
            person=issuer.claims.person,
            client=issuer.claims.client,
        )
    return name


def _scopes(claims: Claims, issuer: Issuer) -> frozenset[str] | None:
    """Words like `orders:read` cut the roles down, and so does what only looks like one: an unknown word grants nothing.

    `openid` and other words of the issuer's own do not count; where scopes are needed, no word of ours grants nothing.
    """
    words = [_meant(word, issuer.values.scopes) for word in _words(claims, issuer.claims.scopes)]
    scopes = frozenset(word for word in words if word and (_SCOPE.fullmatch(word) or _OURS.match(word)))
    needed = issuer.scopes_needed or issuer.values.scopes
    return scopes if scopes or needed else None


def _words(claims: Claims, place: str) -> Sequence[str]:
    """A claim that is a list of words, or a text with spaces between them."""
    found = _at(claims, place)
    if found is None:
        return ()
    words = found.split() if isinstance(found, str) else found
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise refused("its `{place}` is neither a text nor a list of texts", place=place)
    return words


def _one(claims: Claims, place: str) -> str | None:
    """A claim that is one text; some issuers put it into a list by itself."""
    found = _at(claims, place)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    return found if isinstance(found, str) and found else None


def _at(claims: Any, place: str) -> Any:
    """What stands there: under the whole name (`https://…/org` has dots of its own), else one level down at a dot."""
    if not isinstance(claims, dict):
        return None
    if place in claims:
        return claims[place]
    dots = (index for index, character in enumerate(place) if character == ".")
    return next((_at(claims[place[:dot]], place[dot + 1 :]) for dot in dots if place[:dot] in claims), None)


def _meant(word: str | None, values: Mapping[str, str]) -> str | None:
    """What the issuer's word means here: itself, unless meanings are named."""
    return values.get(word) if values and word is not None else word


def _unmapped(place: str, thing: str) -> TokenRefused:
    """Where an issuer's words are mapped, one that is not counts for nothing, though it be a word of ours."""
    return refused(
        "what its `{place}` says is not in the map of its issuer's words (`values.{thing}`)", place=place, thing=thing
    )
