"""The tables of a scenario for batch inference: the quotas of the account, and the behaviour of its jobs."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf

_GIGABYTE = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The quotas for batch jobs, the models that refuse batch jobs, and the roles that Bedrock can assume.

    Models and roles are shell patterns. Quotas: https://docs.aws.amazon.com/general/latest/gr/bedrock.html, 2026-11-29.
    """

    minimum: int = 100
    records: int = 50_000
    file_bytes: int = _GIGABYTE
    job_bytes: int = 5 * _GIGABYTE
    jobs: int | None = None
    # The service refuses batch jobs of these models, according to public logs of 2026-07 to 2026-09.
    unsupported: tuple[str, ...] = (
        *("anthropic.claude-opus-4-7*", "anthropic.claude-opus-4-8*", "anthropic.claude-sonnet-5*"),
        *("anthropic.claude-fable-*", "openai.gpt-5.6*", "moonshot*kimi-k3*"),
    )
    roles: tuple[str, ...] = ("*",)
    token_conflicts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRule:
    """The behaviour of the jobs whose name and model match two shell patterns.

    * `first` limits the rule to the first N of these jobs.
    * `submitted`, `validating`, `scheduled`, `in_progress` and `stopping`: the seconds that a job spends in each of
      these states.
    * `stalls`: a job makes no further progress after this share of its records, from 0 to 1. By default, no job stalls.
    * `expires` is the timeout of a job in seconds. It replaces the `timeoutDurationInHours` of the request.
    * `errors`, from 0 to 1, is the share of the records that fail.
    """

    name: str = "*"
    model: str = "*"
    first: int | None = None
    submitted: float = 0.0
    validating: float = 0.0
    scheduled: float = 0.0
    in_progress: float = 0.0
    stopping: float = 0.0
    expires: float | None = None
    stalls: float = inf
    chunk: int = 100
    fails: str = ""
    errors: float = 0.0
    error_code: int = 400
    error_message: str = "bad request"
    stop_leaves_results: bool = True

    def __post_init__(self) -> None:
        if not self.errors <= 1:
            raise ValueError(f"errors is {self.errors!r}; set the share of the records that fail, from 0 to 1")
        if not self.chunk >= 1:
            raise ValueError(f"chunk is {self.chunk!r}; set the number of records that run at the same time, 1 or more")

    def covers(self, name: str, model: str) -> bool:
        """Return whether the rule applies to a job with this name for this base model."""
        return fnmatchcase(name, self.name) and fnmatchcase(model, self.model)
