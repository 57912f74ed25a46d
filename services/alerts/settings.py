"""What alerts is told by its environment, with the prefix ALERTS_."""

from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class AlertsSettings(ServiceSettings):
    """Alerts' settings."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="ALERTS_")
