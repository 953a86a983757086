"""`bedrock dlq`: list dead letters, show them, and send them again. A dead letter is a stored request that failed
permanently.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aws_bedrock_inference.cli.dlq_options import STATE_OPTION, STORE_OPTION, selecting, selection
from aws_bedrock_inference.cli.dlq_shown import export_line, print_letter, print_report, print_stats, print_summaries
from aws_bedrock_inference.cli.exit_codes import FAILED, NEEDS_CORRECTION
from aws_bedrock_inference.cli.layout import Group
from aws_bedrock_inference.cli.options import (
    CONFIG_OPTION,
    DRY_RUN_OPTION,
    ENDPOINT_OPTION,
    JSON_OPTION,
    PROFILE_OPTION,
    REGION_OPTION,
    limit_option,
)
from aws_bedrock_inference.cli.terminal import say
from aws_bedrock_inference.deadletters.making import failure_text
from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
from aws_bedrock_inference.deadletters.sending import answer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.clients.client import BedrockClient
    from aws_bedrock_inference.deadletters.letter import Letter


@contextlib.contextmanager
def _queue(store: str) -> Iterator[DeadLetterQueue]:
    with contextlib.closing(DeadLetterQueue(store)) as queue:
        yield queue


@click.group(cls=Group)
def dlq() -> None:
    """List dead letters, show them, and send them again.

    A dead letter is a request that failed permanently. The policy DeadLetter or a DeadLetterQueue stores it. The
    command masks secrets in everything that it prints.
    """


@dlq.command("list")
@selecting
@STATE_OPTION
@limit_option(100)
@click.option("--after", metavar="CURSOR", help="Continue after CURSOR, which an earlier list printed.")
@STORE_OPTION
@JSON_OPTION
@PROFILE_OPTION
def list_letters(*, state: str, limit: int, after: str | None, store: str, as_json: bool, **choice: Any) -> None:
    """List dead letters, the newest first.

    --since and --until refer to the time at which a letter failed for the first time.
    """
    with _queue(store) as queue:
        page = queue.page_of_summaries(limit, state=state, after=after, **selection(**choice))
        print_summaries(page.summaries, as_json=as_json, now=queue.store.now())
    if page.cursor is not None:
        say(f"More letters exist. To list them, add: --after {page.cursor}")


@dlq.command()
@click.argument("letter_id", metavar="ID")
@STORE_OPTION
@JSON_OPTION
@PROFILE_OPTION
def show(*, letter_id: str, store: str, as_json: bool) -> None:
    """Show one dead letter: request, error, remedies, attempts."""
    with _queue(store) as queue:
        letter = _found(queue, letter_id)
    if as_json:
        click.echo(export_line(letter))
    else:
        print_letter(letter)


@dlq.command()
@click.argument("ids", nargs=-1, metavar="[ID]...")
@selecting
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Maximum number of letters to send.")
@DRY_RUN_OPTION
@click.option(
    "--remedied", multiple=True, metavar="CAUSE", help="Also send letters with CAUSE, which is fixed. Repeatable."
)
@click.option("--force", is_flag=True, help="Also send letters of unfixed causes and other Regions.")
@click.option("--wait", is_flag=True, help="Wait for letters that another redrive is sending.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="Maximum calls in flight.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="File for the answers."
)
@click.option(
    "--default-model",
    metavar="ID",
    envvar="BEDROCK_MODEL_ID",
    help="Model for requests without one. [env: BEDROCK_MODEL_ID]",
)
@CONFIG_OPTION
@REGION_OPTION
@ENDPOINT_OPTION
@STORE_OPTION
@JSON_OPTION
@PROFILE_OPTION
def redrive(
    *,
    ids: tuple[str, ...],
    limit: int | None,
    dry_run: bool,
    remedied: tuple[str, ...],
    force: bool,
    wait: bool,
    concurrency: int,
    output: Path | None,
    store: str,
    region: str | None,
    endpoint_url: str | None,
    config: Path | None,
    default_model: str | None,
    as_json: bool,
    **choice: Any,
) -> None:
    """Send dead letters again, the oldest first.

    The calls have the lowest priority and respect the quota. Two redrives never send the same letter at the same time.

    If the cause of a letter must be fixed first, such as a missing permission, the command refuses the letter. With
    --remedied CAUSE, you state that you have fixed this cause. A letter whose ID you pass is sent without this check.
    Without --wait, letters that another redrive is sending are skipped.
    """
    if ids and (limit or remedied or force or wait or any(choice.values())):
        raise click.UsageError(
            "An ID selects one dead letter, so it cannot be combined with other selections, such as --cause, --limit, "
            "--remedied, --force or --wait. Omit the ID, or omit these options."
        )
    with contextlib.ExitStack() as stack:
        queue = stack.enter_context(_queue(store))
        first = [_found(queue, ids[0]).summary] if ids else queue.page_of_summaries(1, **selection(**choice)).summaries
        summary = first[0] if first else None
        client = stack.enter_context(
            _client(
                default_model or (summary and summary.model) or "none",
                region_name=region or (summary and summary.region) or None,
                endpoint_url=endpoint_url,
                config=config,
            )
        )
        answers = (
            stack.enter_context(output.open("a", encoding="utf-8", errors="backslashreplace"))
            if output is not None
            else None
        )

        def keep(letter: Letter, result: Any) -> None:
            if answers is not None:
                line = {"id": letter.id, "text": getattr(result, "text", None), "answer": answer_of(result)}
                answers.write(json.dumps(line, ensure_ascii=False) + "\n")
                answers.flush()

        if ids:
            _send_each(queue, ids, client, keep, dry_run=dry_run)
            return
        report = queue.redrive(
            client,
            limit=limit,
            force=force,
            remedied=remedied,
            dry_run=dry_run,
            wait=wait,
            concurrency=concurrency,
            on_answer=keep,
            **selection(**choice),
        )
        print_report(report, as_json=as_json, dry_run=dry_run)
    if report.failed or report.stopped:
        raise click.exceptions.Exit(FAILED)


def _send_each(
    queue: DeadLetterQueue, ids: tuple[str, ...], client: BedrockClient, keep: Callable[..., None], *, dry_run: bool
) -> None:
    """Send the dead letters with these ids. If a letter fails, send the remaining letters, then raise the first
    failure.
    """
    failures: list[Exception] = []
    letters = [_found(queue, each) for each in dict.fromkeys(ids)]
    for letter in letters:
        if dry_run:
            click.echo(f"{letter.id} would be sent")
            continue
        try:
            keep(letter, queue.retry_request(letter.id, client))
        except Exception as error:  # noqa: BLE001 - the other letters are sent first
            failures.append(error)
            if len(letters) > 1:
                say(f"{letter.id} failed: {failure_text(error)}")
        else:
            say(f"{letter.id} was answered.")
    if failures:
        raise failures[0]


@dlq.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@STORE_OPTION
@PROFILE_OPTION
def discard(*, ids: tuple[str, ...], store: str) -> None:
    """Discard dead letters; they are deleted after 30 days.

    A redrive does not send discarded letters.
    """
    with _queue(store) as queue:
        for letter_id in ids:
            click.echo(f"{letter_id} {'discarded' if queue.discard(letter_id) else 'was discarded before'}")


@dlq.command()
@selecting
@STORE_OPTION
@JSON_OPTION
@PROFILE_OPTION
def stats(*, store: str, as_json: bool, **choice: Any) -> None:
    """Count dead letters by state, by cause and by model.

    The counts by cause and by model include only the letters whose state is `dead`.
    """
    with _queue(store) as queue:
        print_stats(queue.stats(**selection(**choice)), as_json=as_json, now=queue.store.now())


@dlq.command()
@selecting
@STATE_OPTION
@STORE_OPTION
@PROFILE_OPTION
def export(*, state: str, store: str, **choice: Any) -> None:
    """Print each letter as one line of JSON."""
    with _queue(store) as queue:
        for letter in queue.letters(state=state, **selection(**choice)):
            click.echo(export_line(letter))


@dlq.command()
@STORE_OPTION
@PROFILE_OPTION
def create(*, store: str) -> None:
    """Create the table or file for dead letters.

    If the table exists, the command adds what the table lacks: its index, the time to live (TTL) or the backups.
    """
    with _queue(store) as queue:
        for line in queue.create() or [f"{store} exists and needs no change"]:
            click.echo(line)


def _found(queue: DeadLetterQueue, letter_id: str) -> Letter:
    letter = queue.get(letter_id)
    if letter is None:
        raise NoLetter(
            f"the dead letter {letter_id} does not exist at {queue.store.place}. Pass an ID that `bedrock dlq list` "
            "prints"
        )
    return letter


class NoLetter(click.ClickException):
    """Raised for a dead letter that does not exist."""

    exit_code = NEEDS_CORRECTION


def _client(model: str, *, config: Path | None, **options: Any) -> BedrockClient:
    """Return a client for dead letters. A dead letter that names no model is sent to `model`."""
    from aws_bedrock_inference.clients.client import BedrockClient  # noqa: PLC0415 - heavy, and needed by one command
    from aws_bedrock_inference.policies.config import load  # noqa: PLC0415 - the same

    return BedrockClient(model, pipeline=load(config) if config is not None else None, **options)
