"""What happens in listing by itself: public notices end, imports run. Credit ratings of alerts have their own issue."""

from services.listing.handlers import again
from services.listing.handlers.desk import NOTICE_OVER
from services.listing.handlers.imports import JOB, run_import
from services.listing.handlers.listings import when_notice_over
from shared.deadlines import Deadlines
from shared.inbox import Handlers
from shared.jobs import Jobs
from shared.republish import Republish

HANDLERS: Handlers = {}
DEADLINES: Deadlines = {NOTICE_OVER: when_notice_over}
JOBS: Jobs = {JOB: run_import}
REPUBLISH: Republish = {
    "enterprises": again.enterprises_again,
    "institutions": again.institutions_again,
    "listings": again.listings_again,
    "distributions": again.distributions_again,
}
