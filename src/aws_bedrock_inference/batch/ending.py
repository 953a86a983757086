"""Describe how a run ended: complete, interrupted, or stopped for a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.parking import is_final

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run. If no field is set, the run is complete.

    `interrupted` is True if the user interrupted the run; `terminated` is then True for SIGTERM and False for Ctrl-C.
    `fault` is a fault that affects every record and ended the run. `broken` describes a file that could not be written.
    `stopped` is any other reason, such as a limit of the user, or an input that was refused.
    """

    interrupted: bool = False
    fault: Fault | None = None
    broken: str = ""
    terminated: bool = False
    stopped: str = ""

    @property
    def early(self) -> bool:
        """True if some records were not sent."""
        return self.name != "complete"

    @property
    def is_spent(self) -> bool:
        """True if the run ended because it reached its maximum cost."""
        return self.fault is not None and is_final(self.fault)

    @property
    def name(self) -> str:
        """The way in which the run ended, in one word for the journal."""
        if self.interrupted:
            return "interrupted"
        if self.is_spent:
            return "stopped"
        return "gave up" if self.fault else "broken" if self.broken else "stopped" if self.stopped else "complete"

    @property
    def reason(self) -> str:
        """The reason why the run ended, as text for the journal."""
        if self.fault is not None:
            if self.is_spent:
                return f"{self.fault.message}."
            return f"every call fails with {self.fault}"
        return self.broken or self.stopped or ("interrupted" if self.interrupted else "")
