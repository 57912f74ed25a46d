"""What listing refuses.

NotFound       EnterpriseNotFound
Conflict       EnterpriseKnown
Forbidden      NotYourEnterprise
Unprocessable  EnterpriseRefused
"""

from shared.errors import Conflict, Forbidden, NotFound, Unprocessable


class EnterpriseNotFound(NotFound):
    title = "No such enterprise"


class NotYourEnterprise(Forbidden):
    title = "You may register your own organisation, or those of your region"


class EnterpriseKnown(Conflict):
    title = "An enterprise with this code takes part under another name"


class EnterpriseRefused(Unprocessable):
    title = "The enterprise cannot be registered so"
