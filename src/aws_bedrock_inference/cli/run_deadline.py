"""The options of `bedrock run` for a deadline, and the lines of its output about the deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from aws_bedrock_inference.batch.deadline.when import read
from aws_bedrock_inference.batch.deadline.words import duration, local_time
from aws_bedrock_inference.cli.options import output_s3_option, role_option
from aws_bedrock_inference.jobs.client import BedrockJobClient
from aws_bedrock_inference.sessions import of_any_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.batch.deadline.noted import Noted
    from aws_bedrock_inference.batch.ending import Ending
    from aws_bedrock_inference.batch.tally import Tally

F = TypeVar("F", bound="Callable[..., Any]")


def _readable(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Refuse a text that is not a deadline.

    A deadline in the past is accepted. To continue a run, the user repeats the command of the run, possibly after the
    deadline that the command contains.
    """
    if text is not None:
        try:
            read(text)
        except ValueError as error:
            raise click.BadParameter(f"{error}.") from None
    return text


_OPTIONS = (
    click.option(
        "--by",
        metavar="WHEN",
        callback=_readable,
        help="Deadline: 08:00, 2026-12-01T08:00 or 3h. Selects the cheapest way: batch job, flex or on demand.",
    ),
    output_s3_option(),
    role_option(),
)


def deadline_options(function: F) -> F:
    """Add the options for a deadline."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def with_service(options: dict[str, Any], *, is_simulated: bool) -> dict[str, Any]:
    """Return a copy of the options of a run, without `output_s3_uri` and `role`.

    If both options and a model are set, the copy contains `jobs` instead, a client for batch jobs.
    """
    given = dict(options)
    output, role = given.pop("output_s3_uri"), given.pop("role")
    if output is None:
        return given
    if given["by"] is None:
        raise click.UsageError(
            "--output-s3-uri requires --by, because only a run with a deadline creates a batch job. Pass both."
        )
    if is_simulated:
        raise click.UsageError("The simulator has no S3 for batch jobs. Omit --output-s3-uri or --simulate.")
    if role is None or not given["model"]:
        return given
    jobs = BedrockJobClient(
        given["model"],
        output_s3_uri=output,
        role_arn=role,
        region_name=given["region"],
        endpoint_url=of_any_service(given["endpoint_url"]),
        on_too_few="error",
    )
    return {**given, "jobs": jobs}


def kept_deadline(tally: Tally, ending: Ending, now: float) -> Iterator[str]:
    """Yield the lines about the deadline in the summary of a run.

    If the run ended early, yield at most one line: it states that the batch job of the run continues in AWS. If no
    batch job continues, yield no line.

    If the run did not end early, the lines state how many records the batch job answered, and how long before or after
    the deadline the run ended.
    """
    course = tally.course
    if course is None:
        return
    if ending.early:
        if course.noted.is_open:
            yield "  The batch job continues, and AWS charges for it; the same command waits for it again"
        return
    if tally.collected:
        on_demand = tally.answered - tally.collected
        yield f"  {tally.collected:,} of them answered by the batch job, {on_demand:,} on demand"
    left = course.noted.deadline - now
    is_kept = f"{duration(left)} before it" if left >= 0 else f"{duration(-left)} after it"
    yield f"Deadline {local_time(course.noted.deadline, now)}: the run ended {is_kept}"


def noted_deadline(noted: Noted, now: float) -> str:
    """Return one line about the deadline that a journal contains."""
    words = [f"by {local_time(noted.deadline, now)}: {noted.way} {noted.job_id}".rstrip()]
    if noted.job is not None:
        words.append(f"{noted.job.status}, {noted.job.processed:,} of {noted.job.records:,} processed")
    return "; ".join(words + ([f"on demand took over: {noted.taken}"] if noted.taken else []))
