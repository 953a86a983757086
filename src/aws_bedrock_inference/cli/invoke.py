"""`bedrock invoke`: send one prompt, print one answer."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from aws_bedrock_inference.cli.options import call_options, chosen_model
from aws_bedrock_inference.clients.client import BedrockClient

if TYPE_CHECKING:
    from aws_bedrock_inference.clients.reply import Reply


@click.command()
@click.argument("prompt")
@call_options
@click.option("--stream", is_flag=True, help="Print the answer as it arrives.")
@click.option("--json", "as_json", is_flag=True, help="Print text, stop reason, usage and attempts as JSON.")
def invoke(
    *,
    prompt: str,
    model: str | None,
    system: str | None,
    max_tokens: int | None,
    region: str | None,
    endpoint_url: str | None,
    stream: bool,
    as_json: bool,
) -> None:
    """Send one prompt and print the answer.

    PROMPT is the text, or - for standard input.
    """
    if stream and as_json:
        raise click.UsageError(
            "--stream prints text as it arrives, --json prints one object at the end. Choose one of them."
        )
    text = sys.stdin.read() if prompt == "-" else prompt
    with BedrockClient(chosen_model(model), region_name=region, endpoint_url=endpoint_url) as client:
        if stream:
            with client.invoke_stream(text, system=system, max_tokens=max_tokens) as pieces:
                for piece in pieces:
                    click.echo(piece, nl=False)
                click.echo()
                reply = pieces.reply
        else:
            reply = client.invoke(text, system=system, max_tokens=max_tokens)
            click.echo(_json(reply) if as_json else reply.text)
    if reply.stop_reason not in ("end_turn", "stop_sequence"):
        click.echo(f"Note: the answer is incomplete; stop reason {reply.stop_reason}.", err=True)


def _json(reply: Reply) -> str:
    return json.dumps(
        {
            "text": reply.text,
            "stop_reason": reply.stop_reason,
            "usage": asdict(reply.usage),
            "attempts": reply.attempts,
            "request_id": reply.request_id,
            "model": reply.route.model,
            "region": reply.route.region,
        },
        ensure_ascii=False,
    )
