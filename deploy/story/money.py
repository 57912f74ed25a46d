"""Third part: accounts are named, sheets come by themselves, are confirmed, reviewed, approved by a second person, and paid."""

import csv
import io
from datetime import timedelta
from typing import Any

from deploy.story.cast import Cast
from deploy.story.teller import Teller, short
from deploy.visitor import Refused
from shared import clock
from shared.errors import number_of


async def settle(cast: Cast, teller: Teller) -> str:
    """Pays the month; returns the code of the refusal of the person who would approve her own run."""
    teller.heading("3 · The month is paid")
    await name_accounts(cast, teller)
    await teller.on(clock.start_of_day(clock.next_month(clock.local_date(teller.now))) + timedelta(hours=9))
    await cast.visitor.until_quiet()
    sheets = (await cast.hospital.get("settlement/sheets", state="issued"))["items"]
    for sheet in sheets:
        teller.by_itself(
            f"sheet {sheet['month']} {sheet['distributor_name']} {short(sheet['id'])}: {sheet['amount_yuan']} yuan"
        )
        await cast.hospital.post(f"settlement/sheets/{sheet['id']}/confirmation", match=_tag(sheet))
    teller.says(cast.institution.name, f"confirms {number_of(len(sheets), 'sheet')}")
    await teller.later(days=1)
    for sheet in (await cast.clerk.get("settlement/sheets", state="confirmed"))["items"]:
        await cast.clerk.post(f"settlement/sheets/{sheet['id']}/review", match=_tag(sheet))
    agency = cast.sample.parties["agency"].name
    run = await cast.clerk.post(
        "settlement/payment-runs", {"sheet_ids": [sheet["id"] for sheet in sheets]}, key="run-1"
    )
    teller.says(f"{agency}, 王岚", f"reviews them and makes run {short(run['id'])}: {run['amount_yuan']} yuan")
    refusal = ""
    try:
        await cast.clerk.post(f"settlement/payment-runs/{run['id']}/approval")
    except Refused as refused:
        refusal = refused.code
        teller.refused("王岚", str(refused.problem["detail"]))
    await cast.second_clerk.post(f"settlement/payment-runs/{run['id']}/approval")
    teller.says(f"{agency}, 李桐", "approves the run")
    await cast.visitor.until_quiet()
    await _bank(cast, teller, run)
    return refusal


async def name_accounts(cast: Cast, teller: Teller) -> None:
    """Each distributor says where it is paid, and the agency looks at it."""
    region = cast.sample.parties["agency"].region
    for dealer, key in ((cast.dealer_a, "dealer_a"), (cast.dealer_b, "dealer_b")):
        company = cast.enterprise(key)
        account = await dealer.post(
            "settlement/accounts",
            {
                "region": region,
                "holder_name": company.name,
                "bank_name": company.bank_name,
                "cnaps_code": company.cnaps_code,
                "account_number": company.account_number,
            },
        )
        teller.says(company.name, f"names account {account['account_number']} at {account['bank_name']}")
        await cast.clerk.post(f"settlement/accounts/{account['id']}/confirmation", match=_tag(account))
    teller.says(f"{cast.sample.parties['agency'].name}, 王岚", "confirms both accounts")


async def _bank(cast: Cast, teller: Teller, run: Any) -> None:
    """Plays the bank: takes the payment file, brings the result file a day later."""
    path = f"settlement/payment-runs/{run['id']}"
    file: bytes = await cast.clerk.get(f"{path}/payment-file")
    orders = list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"))))
    teller.by_itself(f"payment file with {number_of(len(orders), 'payment')} for the bank")
    await teller.later(days=1)
    result = io.StringIO()
    writer = csv.writer(result)
    writer.writerow(["payment_id", "result", "paid_at"])
    writer.writerows([order["payment_id"], "paid", teller.now.isoformat()] for order in orders)
    taken = await cast.clerk.send(f"{path}/result-file", result.getvalue().encode(), "text/csv")
    teller.says("The bank", f"answers: {taken['paid']} paid, {taken['failed']} failed")
    await cast.visitor.until_quiet()


def _tag(thing: Any) -> str:
    return f'"{thing["version"]}"'
