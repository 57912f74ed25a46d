"""What listing refuses.

NotFound       EnterpriseNotFound  InstitutionNotFound  ProductNotFound  ListingNotFound  DistributionNotFound
               TimelineNotFound
Conflict       EnterpriseKnown  NameTaken  GtinTaken  ProductHeld  ListingExists  ListingNotOpen  NoPriceAsked
               DistributionExists  DistributionNotOpen
Forbidden      NotYourEnterprise  NotYourInstitution  NotYourProduct  NotYourListing  NotYourDistribution
Unprocessable  EnterpriseRefused  InstitutionRefused  ProductRefused  ListingRefused  DistributionRefused
               SelectedStays  ImportRefused
Unsupported    SheetTypeUnknown
"""

from shared.errors import Conflict, Forbidden, NotFound, Unprocessable, UnsupportedMedia


class EnterpriseNotFound(NotFound):
    title = "No such enterprise"


class InstitutionNotFound(NotFound):
    title = "No such institution"


class ProductNotFound(NotFound):
    title = "No such product"


class ListingNotFound(NotFound):
    title = "No such listing, or not one you may see"


class TimelineNotFound(NotFound):
    title = "No such timeline, or not one you may see"


class DistributionNotFound(NotFound):
    title = "No such distribution relation, or not one you may see"


class EnterpriseKnown(Conflict):
    title = "An enterprise with this code takes part already"


class NameTaken(Conflict):
    """Call the enterprise by its code. Where it is yours, or another one has the same name all the same, ask the authority:
    it confirms the USCC of the one, or registers the other under its USCC, with a `name_reason`."""

    title = "The name is that of another enterprise"


class GtinTaken(Conflict):
    """Give the product the GTIN of its own package, or none; whose the GTIN is, its own maker can change."""

    title = "The GTIN belongs to another product"


class ProductHeld(Conflict):
    """Send the product as it is known, ask the authority that keeps it for the change, or propose it anew once it is
    delisted."""

    title = "A listing holds the product as it was reviewed"


class ListingExists(Conflict):
    title = "The product has a live listing in this region"


class ListingNotOpen(Conflict):
    title = "The state of the listing does not allow it"


class NoPriceAsked(Conflict):
    title = "Nobody has asked for another price"


class DistributionExists(Conflict):
    title = "The distributor has an open relation for this product and region"


class DistributionNotOpen(Conflict):
    title = "The state of the distribution relation does not allow it"


class NotYourEnterprise(Forbidden):
    title = "You may register your own organisation, or those of your region"


class NotYourInstitution(Forbidden):
    title = "The institution is neither yours nor of your region"


class NotYourProduct(Forbidden):
    title = "Only its manufacturer, its agent or the authority that keeps it may change a product"


class NotYourListing(Forbidden):
    title = "Only its manufacturer or agent, or the authority of its region, may do this to a listing"


class NotYourDistribution(Forbidden):
    title = "Only its parties, or the authority of its region, may do this to a distribution relation"


class EnterpriseRefused(Unprocessable):
    title = "The enterprise cannot be registered so"


class InstitutionRefused(Unprocessable):
    title = "The institution cannot be registered so"


class ProductRefused(Unprocessable):
    title = "The product cannot be registered so"


class ListingRefused(Unprocessable):
    title = "The product cannot be listed so"


class DistributionRefused(Unprocessable):
    title = "The distribution relation cannot be made so"


class SelectedStays(Unprocessable):
    title = "A selected product may not be delisted for this reason"


class ImportRefused(Unprocessable):
    title = "The sheet cannot be taken"


class SheetTypeUnknown(UnsupportedMedia):
    title = "Sheets are taken as CSV or xlsx"
