"""What listing is told by its environment, with the prefix LISTING_."""

from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class ListingSettings(ServiceSettings):
    """Listing's settings."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="LISTING_")
