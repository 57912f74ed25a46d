"""What settlement refuses.

NotFound            PayableNotFound  SheetNotFound  RunNotFound  PaymentNotFound  AccountNotFound
Forbidden           NotTheInstitution  SamePerson  OwnAccount
Conflict            PayableNotHeld  SheetNotOpen  RunNotOpen  RunNotSent  RunChanged  NothingToPay  PaymentNotOpen
                    AccountNotOpen
PreconditionFailed  SheetChanged  PayableChanged  AccountChanged
Unprocessable       DisputeRefused  RunRefused  ResultFileRefused  PeriodRefused
Unavailable         BankAway
"""

from shared.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Unavailable, Unprocessable


class PayableNotFound(NotFound):
    title = "No such payable, or not yours"


class SheetNotFound(NotFound):
    title = "No such sheet, or not yours"


class RunNotFound(NotFound):
    title = "No such payment run, or not of your region"


class PaymentNotFound(NotFound):
    title = "No such payment, or not yours"


class AccountNotFound(NotFound):
    title = "No such account, or not yours"


class NotTheInstitution(Forbidden):
    title = "Only the institution that owes may do that"


class SamePerson(Forbidden):
    title = "A payment run is approved, or booked as paid, by another person than the one who made it"


class OwnAccount(Forbidden):
    title = "Nobody confirms his own account"


class PayableNotHeld(Conflict):
    title = "The payable is not held"


class SheetNotOpen(Conflict):
    title = "The state of the sheet does not allow that"


class RunNotOpen(Conflict):
    title = "The state of the payment run does not allow that"


class RunNotSent(Conflict):
    """Wait as long as `Retry-After` says and ask again; a run is sent once it is approved."""

    title = "The payment run has not been sent yet"


class RunChanged(Conflict):
    """Find out who changed the database, and pay nothing of the run before."""

    title = "What is to be paid is not what was approved"


class NothingToPay(Conflict):
    title = "No reviewed sheet waits for payment"


class PaymentNotOpen(Conflict):
    title = "The payment does not wait for this answer"


class AccountNotOpen(Conflict):
    title = "The state of the account does not allow that"


class SheetChanged(PreconditionFailed):
    title = "The sheet was changed by somebody first"


class PayableChanged(PreconditionFailed):
    title = "The payable was changed by somebody first"


class AccountChanged(PreconditionFailed):
    title = "The account was changed by somebody first"


class DisputeRefused(Unprocessable):
    title = "The sheet cannot be disputed so"


class RunRefused(Unprocessable):
    title = "The payment run cannot be made so"


class ResultFileRefused(Unprocessable):
    title = "The result file cannot be read"


class AnswerRefused(Unprocessable):
    title = "The bank's answer does not fit the payment"


class PeriodRefused(Unprocessable):
    title = "There is no such period"


class BankAway(Unavailable):
    title = "The bank does not answer; nothing is known of these payments"
