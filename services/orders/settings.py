"""What orders is told by its environment, with the prefix ORDERS_."""

from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class OrdersSettings(ServiceSettings):
    """Orders' settings."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="ORDERS_")
