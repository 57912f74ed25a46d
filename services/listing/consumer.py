"""What happens in listing by itself: nothing yet; credit ratings of alerts have their own issue."""

from shared.deadlines import Deadlines
from shared.inbox import Handlers

HANDLERS: Handlers = {}
DEADLINES: Deadlines = {}
