"""Who acts next, in one form wherever something waits: a role, whose it is as far as that is known, what, and by when.

An organisation is named by its code; an agency or authority that no code is known of is named by its region.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator

from shared import clock, money
from shared.errors import Said
from shared.tongue import spoken


class Role(StrEnum):
    """As what somebody acts; `enterprise` where a company's part is not known, `sender` whoever asked for long work,
    `platform` what happens by itself."""

    HOSPITAL = "hospital"
    MANUFACTURER = "manufacturer"
    DISTRIBUTOR = "distributor"
    ENTERPRISE = "enterprise"
    AGENCY = "agency"
    AUTHORITY = "authority"
    OPERATOR = "operator"
    BANK = "bank"
    SENDER = "sender"
    PLATFORM = "platform"


class Actor(BaseModel):
    """Who must act: the role, the organisation's code and name where they are known, the region of an office."""

    model_config = ConfigDict(frozen=True)

    role: Role
    code: str | None = None
    name: str | None = None
    region: str | None = None


Sentence = Annotated[
    Said,
    PlainValidator(lambda text: text if isinstance(text, Said) else Said(text), json_schema_input_type=str),
    PlainSerializer(spoken, return_type=str, when_used="json"),
]
"""A text that stays a sentence of ours where it is one, and leaves in the reader's language."""


class NextStep(BaseModel):
    """Who must act now, on what, and by when: the first instant that is too late, which may be over.

    `by` is None where no document and no policy sets a day: for goods that are late already, for a pack set aside, for the
    meaning of an identification code.
    """

    model_config = ConfigDict(frozen=True)

    who: Actor
    what: Sentence
    by: datetime | None = None


PLATFORM = Actor(role=Role.PLATFORM)
BANK = Actor(role=Role.BANK)
OPERATOR = Actor(role=Role.OPERATOR)


def hospital(code: str | None, name: str | None = None) -> Actor:
    """An institution."""
    return Actor(role=Role.HOSPITAL, code=code, name=name)


def distributor(code: str | None, name: str | None = None) -> Actor:
    """Who delivers."""
    return Actor(role=Role.DISTRIBUTOR, code=code, name=name)


def manufacturer(code: str | None, name: str | None = None) -> Actor:
    """Who makes the product, or speaks for who does."""
    return Actor(role=Role.MANUFACTURER, code=code, name=name)


def agency(region: str, code: str | None = None) -> Actor:
    """The agency that pays in a region (经办机构)."""
    return Actor(role=Role.AGENCY, code=code, region=region)


def authority(region: str, code: str | None = None) -> Actor:
    """The authority of a region."""
    return Actor(role=Role.AUTHORITY, code=code, region=region)


class RecallOfLot(Protocol):
    """A lot under recall, as a service keeps it; `opened_by` is None where that was not told."""

    @property
    def recall_id(self) -> UUID: ...
    @property
    def lot_number(self) -> str: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def opened_by(self) -> str | None: ...
    @property
    def opened_by_name(self) -> str | None: ...
    @property
    def manufacturer_code(self) -> str | None: ...


def recall_words(recall: RecallOfLot) -> Said:
    """Why goods of a lot may not be used, nor paid."""
    return Said(
        "lot {lot_number} is recalled: {reason} (recall {recall_id})",
        lot_number=recall.lot_number,
        reason=recall.reason,
        recall_id=recall.recall_id,
    )


def recall_step(recall: RecallOfLot, unpaid_yuan: Decimal) -> NextStep:
    """Who ends a recall that keeps money back: the maker or the authority that opened it."""
    own = recall.opened_by == recall.manufacturer_code
    who = Actor(role=Role.MANUFACTURER if own else Role.AUTHORITY, code=recall.opened_by, name=recall.opened_by_name)
    what = Said(
        "close the recall when the goods are back or destroyed; {unpaid_yuan} yuan are not paid until then: {recall}",
        unpaid_yuan=money.amount_text(unpaid_yuan),
        recall=recall_words(recall),
    )
    return NextStep(who=who, what=what)


def account_step(*, named: bool, supplier: Actor, region: str, by: datetime | None) -> NextStep:
    """Who sees to it that a supplier has an account that can be paid to in a region: the supplier names one, or the agency
    confirms the one that is named."""
    if named:
        what = Said("confirm or refuse the receiving account of {supplier}", supplier=supplier.name or supplier.code)
        return NextStep(who=agency(region), what=what, by=by)
    what = Said("name a receiving account for region {region} or one around it; nothing is paid without", region=region)
    return NextStep(who=supplier, what=what, by=by)


class HeardOfPayment:
    """A sheet as far as others than settlement have heard of its payment; each instant is of the last time."""

    __slots__ = ()
    sent_at: datetime | None
    paid_at: datetime | None
    unpaid_at: datetime | None
    doubted_at: datetime | None
    undoubted_at: datetime | None
    failed_reason: str | None
    """why its last payment failed that did; None of what earlier versions told"""
    failed_account_id: UUID | None
    """which account that payment went to; None of what earlier versions told"""
    failed_to: str | None
    """what that account is now"""

    @property
    def paid(self) -> bool:
        """Whether the bank has paid it, and no payment of it failed or came back since."""
        return self.paid_at is not None and not (self.unpaid_at and self.unpaid_at >= self.paid_at)

    @property
    def sending(self) -> bool:
        """Whether the bank was asked to pay it, and has not answered since."""
        return self.sent_at is not None and all(
            at is None or at < self.sent_at for at in (self.paid_at, self.unpaid_at)
        )

    @property
    def failed_for(self) -> str | None:
        """Why the bank did not pay it, until it is asked again."""
        return None if self.paid or self.sending else self.failed_reason

    @property
    def account_failed(self) -> bool:
        """Whether what it would be paid to now is what the payment went to that failed, as far as that is known."""
        return self.failed_account_id is None or self.failed_to == "confirmed"

    @property
    def in_doubt(self) -> bool:
        """Whether the bank has said both of a payment of it, and nobody has found out since."""
        return self.doubted_at is not None and (self.undoubted_at is None or self.undoubted_at < self.doubted_at)


def again_step(region: str, reason: str, by: datetime | None) -> NextStep:
    """The agency pays a sheet again that the bank did not pay."""
    what = Said("take the sheet into another payment run; the bank did not pay: {reason}", reason=reason)
    return NextStep(who=agency(region), what=what, by=by)


def other_account_step(supplier: Actor, reason: str, by: datetime | None) -> NextStep:
    """The supplier mends its account where that is why the bank did not pay, which only the bank's words tell."""
    what = Said("name another receiving account if this is why the bank did not pay: {reason}", reason=reason)
    return NextStep(who=supplier, what=what, by=by)


def bank_step(by: datetime | None) -> NextStep:
    """The bank was asked to pay, and has not answered."""
    return NextStep(who=BANK, what=Said("pay and answer; it is asked again under the same key"), by=by)


def doubt_step(region: str, by: datetime | None) -> NextStep:
    """Who finds out whether the bank has made a payment of which it has said both."""
    what = Said(
        "find out with the bank whether the payment was made, of which it has said both; then confirm it if it was made and"
        " counts as failed, load a `bounced` row if its money came back, or else dismiss the doubt"
    )
    return NextStep(who=agency(region), what=what, by=by)


def day_over(day: date | None) -> datetime | None:
    """The instant from which something due on a day is late: the midnight in Shanghai that ends it."""
    return None if day is None else clock.start_of_day(day + timedelta(days=1))
