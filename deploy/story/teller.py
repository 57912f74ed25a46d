"""Says the story aloud: a day, who did what, and what happened by itself; and keeps the days going."""

from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape

from deploy.visitor import Visitor
from shared import clock


class Teller:
    """Prints a line a step and moves the platform's clock between steps."""

    def __init__(self, visitor: Visitor, now: datetime) -> None:
        self._visitor = visitor
        self._console = Console(highlight=False, soft_wrap=True)
        self.now = now

    def opens(self, *lines: str) -> None:
        """What a stranger should know before the first line."""
        for line in lines:
            self._console.print(f"[dim]{escape(line)}[/dim]")

    async def on(self, moment: datetime) -> None:
        """Moves the clock forward and says the day."""
        self.now = moment
        await self._visitor.drive(moment)
        self._console.print(f"\n[bold]{local(moment)}[/bold]")

    async def later(self, **how_long: float) -> None:
        """Lets time pass."""
        await self.on(self.now + timedelta(**how_long))

    def says(self, who: str, what: str) -> None:
        """Somebody did something."""
        self._console.print(f"  {escape(who)} {escape(what)}")

    def by_itself(self, what: str) -> None:
        """Something happened that nobody asked for."""
        self._console.print(f"  [green]→ by itself:[/green] {escape(what)}")

    def refused(self, who: str, why: str) -> None:
        """Somebody asked for what may not be, and was told why."""
        self._console.print(f"  {escape(who)} [yellow]was refused:[/yellow] {escape(why)}")

    def heading(self, text: str) -> None:
        """The title of a part."""
        self._console.print(f"\n[bold cyan]{escape(text)}[/bold cyan]")


def local(moment: datetime | str) -> str:
    """An instant, also as the platform writes it, as clocks in Shanghai show it."""
    instant = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{instant.astimezone(clock.SHANGHAI):%Y-%m-%d %H:%M}"


def short(thing_id: str) -> str:
    """The end of an id, enough to recognise it."""
    return "…" + thing_id[-6:]


def named(step: dict[str, Any]) -> str:
    """Who a thing waits for: the role, and whose it is as far as that is said."""
    who = step["who"]
    return f"{who['role']} {who['name'] or who['code'] or who['region'] or ''}".rstrip()
