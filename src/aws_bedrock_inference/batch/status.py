"""Read the status of a run from its journal, from another terminal or after the end of the run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.bill import known
from aws_bedrock_inference.batch.deadline.noted import noted_in
from aws_bedrock_inference.batch.fates import State
from aws_bedrock_inference.batch.journal_file import SCHEMA, is_held
from aws_bedrock_inference.stores.disk import too_new

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from aws_bedrock_inference.batch.deadline.noted import Noted

SUFFIX = ".journal"
_NO_END = "The journal does not contain the end of the run: the process was killed, or the disk was full."


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a run: its state, its counts, and the reasons of its failures. The state is `running`, `parked`
    (waiting for the end of a fault), or `killed`. If the run has ended, the state is the name of its ending, such as
    `complete`.
    """

    path: Path
    state: str
    reason: str
    counts: dict[State, int]
    reasons: list[tuple[int, str]]
    facts: dict[str, Any]

    @property
    def records(self) -> int:
        """The number of records."""
        return sum(self.counts.values())

    @property
    def cost(self) -> float | None:
        """The known cost of the answers in US dollars, or None if no cost is known."""
        return known(self.facts["cost"], self.facts["cost_unknown"]) if "cost" in self.facts else None

    @property
    def noted(self) -> Noted | None:
        """The deadline of the run, the way in which its records are sent (such as a batch job), and the id and the
        state of the batch job.

        Only a run with a deadline can use a batch job. For a run without a deadline, the result is None.
        """
        return noted_in(self.facts)

    @property
    def missing(self) -> int:
        """The number of records that are neither answered nor failed."""
        return self.records - self.counts[State.ANSWERED] - self.counts[State.FAILED]

    def plain(self) -> dict[str, Any]:
        """Return the status as a dictionary that JSON can write."""
        return {
            "journal": str(self.path),
            "state": self.state,
            "reason": self.reason,
            "records": self.records,
            "answered": self.counts[State.ANSWERED],
            "failed": self.counts[State.FAILED],
            "missing": self.missing,
            "in_flight": self.counts[State.CLAIMED],
            "to_retry_later": self.counts[State.DELAYED],
            "parked": self.counts[State.PARKED],
            "failures": [{"records": number, "reason": reason} for number, reason in self.reasons],
            "cost": self.cost,
            "cost_unknown": self.facts.get("cost_unknown"),
            "by": None if self.noted is None else self.noted.plain(),
            "model": self.facts.get("model"),
            "input": self.facts.get("source"),
            "started": self.facts.get("started"),
            "pid": self.facts.get("pid"),
        }


def status_of(path: Path) -> Status:
    """Return the status of the run whose journal is at `path`. Raises `ValueError` if the journal cannot be read."""
    running = is_held(path)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            (application,) = database.execute("PRAGMA application_id").fetchone()
            if application != SCHEMA.application:
                raise ValueError(
                    f"{path} is not a journal of `bedrock run`. Pass the output file of a run, or its journal"
                )
            if version > SCHEMA.newest:
                raise ValueError(too_new(path, f"it has format {version}"))
            facts = dict(database.execute("SELECT name, value FROM facts"))
            counts = dict(database.execute("SELECT state, count(*) FROM records GROUP BY state"))
            reasons = database.execute(
                "SELECT count(*), json_extract(error, '$.code') || ': ' || min(json_extract(error, '$.errorMessage')) "
                "FROM failures JOIN records USING (number) WHERE state = ? "
                "GROUP BY json_extract(error, '$.code') ORDER BY 1 DESC LIMIT 5",
                (State.FAILED,),
            ).fetchall()
    except sqlite3.Error as error:
        raise ValueError(
            f"the journal {path} cannot be read: {error}. Check its permissions, or restore the file from a backup"
        ) from error
    parked, ended = facts.get("parked") or "", facts.get("ended")
    state = ("parked" if parked else "running") if running else ended or "killed"
    reason = parked if running else facts.get("reason") or ("" if ended else _NO_END)
    return Status(path, state, reason, {each: counts.get(each, 0) for each in State}, reasons, facts)


def statuses(folder: Path) -> Iterator[Status | ValueError]:
    """Yield the status of each run whose journal is in a directory, or a `ValueError` for a journal that cannot be
    read.
    """
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            yield status_of(path)
        except ValueError as error:
            yield error
