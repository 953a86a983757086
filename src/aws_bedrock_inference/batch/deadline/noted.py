"""The facts about a deadline that the journal stores. With these facts, a run continues the batch job of an earlier
run that was killed.
"""

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
    """The facts about a deadline. `by` is the value of the option `by`. `deadline` is the time that was calculated
    from `by` at the start of the run. `way` is the chosen way: batch job, flex tier or on demand.

    For a batch job, `token` is stored before the job is created and `job_id` after it is created. `job` is the last
    known state of the job. `over` is True if no more results of the job are expected.

    `taken` is the reason why calls on demand replaced the batch job or the flex tier. `complete` is True if the run was
    complete. The next run then chooses a way again.
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
        """Return the deadline, the chosen way and the status of the batch job as a dictionary, for output as JSON."""
        return {
            "deadline": round(self.deadline),
            "way": self.way,
            "job_id": self.job_id or None,
            "job_status": None if self.job is None else self.job.status,
            "taken_over": self.taken or None,
        }

    def facts(self) -> dict[str, str]:
        """Return all fields as one JSON text under the key `deadline`. The journal stores them in this form."""
        return {FACT: json.dumps(asdict(self))}


def noted_in(facts: Mapping[str, Any]) -> Noted | None:
    """Return the facts about the deadline from `facts`, the values that a journal stores about the run.

    Return None if the run had no deadline.
    """
    text = facts.get(FACT)
    if not text:
        return None
    given = json.loads(text)
    job = given.pop("job")
    return Noted(**_known(Noted, given), job=None if job is None else Watched(**_known(Watched, job)))


def _known(kind: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `given` that are fields of the dataclass `kind`.

    A newer version of this package can have stored additional values.
    """
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in given.items() if name in names}
