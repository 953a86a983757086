from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from support.doubles import ROUTE, UNAVAILABLE

from aws_bedrock_inference.batch.tally import Tally
from aws_bedrock_inference.call import Usage
from aws_bedrock_inference.cli.progress import Progress
from aws_bedrock_inference.events import CallEnded, RetryScheduled

if TYPE_CHECKING:
    from support.doubles import World


def test_why_nothing_is_answered_is_shown_until_something_is(world: World) -> None:
    console = Console(width=60)
    tally = Tally(world.clock)
    progress = Progress(console, tally)

    def shown() -> str:
        with console.capture() as seen:
            console.print(progress.block())
        return seen.get()

    tally.hear(RetryScheduled(ROUTE, UNAVAILABLE, 1, 2.0))
    assert "no answer" not in shown()
    world.now = 4.0
    assert "no answer for 0:04: ServiceUnavailableException: Bedrock is…" in shown()
    assert progress.line().endswith(f"no answer for 0:04: {UNAVAILABLE}")
    tally.hear(CallEnded("converse", ROUTE, None, Usage(1, 1), 1, 1.0))
    assert "no answer" not in shown()
