"""`bedrock invoke`: send one prompt and print the answer."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import click

from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import JSON_OPTION, SIMULATE_OPTION, TIMEOUT_OPTION, call_options, chosen_model
from aws_bedrock_inference.cli.simulated import MODEL, simulated
from aws_bedrock_inference.cli.terminal import given_text, read_text, say, warnings_shown
from aws_bedrock_inference.clients.client import BedrockClient
from aws_bedrock_inference.events import CallEnded, CircuitChanged, QuotaQueued, RetryScheduled
from aws_bedrock_inference.pricing import dollars

if TYPE_CHECKING:
    from aws_bedrock_inference.clients.reply import Reply


@click.command(cls=Command)
@click.argument("prompt")
@call_options
@TIMEOUT_OPTION
@click.option("--stream", is_flag=True, help="Print the answer as it arrives.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", help="Format of the answer.")
@JSON_OPTION
@SIMULATE_OPTION
@click.option("-v", "--verbose", is_flag=True, help="Print retries, waits and cost on standard error.")
def invoke(
    *, prompt: str, model: str | None, simulate: str | None, stream: bool, output: str, as_json: bool, **options: Any
) -> None:
    """Send one prompt and print the answer.

    PROMPT is the text, or - for standard input. With --json, the command prints the text, the stop reason, the usage
    and the attempts.

    A word after --simulate is read as the name of a scenario, not as the prompt. Therefore, write either
    "Hello" --simulate or --simulate=calm "Hello".
    """
    as_json = as_json or output == "json"
    if stream and as_json:
        raise click.UsageError(
            "--stream prints text as it arrives, --json prints one object at the end. Choose one of them."
        )
    text = read_text() if prompt == "-" else given_text(prompt)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings_shown(say))
        session = None
        if simulate is not None:
            running, session = stack.enter_context(simulated(simulate))
            options["endpoint_url"], model = running.url, model or MODEL
        client = stack.enter_context(_client(chosen_model(model), session, **options))
        if options["verbose"]:
            client.listen(_print_event)
        reply = _asked(client, text, stream=stream, as_json=as_json, **options)
    if reply.stop_reason not in ("end_turn", "stop_sequence"):
        say(f"Note: the answer is incomplete; stop reason {reply.stop_reason}.")


def _client(
    model: str, session: Any, *, region: str | None, endpoint_url: str | None, timeout: float | None, **_: Any
) -> BedrockClient:
    return BedrockClient(model, session=session, region_name=region, endpoint_url=endpoint_url, timeout=timeout)


def _asked(
    client: BedrockClient,
    text: str,
    *,
    stream: bool,
    as_json: bool,
    system: str | None,
    max_tokens: int | None,
    temperature: float | None,
    **_: Any,
) -> Reply:
    """Send the prompt, print the answer, and return it."""
    settings: dict[str, Any] = {
        "system": None if system is None else given_text(system),
        "max_tokens": max_tokens,
        "temperature": temperature,
    }
    if not stream:
        reply = client.invoke(text, **settings)
        click.echo(_json(reply) if as_json else reply.text)
        return reply
    with client.invoke_stream(text, **settings) as pieces:
        for piece in pieces:
            click.echo(piece, nl=False)
        click.echo()
        return pieces.reply


def _print_event(event: object) -> None:
    """Print an event of the call, such as a retry."""
    if isinstance(event, RetryScheduled):
        why = str(event.fault).rstrip(".")
        say(f"Attempt {event.attempt} failed: {why}. The next attempt starts in {event.wait:.1f} s.")
    elif isinstance(event, QuotaQueued):
        say(f"Waiting for quota: {event.tokens:,} tokens, {event.ahead:,} calls ahead.")
    elif isinstance(event, CircuitChanged):
        say(f"The circuit of {event.route} is {event.state}.")
    elif isinstance(event, CallEnded):
        used = ""
        if event.usage is not None:
            used = f", {event.usage.input_tokens:,} tokens in, {event.usage.output_tokens:,} out, {dollars(event.cost)}"
        attempts = "1 attempt" if event.attempts == 1 else f"{event.attempts:,} attempts"
        say(f"{event.operation} on {event.route}: {attempts}, {event.seconds:.2f} s{used}")


def _json(reply: Reply) -> str:
    return json.dumps(
        {
            "text": reply.text,
            "stop_reason": reply.stop_reason,
            "usage": reply.usage.counts(),
            "cost": reply.cost,
            "attempts": reply.attempts,
            "request_id": reply.request_id,
            "model": reply.route.model,
            "region": reply.route.region,
        },
        ensure_ascii=False,
    )
