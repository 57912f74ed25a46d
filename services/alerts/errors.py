"""What alerts refuses.

NotFound       AlertNotFound, ProblemNotFound
Conflict       AlreadyAcknowledged, AlertNotOpen, ResolvesByItself, StepNotPossible, NoLevelAbove
Forbidden      NotYourTurn, NotYourLevel, NotConcerned
Unprocessable  ProblemRefused, AssignmentRefused
"""

from shared.errors import Conflict, Forbidden, NotFound, Unprocessable


class AlertNotFound(NotFound):
    title = "No such alert, or not yours"


class AlertNotOpen(Conflict):
    title = "The alert is not open any more"


class AlreadyAcknowledged(Conflict):
    title = "Your organisation has acknowledged this alert"


class ResolvesByItself(Conflict):
    title = "This alert is resolved by what happens, not by hand"


class NotConcerned(Forbidden):
    title = "Only a party concerned acknowledges an alert"


class ProblemNotFound(NotFound):
    title = "No such problem report, or not yours"


class ProblemRefused(Unprocessable):
    title = "The problem cannot be reported so"


class AssignmentRefused(Unprocessable):
    title = "The problem cannot be assigned so"


class StepNotPossible(Conflict):
    title = "The state of the problem report does not allow this step"


class NoLevelAbove(Conflict):
    title = "There is no authority above the one that handles this"


class NotYourTurn(Forbidden):
    title = "Another party must take this step"


class NotYourLevel(Forbidden):
    title = "The authority of another level handles this"
