"""How far a replay is, where no terminal shows bars."""

import io
import re

from rich.console import Console

from deploy.replay.stage import Seconds


def test_without_a_terminal_what_is_done_and_how_far_the_rest_is_are_lines() -> None:
    said = io.StringIO()
    with Seconds(Console(file=said, width=200)) as seconds:
        with seconds.phase("read") as bar:
            bar.step()
        with seconds.phase("days", 40) as bar:
            bar.step(30)
        seconds.tell("2022-08 is played and paid")
        with seconds.phase("days", 40) as bar:
            bar.step(10)
    assert re.sub(r"\d+\.\d s", "0.0 s", said.getvalue()).splitlines() == [
        "read: 0.0 s",
        "2022-08 is played and paid; days 30 of 40 in 0.0 s",
        "days: 40 done, 0.0 s",
    ]
