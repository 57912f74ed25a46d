"""What was done to public things is not public: a timeline is for the parties, the region's authority and the operator.

The agency reads that of an enterprise, for it holds the names of receiving accounts against it."""

from typing import Any

from tests.services.listing.people import (
    AUTHORITY,
    DISTRIBUTOR,
    DISTRIBUTOR_CODE,
    HOSPITAL,
    MAKER,
    OPERATOR,
    OTHER_MAKER,
    PRODUCT,
    Desk,
)

AGENCY = ("agency", "11510000MB0002", "510000")
FAR_AUTHORITY = ("authority", "11510000MB0001", "510000")
RELATION = {"product_code": PRODUCT["code"], "region": "330000", "distributor_code": DISTRIBUTOR_CODE}


async def public_things(desk: Desk) -> dict[str, str]:
    """The path of one of each kind, which everybody may read, by its kind."""
    listing = await desk.listed()
    made = (await desk.post(MAKER, "/distributions", RELATION | {"valid_from": "2026-01-01"})).json()
    relation = f"/distributions/{made['id']}"
    assert (await desk.post(DISTRIBUTOR, f"{relation}/accept")).status_code == 200
    institution = {"code": HOSPITAL[1], "name": "第一医院", "region": "330100"}
    hospital = (await desk.post(AUTHORITY, "/institutions", institution)).json()
    (product,) = (await desk.get(HOSPITAL, "/products", code=PRODUCT["code"])).json()["items"]
    makers = (await desk.get(HOSPITAL, "/enterprises", code=MAKER[1])).json()["items"]
    return {
        "listings": f"/listings/{listing['id']}",
        "distributions": relation,
        "institutions": f"/institutions/{hospital['id']}",
        "products": f"/products/{product['id']}",
        "enterprises": f"/enterprises/{makers[0]['id']}",
    }


async def asked(desk: Desk, who: tuple[str, str, str], path: str) -> tuple[int, Any]:
    """The status of a timeline, and its first deed or the code of the refusal."""
    answer = await desk.get(who, f"{path}/timeline")
    told = answer.json()
    return answer.status_code, told["deeds"][0]["action"] if answer.status_code == 200 else told["code"]


async def test_a_stranger_reads_what_is_public_and_finds_no_timeline_of_it(desk: Desk) -> None:
    for kind, path in (await public_things(desk)).items():
        owner = HOSPITAL if kind == "institutions" else MAKER
        assert (await asked(desk, owner, path))[0] == (await asked(desk, OPERATOR, path))[0] == 200, kind
        strangers = [FAR_AUTHORITY, ("hospital", "H33010200999", "330100") if owner == HOSPITAL else OTHER_MAKER]
        for stranger in strangers:
            assert (await desk.get(stranger, path)).status_code == 200, (kind, stranger)
            assert await asked(desk, stranger, path) == (404, "timeline_not_found"), (kind, stranger)
            missing = path[:-12] + "000000000000"
            assert (await asked(desk, stranger, missing))[0] == 404


async def test_any_agency_reads_since_when_an_enterprise_has_its_names_and_no_other_timeline(desk: Desk) -> None:
    for kind, path in (await public_things(desk)).items():
        told = (200, "registered") if kind == "enterprises" else (403, "role_may_not")
        assert await asked(desk, AGENCY, path) == told, kind
