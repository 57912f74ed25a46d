"""Two worlds that have nothing to do with each other, played in this process through the services' own HTTP and events.

Each is the story that ships (`deploy.story`), with parties, products and a region of its own, and then what the story
leaves out: drafts and proposals, a sheet of rows that are refused, a bill with codes that are not known yet, a dead letter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
from fastapi import FastAPI
from stdnum.cn import uscc

from deploy.services import load_all
from deploy.story.cast import Cast, Sample, assemble, load
from deploy.story.market import open_market
from deploy.story.money import settle
from deploy.story.teller import Teller
from deploy.story.trade import trade
from deploy.story.watch import watch
from deploy.visitor import TokenFor, Visitor
from shared import clock
from shared.bus import Message
from shared.inbox import Consumer
from tests.house import House, WorkerInHand


class InHouse(Visitor):
    """Visits the five apps of this process, and lets what happens by itself happen when it is waited for."""

    def __init__(self, apps: Mapping[str, FastAPI], workers: Mapping[str, WorkerInHand], token_for: TokenFor) -> None:
        addresses = {name: SimpleNamespace(api=f"http://{name}", ops=f"http://{name}") for name in apps}
        super().__init__(addresses, token_for)  # type: ignore[arg-type]
        self._client = httpx.AsyncClient(
            mounts={
                f"http://{name}": httpx.ASGITransport(app, raise_app_exceptions=False) for name, app in apps.items()
            }
        )
        self._workers = workers

    async def drive(self, instant: datetime, service: str | None = None) -> None:
        clock.drive(instant)

    async def until_quiet(self, seconds: float = 120) -> None:
        while True:
            moved = [await self._move(worker) for worker in self._workers.values()]
            if not any(moved):
                return

    async def _move(self, worker: WorkerInHand) -> bool:
        """Sends what a service has to say, meets its deadlines, does its jobs; whether there was anything to do."""
        pool = worker.database.pool
        rows = await pool.fetch("SELECT id, subject, payload FROM outbox WHERE sent_at IS NULL ORDER BY id")
        messages = [Message(worker.service.name, row["subject"], bytes(row["payload"])) for row in rows]
        for other in self._workers.values():
            if messages and other is not worker:
                await Consumer(other.service.name, other.database, other.service.handlers).apply(messages)
        await pool.execute(
            "UPDATE outbox SET sent_at = now() WHERE id = ANY($1::bigint[])", [row["id"] for row in rows]
        )
        met = await worker.meet_deadlines()
        jobs = await pool.fetchval("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')")
        await worker.do_jobs()
        return bool(rows or met or jobs)


@dataclass(frozen=True, slots=True)
class World:
    """One world: who takes part, and the codes by which its rows are known."""

    cast: Cast
    codes: tuple[str, ...]

    @property
    def people(self) -> dict[str, tuple[str, str, str]]:
        """Role, organisation and region of one party of each kind."""
        sample = self.cast.sample
        maker, dealer = self.cast.enterprise("maker"), self.cast.enterprise("dealer_a")
        agency, authority = sample.parties["agency"], sample.parties["authority"]
        return {
            "hospital": ("hospital", self.cast.institution.code, self.cast.institution.region),
            "manufacturer": ("manufacturer", maker.uscc, maker.region),
            "distributor": ("distributor", dealer.uscc, dealer.region),
            "agency": ("agency", agency.code, agency.region),
            "authority": ("authority", authority.code, authority.region),
        }


def elsewhere(sample: Sample) -> Sample:
    """The same story in another city, with other codes for everything."""
    region = {"330000": "330300", "330100": "330300", "330102": "330302", "330200": "330300"}

    def other(code: str) -> str:
        stem = code[:-2] + "9"
        return stem + uscc.calc_check_digit(stem)

    replace = msgspec.structs.replace
    return replace(
        sample,
        region=region[sample.region],
        parties={
            key: replace(one, code=other(one.code), name=f"南岭{one.name}", region=region[one.region])
            for key, one in sample.parties.items()
        },
        enterprises=[
            replace(
                one,
                uscc=other(one.uscc[:-3] + str(place) + one.uscc[-2:]),
                name=f"南岭{one.name}",
                region=region[one.region],
            )
            for place, one in enumerate(sample.enterprises, 4)
        ],
        institutions=[
            replace(
                one, code=one.code[:3] + "030200" + one.code[-3:], name=f"南岭{one.name}", region=region[one.region]
            )
            for one in sample.institutions
        ],
        products=[
            replace(
                one,
                code=one.code[:-1] + "9",
                approval_number=one.approval_number and one.approval_number[:-1] + "9",
                ident=one.ident and "9" + one.ident[1:],
                case_ident=one.case_ident and "9" + one.case_ident[1:],
            )
            for one in sample.products
        ],
    )


async def play(
    house: House, apps: Mapping[str, FastAPI], token_for: TokenFor, samples: Sequence[Sample]
) -> list[World]:
    """Plays a world after the other; the clock is driven and stands at the end of the last."""
    services = {service.name: service for service in load_all()}
    workers = {name: WorkerInHand(service, await house.database(service)) for name, service in services.items()}
    worlds: list[World] = []
    now = clock.start_of_day(clock.today() - timedelta(days=200)) + timedelta(hours=9)
    async with InHouse(apps, workers, token_for) as visitor:
        for sample in samples:
            cast = assemble(sample, visitor)
            teller = Teller(visitor, now)
            await teller.on(now)
            await open_market(cast, teller)
            await teller.later(hours=1)
            await trade(cast, teller)
            await settle(cast, teller)
            await watch(cast, teller)
            await _what_the_story_leaves_out(cast)
            await visitor.until_quiet()
            now = teller.now + timedelta(days=1)
            worlds.append(World(cast, _codes(sample)))
    return worlds


def _codes(sample: Sample) -> tuple[str, ...]:
    parties = (one.code for one in sample.parties.values())
    return (*parties, *(one.uscc for one in sample.enterprises), *(one.code for one in sample.institutions))


async def _what_the_story_leaves_out(cast: Cast) -> None:
    tablets = cast.product("tablets")
    region = cast.sample.region
    other_region = region[:4] + "99" if region[2:4] != "00" else region[:2] + "9900"
    listing: Any = {"product_code": tablets.code, "region": other_region, "price_yuan": "9.9900", "category": "direct"}
    await cast.maker.post("listing/listings", listing, key="draft")
    proposed = {"product_code": tablets.code, "region": region, "distributor_code": cast.enterprise("dealer_b").uscc}
    await cast.maker.post("listing/distributions", proposed, key="proposal")
    sheet = "医疗机构代码,医疗机构名称,医院等级,区划代码,是否有效,配送点\nnonsense,坏行,,330000,是,\n"
    await cast.authority.send("listing/imports/institutions", sheet.encode(), "text/csv")
    order = {"order_number": "CG-0003", "lines": [{"product_code": tablets.code, "quantity": 7}]}
    order["lines"][0]["distributor_code"] = cast.enterprise("dealer_a").uscc  # type: ignore[index]
    await cast.hospital.post("orders/orders", order, key="third-order")
    bill = {"bill_number": "RK-9", "bill_type": "102", "place": "中心药库", "codes": ["77777770000000000001"]}
    await cast.hospital.post("traceability/documents", {"documents": [bill]}, key="strange-bill")


def samples() -> list[Sample]:
    """The foreign world and the callers' own."""
    return [load(), elsewhere(load())]
