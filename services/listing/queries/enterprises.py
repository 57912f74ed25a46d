"""Reads enterprises: by code for handlers, by name for people and for sheets that know no codes."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa

from services.listing.errors import EnterpriseNotFound
from services.listing.rules.enterprises import Enterprise, name_keys
from services.listing.tables import enterprises
from shared.codes import normal_name
from shared.db import Tx, lock_number
from shared.values import frozen, names_of

_TEXTS = sa.ARRAY(sa.Text)
_ALL = sa.select(*(enterprises.c[name] for name in names_of(Enterprise)))
_BY_CODES = (
    _ALL.where(
        sa.or_(
            enterprises.c.code == sa.any_(sa.bindparam("codes", type_=_TEXTS)),
            enterprises.c.uscc == sa.any_(sa.bindparam("codes", type_=_TEXTS)),
        )
    )
    .order_by(enterprises.c.id)
    .with_for_update()
)
_BY_NAMES = _ALL.where(enterprises.c.name_keys.bool_op("&&")(sa.bindparam("names", type_=_TEXTS))).order_by(
    enterprises.c.provisional.desc(), enterprises.c.id.desc()
)
_BY_ID = _ALL.where(enterprises.c.id == sa.bindparam("id"))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_NAMES = lock_number("listing:enterprise names")
_PARTIES = sa.select(
    enterprises.c.code, enterprises.c.name, enterprises.c.kinds, enterprises.c.provisional, enterprises.c.active,
    enterprises.c.uscc, enterprises.c.name_keys,
).where(
    sa.or_(
        enterprises.c.code == sa.any_(sa.bindparam("codes", type_=_TEXTS)),
        enterprises.c.uscc == sa.any_(sa.bindparam("codes", type_=_TEXTS)),
        enterprises.c.name_keys.bool_op("&&")(sa.bindparam("names", type_=_TEXTS)),
    )
)  # fmt: skip


@frozen
class Party:
    """What others need of an enterprise: its code, name and kinds."""

    code: str
    name: str
    kinds: tuple[str, ...]
    provisional: bool
    active: bool
    uscc: str | None
    name_keys: tuple[str, ...]


class Directory:
    """The enterprises that some commands name, by code and by name."""

    def __init__(self, found: Collection[Party]) -> None:
        self._by_code: dict[str, Party] = {}
        self._by_name: dict[str, list[Party]] = {}
        for party in found:
            for code in {party.code, party.uscc or party.code}:
                self._by_code[code] = party
            for key in party.name_keys:
                self._by_name.setdefault(key, []).append(party)

    def of_code(self, code: str) -> Party | None:
        """The enterprise that goes by this code, or whose USCC it is."""
        return self._by_code.get(code)

    def of_name(self, name: str) -> list[Party]:
        """Every enterprise of this name."""
        return self._by_name.get(normal_name(name), [])


async def directory(tx: Tx, codes: Collection[str | None], names: Collection[str | None] = ()) -> Directory:
    """The enterprises of these codes and names."""
    wanted = sorted({code for code in codes if code})
    keys = sorted({normal_name(name) for name in names if name})
    return Directory(await tx.all(Party, _PARTIES, codes=wanted, names=keys))


async def names_lock(tx: Tx) -> None:
    """Lets one transaction at a time give enterprises names: who comes second sees the names that the first one gave."""
    await tx.sql("SELECT pg_advisory_xact_lock($1)", _NAMES)


async def owners_of(tx: Tx, names: Collection[str]) -> dict[str, Enterprise]:
    """By the normal form of a name: the enterprise of this official name, else one that it is a further name of; of several
    the first whose USCC is known."""
    found = await tx.all(Enterprise, _BY_NAMES, names=sorted({normal_name(name) for name in names}))
    further = {key: one for one in found for key in name_keys(one)}
    return further | {normal_name(one.name): one for one in found}


async def enterprises_by_code(tx: Tx, codes: Collection[str]) -> dict[str, Enterprise]:
    """The known ones among the codes, locked until the end of the transaction; one whose USCC became known later stands
    under both of its codes."""
    found = await tx.all(Enterprise, _BY_CODES, codes=sorted(set(codes)))
    return {code: one for one in found for code in (one.code, one.uscc) if code is not None}


async def get_enterprise(tx: Tx, enterprise_id: UUID, *, locked: bool = False) -> Enterprise:
    """Raises EnterpriseNotFound."""
    found = await tx.one(Enterprise, _BY_ID_LOCKED if locked else _BY_ID, id=enterprise_id)
    if found is None:
        raise EnterpriseNotFound("There is no enterprise {enterprise_id}.", enterprise_id=enterprise_id)
    return found


async def enterprises_page(
    tx: Tx, *, code: str | None, name: str | None, kind: str | None, after: UUID | None, rows: int
) -> list[Enterprise]:
    """Up to `rows` enterprises after a key, in the order of registration."""
    wanted = _ALL.order_by(enterprises.c.id).limit(rows)
    if code is not None:
        wanted = wanted.where(sa.or_(enterprises.c.code == code, enterprises.c.uscc == code))
    if name is not None:
        spoken = sa.func.array_to_string(enterprises.c.name_keys, "\n")
        wanted = wanted.where(spoken.contains(normal_name(name), autoescape=True))
    if kind is not None:
        wanted = wanted.where(sa.literal(kind) == sa.any_(enterprises.c.kinds))
    if after is not None:
        wanted = wanted.where(enterprises.c.id > after)
    return await tx.all(Enterprise, wanted)
