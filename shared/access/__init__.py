"""Who may do what with whose rows: one matrix, as data that people can read, one TOML file per service.

    [place_order]
    hospital = "own"          # rows of which the caller's organisation is a party
    authority = "region"      # rows of the caller's region and those under it
    operator = "all"          # every row

An operation without an entry fails at start; a role that is not named may not. With several roles the widest holds.
A token with scopes may do what its roles may and its scopes name: `orders:read`, `orders:write`, or one operation alone,
`orders:place_order`.
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from shared.db import Scope
from shared.errors import Forbidden, Said
from shared.identity import REALM, ROLES, Caller

WIDTH = {"own": 1, "region": 2, "all": 3}


class RoleMayNot(Forbidden):
    title = "This role may not do that"


class ScopeTooNarrow(Forbidden):
    title = "The token's scope does not reach that far"


class MatrixIncomplete(ValueError):
    """A route without a row in the matrix, or a row with a word that means nothing."""


class Access:
    """The matrix of one service."""

    def __init__(self, service: str, matrix: Mapping[str, Mapping[str, str]]) -> None:
        self.service = service
        self.matrix = matrix
        for operation, row in matrix.items():
            for role, reach in row.items():
                if role not in ROLES or reach not in WIDTH:
                    raise MatrixIncomplete(
                        f"{service}.{operation}: {role} = {reach!r}; roles are {ROLES}, reaches {tuple(WIDTH)}"
                    )

    @classmethod
    def of(cls, service: str) -> "Access":
        """The shipped matrix of a service: what every service answers, and its own."""
        files = (Path(__file__).parent / f"{name}.toml" for name in ("every", service))
        matrix: dict[str, Mapping[str, str]] = {}
        for file in files:
            matrix.update(tomllib.loads(file.read_text(encoding="utf-8")))
        return cls(service, matrix)

    def check_complete(self, operations: Iterable[str]) -> None:
        """Raises MatrixIncomplete naming every operation that has no row."""
        if missing := sorted(set(operations) - set(self.matrix)):
            raise MatrixIncomplete(f"{self.service}: no row of the access matrix for {', '.join(missing)}")

    def may(self, operation: str, caller: Caller) -> bool:
        """Whether one of the caller's roles has this operation, to whatever reach."""
        return not caller.roles.isdisjoint(self.matrix[operation])

    def scope(self, operation: str, caller: Caller, *, writes: bool) -> Scope:
        """Whose rows this caller may see while doing this; raises RoleMayNot, ScopeTooNarrow."""
        row = self.matrix[operation]
        reaches = [row[role] for role in caller.roles if role in row]
        if not reaches:
            raise RoleMayNot(
                "{operation} is for {roles}; the token's roles are {held}.",
                operation=operation,
                roles=", ".join(row) or Said("nobody"),
                held=", ".join(sorted(caller.roles)),
            )
        needed = f"{self.service}:{'write' if writes else 'read'}"
        if caller.scopes is not None and caller.scopes.isdisjoint({needed, f"{self.service}:{operation}"}):
            raise ScopeTooNarrow(
                "{operation} needs the scope {needed} or {service}:{operation}; the token has {held}.",
                headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{needed}"'},
                operation=operation,
                needed=needed,
                service=self.service,
                held=" ".join(sorted(caller.scopes)) or Said("none"),
            )
        return Scope(max(reaches, key=WIDTH.__getitem__), caller.organisation, caller.region_prefix)
