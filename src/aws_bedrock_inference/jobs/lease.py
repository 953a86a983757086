"""The lease of a local job. Only one process, the *runner*, holds the lease at a time, and it renews the lease while
it runs the job.

The state of the job is one object in S3. The runner renews the lease every `BEAT` seconds: it writes a new state. If
the state does not change for `STALE` seconds, another process can take the job over by writing the state. All writes
are conditional: if two processes write at the same time, S3 accepts only one of the writes. A runner that could not
renew its lease for `VALID` seconds sends no more records.

The clocks of two machines can differ, so the state contains no time for these checks. A process reads the state several
times, and measures with its own clock how long the state stays the same.
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
VALID = 30.0  # seconds for which a renewal is valid, from the time when it was sent
PAUSE = 2.0  # seconds to wait after a failed renewal
STALE = 60.0  # seconds without a change after which another process may take over


class Lease:
    """The lease of the local job at `place`: the right of one process to run the job for a limited time.

    This process acquired the lease with a write of the state `stored` to S3. The write was sent at the time `sent`.
    """

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
        """The latest state of the job that this process has read or written."""
        return self._stored.value

    @property
    def holds(self) -> bool:
        """True while the lease (the right to run the job) is certainly valid, so that no other process can hold it."""
        return not self.lost and self._clock() < self._valid_until

    @property
    def due(self) -> float:
        """The seconds until the next renewal of the lease."""
        return max(0.0, self._next - self._clock())

    def renew(self, **changes: Any) -> bool:
        """Renew the lease (the right to run the job), and write `changes` into the job's state. Return whether the
        write succeeded. Changes by other processes, such as a request to stop the job, are preserved.
        """
        while not self.lost:
            sent = self._clock()
            value = {**self.state, **changes, "beat": self.state["beat"] + 1}
            try:
                stored = states.replace(self._s3, self._place, self._stored, value)
                now = stored or states.read(self._s3, self._place)
            except OSError as error:
                LOGGER.warning(
                    "this process could not renew its lease (the right to run a local job) in S3, and tries again: %s",
                    error,
                )
                self._next = sent + PAUSE
                return False
            except ValueError:  # the object is not a state, or has a newer format
                stored = now = None
            if stored is not None:
                self._stored, self._valid_until, self._next = stored, sent + VALID, sent + BEAT
                return True
            if now is None or now.value["owner"] != self.state["owner"]:
                self.lost = True
            else:
                self._stored = now
        return False
