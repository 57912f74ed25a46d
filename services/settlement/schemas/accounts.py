"""What is said about receiving accounts over HTTP; only one account by itself shows its whole number."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from services.settlement.rules.accounts import Account, masked, next_step
from shared.codes import CodeRefused, parse_account_number, parse_cnaps
from shared.errors import RuleBroken
from shared.http import Command, Name, Reason, Region, View
from shared.next_steps import NextStep

ACCOUNT = "01890a5d-ac96-774b-bcce-b302099a8059"


def _parsed(parse: Callable[[str], str]) -> AfterValidator:
    def check(given: str) -> str:
        try:
            return parse(given)
        except CodeRefused as error:
            raise RuleBroken("account", error.rule, error.allowed) from error

    return AfterValidator(check)


class NameAccount(Command):
    """Where the caller is paid in a region and in those that lie in it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "region": "330000",
                    "holder_name": "东溪医药配送有限公司",
                    "bank_name": "中国工商银行青禾支行",
                    "cnaps_code": "102100099996",
                    "account_number": "1202021509900012345",
                }
            ]
        }
    )

    region: Region
    holder_name: Name
    bank_name: Name
    cnaps_code: Annotated[str, _parsed(parse_cnaps), Field(description="联行号: the bank's branch, 12 digits")]
    account_number: Annotated[str, _parsed(parse_account_number), Field(description="8 to 32 digits")]


class RefuseAccount(Command):
    """The account is not the supplier's, or cannot be paid to; the supplier names another."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "户名与营业执照不一致"}]})

    reason: Reason


class ConfirmAccount(Command):
    """An account that is confirmed, at the version that was read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"account_id": ACCOUNT, "version": 1}]})

    account_id: UUID
    version: int = Field(ge=1, strict=True, description="the version that was read")


class AccountView(View):
    """An account as it was named; `account_number` shows its last digits."""

    id: UUID
    supplier_code: str
    region: str
    holder_name: str
    bank_name: str
    cnaps_code: str
    account_number: str = Field(description="all but the last 4 digits masked")
    state: str = Field(
        description="named: the agency has not confirmed it; confirmed: it is paid to; refused; replaced by another"
    )
    named_by: str
    named_at: datetime
    decide_by: date | None = Field(description="the last day for the agency to confirm or refuse it")
    decided_by_organisation: str | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    supplier_names: tuple[str, ...] | None = Field(
        description="every name that the supplier is registered under; null: none has been told here"
    )
    holder_known: bool | None = Field(
        description="whether `holder_name` is one of them; of false the agency finds out before it confirms"
    )
    waits_for: NextStep | None
    version: int

    @classmethod
    def of(cls, account: Account) -> Self:
        """The view of an account, its number masked."""
        shown = {name: getattr(account, name) for name in cls.model_fields if name != "waits_for"}
        return cls(**shown | {"account_number": cls.number(account)}, waits_for=next_step(account))

    @classmethod
    def number(cls, account: Account) -> str:
        """The account's number as it is shown."""
        return masked(account.account_number)


class WholeAccountView(AccountView):
    """One account with its whole number, for its supplier and the agency."""

    account_number: str

    @classmethod
    def number(cls, account: Account) -> str:
        """As it is."""
        return account.account_number
