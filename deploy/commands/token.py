"""`jicai token`: a token of the embedded issuer, for trying out."""

from typing import Annotated

import typer

from deploy import issuer
from deploy.commands.options import DATA, Data
from deploy.embedded import CannotStart
from deploy.services import NAMES


class NoIssuer(CannotStart):
    """A folder on which no platform was ever started; asking for a token makes none."""


def token(
    role: Annotated[list[str], typer.Option(help="hospital, manufacturer, distributor, agency, authority, operator.")],
    org: Annotated[str, typer.Option(help="Code of the organisation: institution code or USCC.")],
    region: Annotated[str, typer.Option(help="Six digits of GB/T 2260.")],
    person: Annotated[str, typer.Option(help="Who acts; stands in the history.")] = "somebody",
    days: Annotated[float, typer.Option(help="How long it is good for.")] = 1,
    scope: Annotated[
        list[str] | None, typer.Option(help="Narrower than the role: orders:read, orders:place_order.")
    ] = None,
    client: Annotated[str | None, typer.Option(help="A system by its name, instead of a person.")] = None,
    service: Annotated[
        list[str] | None, typer.Option(help="Good for this service alone; all five unless told.")
    ] = None,
    data: Data = DATA,
) -> None:
    """Prints a token that the embedded default takes; `--role`, `--scope` and `--service` may be given several times."""
    folder = data.expanduser().resolve()
    if not issuer.has_issuer(folder):
        raise NoIssuer(f"{folder} holds no issuer that could sign a token; start `jicai run --data {data}` first.")
    typer.echo(
        issuer.make_token(
            folder,
            organisation=org,
            roles=role,
            region=region,
            person=person,
            days=days,
            scopes=scope or (),
            client=client,
            services=service or NAMES,
        )
    )


def add_to(app: typer.Typer) -> None:
    app.command()(token)
