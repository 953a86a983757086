"""Handle Ctrl-C and SIGTERM during a run."""

from __future__ import annotations

import asyncio  # noqa: TID251 - signals are taken by the loop in which the run lives
import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.batch.deadline.night import Night
    from aws_bedrock_inference.batch.runner import Run
    from aws_bedrock_inference.batch.tally import Tally


class Interruption:
    """Handles the signals of Ctrl-C and SIGTERM. The first signal ends the run cleanly, the second ends it
    immediately, and the third kills the process.

    A signal can arrive before the run has started. In this case, the run ends as soon as it has started.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, tally: Tally, say: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._tally = tally
        self._say = say
        self._run: Run | Night | None = None
        self._strikes: list[int] = []

    def of(self, run: Run | Night) -> None:
        """Set the run that the signals interrupt. If signals have already arrived, pass them to the run."""
        self._run = run
        for number in self._strikes[:2]:
            run.interrupt(terminated=number == signal.SIGTERM)

    def strike(self, number: int) -> None:
        """Handle the arrival of a signal."""
        self._strikes.append(number)
        if self._run is not None:
            self._run.interrupt(terminated=number == signal.SIGTERM)
        if len(self._strikes) == 1:
            self._say(
                f"Stopping: waiting for {self._tally.in_flight:,} calls in flight. Interrupt again to stop immediately."
            )
        else:
            for each in self.SIGNALS:
                self._loop.remove_signal_handler(each)
                signal.signal(each, signal.SIG_DFL)


@contextlib.contextmanager
def interruptible(tally: Tally, say: Callable[[str], None]) -> Iterator[Interruption]:
    """Handle Ctrl-C and SIGTERM while the `with` block runs."""
    loop = asyncio.get_running_loop()
    interruption = Interruption(tally, say)
    before = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    with contextlib.suppress(NotImplementedError):  # on Windows Ctrl-C ends the run immediately
        for number in interruption.SIGNALS:
            loop.add_signal_handler(number, interruption.strike, number)
    try:
        yield interruption
    finally:
        with contextlib.suppress(NotImplementedError):
            for number, handler in before.items():
                if loop.remove_signal_handler(number):
                    signal.signal(number, handler)
