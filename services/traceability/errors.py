"""What traceability refuses.

NotFound       ReceiptNotFound, DocumentNotFound, CodeNotFound, RecallNotFound, AnomalyNotFound
Conflict       ReceiptNotKnownYet, ProductNotKnownYet, ReceiptClosed, BillNumberUsed, IdentTaken, AlreadyPacked,
               RecallNotOpen, AnomalyNotOpen
Forbidden      NotYourProduct, BillNotYours, OrganisationNotYours
TooLarge       TooManyCodes
Unprocessable  CodeUnreadable, DocumentRefused, IdentRefused, PackingRefused, RecallRefused
"""

from shared.errors import Conflict, Forbidden, NotFound, TooLarge, Unprocessable


class ReceiptNotFound(NotFound):
    title = "No such receipt, or not yours"


class DocumentNotFound(NotFound):
    title = "No such document, or not yours"


class CodeNotFound(NotFound):
    title = "This code is not among yours"


class RecallNotFound(NotFound):
    title = "No such recall"


class AnomalyNotFound(NotFound):
    title = "No such anomaly, or not yours"


class ReceiptNotKnownYet(Conflict):
    """Wait as long as `Retry-After` says and send the same request again; what orders tell is on its way. A line that is still
    unknown two minutes after it was made does not exist, and is then refused for good (`receipt_not_found`)."""

    title = "The shipment has not reached traceability yet"


class ProductNotKnownYet(Conflict):
    """Wait as long as `Retry-After` says and send the same request again, if listing shows the product as listed; on public
    notice it is not known here yet."""

    title = "The product has not reached traceability yet"


class ReceiptClosed(Conflict):
    title = "Nothing is received for this shipment line any more"


class BillNumberUsed(Conflict):
    """Give the new document a bill number of its own; what stands under this one stays as it is."""

    title = "This bill number was used for another document"


class IdentTaken(Conflict):
    title = "This identification code means something else already"


class AlreadyPacked(Conflict):
    title = "A code lies in another package already"


class RecallNotOpen(Conflict):
    title = "The recall is closed"


class AnomalyNotOpen(Conflict):
    title = "The anomaly does not stand where this can be done"


class NotYourProduct(Forbidden):
    title = "Only the product's manufacturer, its agent or the authority may do this"


class BillNotYours(Forbidden):
    title = "Your role does not write bills of this type"


class OrganisationNotYours(Forbidden):
    title = "You may capture for your own organisation"


class TooManyCodes(TooLarge):
    title = "Too many codes in one call"


class CodeUnreadable(Unprocessable):
    title = "This is no trace code"


class DocumentRefused(Unprocessable):
    title = "The document cannot be taken so"


class IdentRefused(Unprocessable):
    title = "The identification code cannot be taken so"


class PackingRefused(Unprocessable):
    title = "The packing cannot be taken so"


class RecallRefused(Unprocessable):
    title = "The recall cannot be opened so"
