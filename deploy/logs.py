"""Logs of the embedded default: JSON lines in the data folder, so that the terminal stays readable."""

import logging
from pathlib import Path

from deploy.embedded import trim_log, writable
from shared.telemetry import JsonLines


def log_file(data_dir: Path, name: str) -> Path:
    """The log of one process of the embedded default."""
    return data_dir.expanduser().resolve() / "logs" / f"{name}.log"


def log_to_file(data_dir: Path, name: str) -> None:
    """Sends every log record of this process to its file; raises DataFolderUnwritable."""
    file = log_file(data_dir, name)
    with writable(data_dir):
        file.parent.mkdir(parents=True, exist_ok=True)
        trim_log(file)
        handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(JsonLines())
    logging.basicConfig(level="INFO", handlers=[handler], force=True)
    for noisy in ("aiokafka", "uvicorn", "alembic", "httpx"):
        logging.getLogger(noisy).setLevel("WARNING")
