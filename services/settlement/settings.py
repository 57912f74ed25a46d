"""What settlement is told by its environment, with the prefix SETTLEMENT_."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.settings import ServiceSettings


class BankSettings(BaseSettings):
    """How the bank is reached; read when a run is sent, so that a folder may be named while the service runs."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="SETTLEMENT_")

    bank_folder: Path | None = Field(
        None, description="payment files are written to `payments/` here, result files read from `results/`"
    )
    bank_result_bytes: int = Field(8 * 2**20, gt=0, description="of one result file")
    bank_result_rows: int = Field(5_000, gt=0, description="of one result file")


class SettlementSettings(ServiceSettings):
    """Settlement's settings."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="SETTLEMENT_")
