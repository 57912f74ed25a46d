"""Who is calling: an organisation, its roles and its region, out of a signed token, and nothing that the caller says."""

from shared.identity.base import REALM, ROLES, Caller, IssuerAway, NoToken, TokenRefused
from shared.identity.issuers import Issuer, trusted
from shared.identity.verifier import Verifier

__all__ = [
    "REALM",
    "ROLES",
    "Caller",
    "Issuer",
    "IssuerAway",
    "NoToken",
    "TokenRefused",
    "Verifier",
    "trusted",
]
