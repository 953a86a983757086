"""The right to run a local job, which one runner has at a time and keeps by renewing it.

Its state is one object in S3. The runner renews it every `BEAT` seconds. Who sees it unchanged for `STALE` seconds of
its own clock may take it over, by a conditional write that only one wins. A runner that could not renew its lease for
`VALID` seconds begins nothing more: the clocks of two machines are never compared, and even the slowest observer begins
to count after the renewal that it sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.jobs import states
from aws_bedrock_inference.log import LOGGER

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.jobs.states import Stored
    from aws_bedrock_inference.s3 import S3Location

BEAT = 10.0  # seconds between two renewals
VALID = 30.0  # seconds from a renewal's sending for which it holds
PAUSE = 2.0  # seconds after a renewal that failed
STALE = 60.0  # seconds without a change after which others may take over


class Lease:
    """The lease of the job at `place`, which the write of `stored`, sent at `sent`, gave to this runner."""

    def __init__(self, s3: Any, place: S3Location, stored: Stored, sent: float, clock: Clock) -> None:
        self._s3 = s3
        self._place = place
        self._stored = stored
        self._clock = clock
        self._valid_until = sent + VALID
        self._next = sent + BEAT
        self.lost = False

    @property
    def state(self) -> dict[str, Any]:
        """The state as this runner knows it."""
        return self._stored.value

    @property
    def holds(self) -> bool:
        """True while no other runner can have the job."""
        return not self.lost and self._clock() < self._valid_until

    @property
    def due(self) -> float:
        """The seconds until the next renewal."""
        return max(0.0, self._next - self._clock())

    def renew(self, **changes: Any) -> bool:
        """Write that this runner lives, with `changes` of the state; return whether it was written. What others wrote
        meanwhile, such as the wish to stop the job, is kept.
        """
        while not self.lost:
            sent = self._clock()
            value = {**self.state, **changes, "beat": self.state["beat"] + 1}
            try:
                stored = states.replace(self._s3, self._place, self._stored, value)
                now = stored or states.read(self._s3, self._place)
            except OSError as error:
                LOGGER.warning("the heartbeat of a local job was not written and is tried again: %s", error)
                self._next = sent + PAUSE
                return False
            except ValueError:  # what stands there is no state, or one of a newer version
                stored = now = None
            if stored is not None:
                self._stored, self._valid_until, self._next = stored, sent + VALID, sent + BEAT
                return True
            if now is None or now.value["owner"] != self.state["owner"]:
                self.lost = True
            else:
                self._stored = now
        return False
