"""The options of a run, and the names of its files. In this package, a `Job` is not a batch job of Bedrock."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aws_bedrock_inference.batch.answers import asker, request_of
from aws_bedrock_inference.batch.fates import Asking
from aws_bedrock_inference.batch.inputs import source_name
from aws_bedrock_inference.batch.journal_file import journal_of
from aws_bedrock_inference.batch.output import failures_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aws_bedrock_inference.batch.answers import Answer
    from aws_bedrock_inference.batch.deadline.service import JobService
    from aws_bedrock_inference.batch.deadline.when import When
    from aws_bedrock_inference.batch.inputs import Source
    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.batch.schema import Schema
    from aws_bedrock_inference.batch.template import Template
    from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
    from aws_bedrock_inference.flow import Pipeline
    from aws_bedrock_inference.policies import DeadLetter


@dataclass(frozen=True, kw_only=True)
class Job:
    """The options of one run.

    `streamed` is a function that returns True for a record whose answer is received as a stream. `timeout` is the total
    timeout of one record in seconds, including waits and retries. If `timeout` or `concurrency` is None, a default
    applies.

    `order` is the order of the answers in the output file. With `arrival`, each answer is appended when it arrives.
    With `input`, the answers have the order of the input, and the file is written at the end of the run. A record whose
    answer does not fit `schema` is sent again, at most twice.

    `on_change` applies if the request of an answered record has changed, for example the prompt. With `refuse`, the run
    ends with an error. With `keep`, the answer is kept. With `ask`, the record is sent again.

    Some faults affect every record, for example expired credentials. `give_up_after` is the maximum number of seconds
    that the run waits for such a fault to end.

    `max_cost` is the maximum cost of this run and of all earlier runs with the same output file, in US dollars.

    At the end of the run, the policy `dead_letters` stores each failed record as a dead letter. If `dead_letters` is
    None, the first `DeadLetter` in `pipeline` stores them.

    `brake` is a function that returns the reason why the run must stop now, or an empty text. `by` is the deadline for
    all answers. `jobs` is a service for batch jobs, such as a `BedrockJobClient`. If `by` and `jobs` are set, the run
    can send the records as a batch job.
    """

    source: Source
    output: Path
    model: str
    template: Template | None = None
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    region: str | None = None
    endpoint_url: str | None = None
    session: Any = None
    rpm: float | None = None
    tpm: float | None = None
    store: str | None = None
    timeout: float | None = None
    concurrency: int | None = None
    streamed: Callable[[Record], bool] = lambda _: False
    pipeline: Pipeline | None = None
    order: Literal["arrival", "input"] = "arrival"
    on_change: Literal["refuse", "keep", "ask"] = "refuse"
    give_up_after: float | None = None
    max_failures: int | None = None
    max_cost: float | None = None
    sample: int | None = None
    schema: Schema | None = None
    dead_letters: DeadLetter | None = None
    brake: Callable[[], str] = lambda: ""
    by: When | None = None
    jobs: JobService | None = None

    @property
    def source_name(self) -> str:
        """The name of the input in messages."""
        return source_name(self.source)

    @property
    def target(self) -> Path:
        """The file for the answers. If `output` is a symbolic link, this is the file to which the link points.

        The run sometimes replaces its output file with a new file. Replacing the link itself would destroy the link.
        """
        return self.output.resolve() if os.path.islink(self.output) else self.output  # noqa: PTH114 - unlike Path.is_symlink, it never raises

    @property
    def failed(self) -> Path:
        """The file for the records that failed."""
        return failures_of(self.target)

    @property
    def redoes_failures(self) -> bool:
        """True if the input is the failures file that an earlier run with the same output file wrote.

        The run then sends the failed records again.
        """
        return (
            isinstance(self.source, Path)
            and self.source.exists()
            and self.failed.exists()
            and self.source.samefile(self.failed)
        )

    @property
    def journal(self) -> Path:
        """The file of the journal."""
        return journal_of(self.target)

    @property
    def asking(self) -> Asking:
        """The model and the system prompt, which are the same in the requests of all records."""
        return Asking(self.model, self.system)

    def asker(self, client: AsyncBedrockClient, *, tier: str | None = None) -> Callable[[Record], Awaitable[Answer]]:
        """Return the function that sends one record. `tier` applies to a record without a tier."""
        ask = asker(client, **self._defaults, tier=tier, streamed=self.streamed)
        return ask if self.schema is None else self.schema.fitting(ask)

    def request(self, record: Record) -> dict[str, Any]:
        """Return all arguments of the call for one record. They are arguments of `invoke_model` if they contain a
        body, and otherwise arguments of `invoke`.
        """
        return {"modelId": self.model, **request_of(record, **self._defaults)}

    @property
    def _defaults(self) -> dict[str, Any]:
        return {"system": self.system, "max_tokens": self.max_tokens, "temperature": self.temperature}
