"""What several commands ask for, asked the same way."""

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option("--data", help="Folder that holds everything the embedded default keeps.")]
ServiceName = Annotated[str, typer.Argument(help="listing, orders, settlement, traceability or alerts.")]
DATA = Path(".data")
