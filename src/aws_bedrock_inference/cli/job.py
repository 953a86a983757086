"""`bedrock job`: batch inference jobs, at half the price of on-demand calls."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aws_bedrock_inference.batch.inputs import open_input
from aws_bedrock_inference.batch.records import BadLine, Record
from aws_bedrock_inference.cli.exit_codes import FAILED
from aws_bedrock_inference.cli.job_shown import details, line_of, print_jobs, progress, record_line, writing
from aws_bedrock_inference.cli.options import PROFILE_OPTION, REGION_OPTION, chosen_model, request_options
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

_SHOWN = 5
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_OUTPUT = click.option(
    "-o", "--output", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-", metavar="FILE",
    help="File for the records. [default: standard output]",
)  # fmt: skip


def _of_job(function: F) -> F:
    """Add the job's id and the options that find it."""
    for option in (PROFILE_OPTION, REGION_OPTION, click.argument("job_id", metavar="JOB")):
        function = option(function)
    return function


@click.group()
def job() -> None:
    """Create batch jobs at half price, wait for them, read their results.

    JOB is the id that `create` prints. Any machine with it may wait for the job, and read what it wrote.
    """


@job.command()
@click.argument("source", metavar="INPUT", type=Input())
@request_options
@click.option("--temperature", type=click.FloatRange(0, 1), metavar="N", help="Randomness of the answers, from 0 to 1.")
@click.option(
    "--output-s3-uri", required=True, metavar="URL", help="Prefix for inputs and outputs: s3://BUCKET/PREFIX/."
)
@click.option("--role", metavar="ARN", help="Role that Bedrock works with. [env: BEDROCK_BATCH_ROLE_ARN]")
@click.option("--name", metavar="TEXT", help="Name of the job. [default: made of its content]")
@click.option(
    "--client-token", metavar="TEXT", help="Name for the content; with another token the same content runs again."
)
@click.option(
    "--timeout-hours",
    type=click.IntRange(SHORTEST_HOURS, LONGEST_HOURS),
    default=LONGEST_HOURS,
    show_default=True,
    metavar="N",
    help="Hours after which AWS ends the job; what it has not processed is lost.",
)
def create(
    *,
    source: Source,
    model: str | None,
    region: str | None,
    output_s3_uri: str,
    role: str | None,
    system: str | None,
    **options: Any,
) -> None:
    """Create a job of the records of INPUT, and print its id.

    INPUT is a file, a directory, or - for standard input, with the records that `bedrock run` takes; or a file or
    folder of .jsonl in S3, in Bedrock's own form. The same content has one job: the command may be repeated.
    """
    client = BedrockJobClient(chosen_model(model), output_s3_uri=output_s3_uri, role_arn=role, region_name=region)
    with client:
        client.listen(_tell)
        text = None if system is None else given_text(system)
        if isinstance(source, S3Location):
            job_id = client.create_job(input_s3_uri=str(source), system=text, **options)
        else:
            job_id = client.create_job(records=_records(source), system=text, **options)
        click.echo(job_id)
        if is_local(job_id):
            say("So few records are run on demand, now. Ctrl-C is safe: whoever waits for the job goes on.")
            client.finish(job_id)
    say(f"Continue with: bedrock job wait {quote(job_id)} -o FILE")


@job.command()
@_JSON
@_of_job
def status(*, job_id: str, region: str | None, as_json: bool) -> None:
    """Show the state of a job: its counts, and why it failed."""
    with _jobs(job_id, region) as jobs:
        _show(jobs.get_job_status(job_id, take_over=False), as_json=as_json)


@job.command()
@click.option(
    "--timeout", type=click.FloatRange(min=0), default=TIMEOUT, show_default=True, metavar="SECONDS",
    help="Longest wait; the job goes on after it.",
)  # fmt: skip
@_OUTPUT
@_of_job
def wait(*, job_id: str, region: str | None, timeout: float, output: Path) -> None:
    """Wait for the end of a job, and print its records.

    Ctrl-C ends the wait, not the job.
    """
    with _jobs(job_id, region) as jobs:
        jobs.listen(_tell)
        _print(lambda: jobs.wait_for_job(job_id, timeout), output)


@job.command()
@_OUTPUT
@_of_job
def result(*, job_id: str, region: str | None, output: Path) -> None:
    """Print the records of a job that has ended, in the order of its input.

    Each is one line of JSON with its recordId and its modelOutput or its error. What a job left that failed or was
    stopped is printed, too.
    """
    with _jobs(job_id, region) as jobs:
        _print(lambda: jobs.get_job_result(job_id), output)


@job.command("list")
@click.option("--status", "word", metavar="WORD", help="Only the jobs in this state of AWS's, such as InProgress.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Number of jobs.")
@_JSON
@PROFILE_OPTION
@REGION_OPTION
def list_jobs(*, word: str | None, limit: int, region: str | None, as_json: bool) -> None:
    """List the newest jobs of a Region."""
    with Jobs(region_name=region) as jobs:
        found = jobs.list_jobs(status=word, limit=limit)
        if as_json:
            for each in found:
                click.echo(line_of(each))
        else:
            print_jobs(found)


@job.command()
@_JSON
@_of_job
def cancel(*, job_id: str, region: str | None, as_json: bool) -> None:
    """Stop a job. What it has processed is paid, and may be read."""
    with _jobs(job_id, region) as jobs:
        _show(jobs.cancel_job(job_id), as_json=as_json)


def _jobs(job_id: str, region: str | None) -> Jobs:
    return Jobs(region_name=region or region_of(job_id))


def _records(source: Source) -> Iterator[dict[str, Any]]:
    """Yield the records of a source; raise `UsageError` if lines are wrong, since a job cannot be mended."""
    bad = []
    for record in open_input(source):
        if isinstance(record, BadLine):
            bad.append(str(record))
        elif not bad:
            yield _plain(record)
    if bad:
        more = f"\n... and {len(bad) - _SHOWN:,} more lines." if len(bad) > _SHOWN else ""
        raise click.UsageError("\n".join(bad[:_SHOWN]) + more)


def _plain(record: Record) -> dict[str, Any]:
    return {"recordId": record.key, **record.arguments} if record.is_prompt else record.source


def _show(found: JobStatus, *, as_json: bool) -> None:
    click.echo(line_of(found) if as_json else details(found))


def _print(result_of: Callable[[], JobResult], output: Path) -> None:
    """Print the records, and say how many failed. What cannot be written to is found before the result is asked for."""
    done = failed = 0
    with writing(output) as file:
        for record in result_of().records:
            done += record.error is None
            failed += record.error is not None
            click.echo(record_line(record), file)
    say(f"{done:,} records answered, {failed:,} failed.")
    if failed:
        raise click.exceptions.Exit(FAILED)


def _tell(event: object) -> None:
    text = progress(event)
    if text:
        say(text)
