"""HTTP, the same for every service: what routers and schemas import."""

from shared.http.app import create_app
from shared.http.bulk import Items, answers, only
from shared.http.edge import (
    CallerHere,
    Edge,
    InCompany,
    KeyRequired,
    MatchNeeded,
    TxHere,
    check_match,
    check_tag,
    etag,
)
from shared.http.invalid import check_period
from shared.http.paging import PagingHere
from shared.http.schemas import (
    Amount,
    BulkAnswer,
    Code,
    Command,
    Judged,
    Name,
    Note,
    Page,
    Price,
    Quantity,
    Reason,
    Region,
    View,
    text,
)

__all__ = [
    "Amount",
    "BulkAnswer",
    "CallerHere",
    "Code",
    "Command",
    "Edge",
    "InCompany",
    "Items",
    "Judged",
    "KeyRequired",
    "MatchNeeded",
    "Name",
    "Note",
    "Page",
    "PagingHere",
    "Price",
    "Quantity",
    "Reason",
    "Region",
    "TxHere",
    "View",
    "answers",
    "check_match",
    "check_period",
    "check_tag",
    "create_app",
    "etag",
    "only",
    "text",
]
