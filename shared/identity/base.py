"""The caller as every service knows it, and the three ways in which nobody is let in."""

from shared.codes import region_prefix
from shared.errors import Said, Unauthenticated, Unavailable
from shared.values import frozen

ROLES = ("hospital", "manufacturer", "distributor", "agency", "authority", "operator")
REALM = 'Bearer realm="jicai"'


@frozen
class Caller:
    """Who asks: `organisation` is its code (USCC, institution code), `region` covers those under it."""

    organisation: str
    roles: frozenset[str]
    region: str
    person: str
    """a person as the issuer names it, or `client:` and the name of a system that came without one"""
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


def no_token() -> NoToken:
    """Nobody said who they are; no error code, so that a client learns only how to ask (RFC 6750 §3.1)."""
    return NoToken("Send the header `Authorization: Bearer <token>`.", headers={"WWW-Authenticate": REALM})


def refused(why: str, **values: object) -> TokenRefused:
    """A refusal that says what to mend in the token, in the body and in the header (RFC 6750 §3)."""
    refusal = TokenRefused("The token was refused: {why}.", why=Said(why, **values))
    quotable = "".join(one if " " <= one <= "~" and one not in '"\\' else "?" for one in refusal.detail)
    refusal.headers["WWW-Authenticate"] = f'{REALM}, error="invalid_token", error_description="{quotable}"'
    return refusal
