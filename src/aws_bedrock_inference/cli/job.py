"""`bedrock job`: create, watch and read batch inference jobs, at half the price of on-demand calls."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aws_bedrock_inference.batch.inputs import open_input
from aws_bedrock_inference.batch.records import BadLine, Record
from aws_bedrock_inference.cli.exit_codes import FAILED
from aws_bedrock_inference.cli.job_shown import details, line_of, print_jobs, progress, record_line, writing
from aws_bedrock_inference.cli.layout import Group
from aws_bedrock_inference.cli.options import (
    JSON_OPTION,
    call_options,
    chosen_model,
    limit_option,
    output_s3_option,
    place_options,
    role_option,
)
from aws_bedrock_inference.cli.run_input import Input
from aws_bedrock_inference.cli.terminal import given_text, say
from aws_bedrock_inference.jobs.client import BedrockJobClient
from aws_bedrock_inference.jobs.creating import LONGEST_HOURS, SHORTEST_HOURS
from aws_bedrock_inference.jobs.existing import Jobs, region_of
from aws_bedrock_inference.jobs.local import is_local
from aws_bedrock_inference.jobs.waiting import TIMEOUT
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.batch.inputs import Source
    from aws_bedrock_inference.jobs.values import JobResult, JobStatus

F = TypeVar("F", bound="Callable[..., Any]")

_MOST_LINES = 5
_OUTPUT = click.option(
    "-o", "--output", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-", metavar="FILE",
    help="File for the records. [default: standard output]",
)  # fmt: skip


def _of_job(function: F) -> F:
    """Add the argument for the id of the job, and the options for its account, Region and endpoint, to a command."""
    return click.argument("job_id", metavar="JOB")(place_options(function))


@click.group(cls=Group)
def job() -> None:
    """Create batch jobs at half price, wait for them, read results.

    JOB is the id that `create` prints. With this id, any machine can wait for the job and read its results.
    """


@job.command()
@click.argument("source", metavar="INPUT", type=Input())
@call_options
@output_s3_option(required=True)
@role_option()
@click.option("--name", metavar="TEXT", help="Name of the job. [default: derived from the client token]")
@click.option(
    "--client-token",
    metavar="TEXT",
    help="Pass a new token to run the same input again. [default: a hash of the input]",
)
@click.option(
    "--timeout-hours",
    type=click.IntRange(SHORTEST_HOURS, LONGEST_HOURS),
    default=LONGEST_HOURS,
    show_default=True,
    metavar="N",
    help="Hours until AWS stops the job, 24 to 168.",
)
def create(
    *,
    source: Source,
    model: str | None,
    region: str | None,
    endpoint_url: str | None,
    output_s3_uri: str,
    role: str | None,
    system: str | None,
    **options: Any,
) -> None:
    """Create a job from the records of INPUT and print its id.

    INPUT is a file, a directory, or - for standard input, in the formats of `bedrock run`. It can also be a .jsonl
    file or a folder in S3, in the format of Bedrock's batch jobs. Running the command again does not create a second
    job for the same content. When AWS stops a job after --timeout-hours, the records not yet processed have no answer.
    """
    client = BedrockJobClient(
        chosen_model(model),
        output_s3_uri=output_s3_uri,
        role_arn=role,
        region_name=region,
        endpoint_url=endpoint_url,
    )
    with client:
        client.listen(_print_event)
        text = None if system is None else given_text(system)
        if isinstance(source, S3Location):
            job_id = client.create_job(input_s3_uri=str(source), system=text, **options)
        else:
            job_id = client.create_job(records=_records(source), system=text, **options)
        click.echo(job_id)
        if is_local(job_id):
            say(
                "The records are too few for a batch job, so they run on demand now. "
                "After Ctrl-C, `bedrock job wait` continues."
            )
            client.finish(job_id)
    place = "" if endpoint_url is None else f" --endpoint-url {quote(endpoint_url)}"
    say(f"Continue with: bedrock job wait {quote(job_id)} -o FILE{place}")


@job.command()
@JSON_OPTION
@_of_job
def status(*, job_id: str, region: str | None, endpoint_url: str | None, as_json: bool) -> None:
    """Show the state of a job: its counts, and why it failed."""
    with _jobs(job_id, region, endpoint_url) as jobs:
        _show(jobs.get_job_status(job_id, take_over=False), as_json=as_json)


@job.command()
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=TIMEOUT, show_default=True, metavar="SECONDS",
    help="Maximum wait; after it, the job continues on AWS.",
)  # fmt: skip
@_OUTPUT
@_of_job
def wait(*, job_id: str, region: str | None, endpoint_url: str | None, timeout: float, output: Path) -> None:
    """Wait for the end of a job and print its records.

    Ctrl-C ends the wait; the job continues.
    """
    with _jobs(job_id, region, endpoint_url) as jobs:
        jobs.listen(_print_event)
        _print(lambda: jobs.wait_for_job(job_id, timeout), output)


@job.command()
@_OUTPUT
@_of_job
def result(*, job_id: str, region: str | None, endpoint_url: str | None, output: Path) -> None:
    """Print the records of a job that has ended, in input order.

    Each record is one line of JSON with its recordId and its modelOutput or error. If the job failed or was stopped,
    the command prints the records that were processed before that.
    """
    with _jobs(job_id, region, endpoint_url) as jobs:
        _print(lambda: jobs.get_job_result(job_id), output)


@job.command("list")
@click.option("--status", "word", metavar="WORD", help="Only jobs in this AWS status, such as InProgress.")
@limit_option(20)
@JSON_OPTION
@place_options
def list_jobs(*, word: str | None, limit: int, region: str | None, endpoint_url: str | None, as_json: bool) -> None:
    """List the newest jobs of a Region."""
    with Jobs(region_name=region, endpoint_url=endpoint_url) as jobs:
        found = jobs.list_jobs(status=word, limit=limit)
        if as_json:
            for each in found:
                click.echo(line_of(each))
        else:
            print_jobs(found)


@job.command()
@JSON_OPTION
@_of_job
def cancel(*, job_id: str, region: str | None, endpoint_url: str | None, as_json: bool) -> None:
    """Stop a job.

    AWS charges for the records that were processed before the stop. `bedrock job result` prints these records.
    """
    with _jobs(job_id, region, endpoint_url) as jobs:
        _show(jobs.cancel_job(job_id), as_json=as_json)


def _jobs(job_id: str, region: str | None, endpoint_url: str | None) -> Jobs:
    return Jobs(region_name=region or region_of(job_id), endpoint_url=endpoint_url)


def _records(source: Source) -> Iterator[dict[str, Any]]:
    """Yield the records of a source.

    If lines are invalid, raise `UsageError` after the last line, so that the message can list several invalid lines.
    The job is then not created, because the records of an existing job cannot be corrected.
    """
    bad = []
    for record in open_input(source):
        if isinstance(record, BadLine):
            bad.append(str(record))
        elif not bad:
            yield _plain(record)
    if bad:
        more = f"\n... and {len(bad) - _MOST_LINES:,} more lines." if len(bad) > _MOST_LINES else ""
        raise click.UsageError(
            "The job was not created, because INPUT has invalid lines. Correct them:\n"
            + "\n".join(bad[:_MOST_LINES])
            + more
        )


def _plain(record: Record) -> dict[str, Any]:
    return {"recordId": record.key, **record.arguments} if record.is_prompt else record.source


def _show(found: JobStatus, *, as_json: bool) -> None:
    click.echo(line_of(found) if as_json else details(found))


def _print(result_of: Callable[[], JobResult], output: Path) -> None:
    """Print the records of a job and their counts.

    The output file is opened before the result is requested, so that a wrong path fails before the wait for the job.
    """
    done = failed = 0
    with writing(output) as file:
        for record in result_of().records:
            done += record.error is None
            failed += record.error is not None
            click.echo(record_line(record), file)
    say(f"{done:,} records answered, {failed:,} failed.")
    if failed:
        raise click.exceptions.Exit(FAILED)


def _print_event(event: object) -> None:
    text = progress(event)
    if text:
        say(text)
