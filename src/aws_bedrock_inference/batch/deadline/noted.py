"""The facts in the journal about a deadline, with which a killed run continues the same job."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from aws_bedrock_inference.batch.deadline.rule import Watched

if TYPE_CHECKING:
    from collections.abc import Mapping

Way: TypeAlias = Literal["batch job", "flex", "on demand"]

FACT = "deadline"


@dataclass(frozen=True, slots=True)
class Noted:
    """The `deadline` that `by` meant when the run started, and the way that was chosen.

    For a batch job, `token` is written before the job is created and `job_id` after that; `job` is its last known
    state. `taken` is the reason why on demand took over. `over` is True when no more results are expected of the job.
    `complete` is True when the run was complete, so that the next run chooses again.
    """

    by: str
    deadline: float
    way: Way
    token: str = ""
    job_id: str = ""
    job: Watched | None = None
    taken: str = ""
    over: bool = False
    complete: bool = False

    @property
    def is_open(self) -> bool:
        """True if a job was started and more results are expected."""
        return bool(self.token) and not self.over

    def plain(self) -> dict[str, Any]:
        """Return the values for a program."""
        return {
            "deadline": round(self.deadline),
            "way": self.way,
            "job_id": self.job_id or None,
            "job_status": None if self.job is None else self.job.status,
            "taken_over": self.taken or None,
        }

    def facts(self) -> dict[str, str]:
        """Return the facts for the journal."""
        return {FACT: json.dumps(asdict(self))}


def noted_in(facts: Mapping[str, Any]) -> Noted | None:
    """Return the deadline in the facts of a journal, or None without a deadline."""
    text = facts.get(FACT)
    if not text:
        return None
    given = json.loads(text)
    job = given.pop("job")
    return Noted(**_known(Noted, given), job=None if job is None else Watched(**_known(Watched, job)))


def _known(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that this version knows; a newer version may have added fields."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in given.items() if name in names}
