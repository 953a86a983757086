"""Probes of the settings of the client in question: its time-outs, its connections, its own retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.knowledge.models import model_facts, target

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_CLIENT = "client"

# The slowest speed at which models write, in tokens a second: AWS's own answer for long generations is a read time-out
# of 3,600 s (facts: bedrock-large-model-read-timeouts), which is 64,000 tokens at 18 a second.
_SLOWEST = 18.0


@probe(_CLIENT, tells=["client-read-timeout", "connect-timeout"])
def timeouts(world: World) -> Finding:
    """Compare the client's read time-out with the time that its longest answer may take."""
    if world.config is None or world.model_id is None:
        return skipped("No boto3 client and model were given.")
    seconds = _seconds(world.config.read_timeout)
    tokens = world.max_tokens or model_facts(target(world.model_id).base).max_output_tokens
    needed = tokens / _SLOWEST
    tried = f"read the client's settings: read_timeout={seconds:g}; an answer may have {tokens:,} tokens"
    if seconds >= needed:
        return ok(f"The read time-out of {seconds:g} s is enough for an answer of {tokens:,} tokens.", tried)
    message = f"The read time-out of {seconds:g} s ends answers that take longer; one may take {needed:,.0f} s."
    judged = failed if world.asked_about("client-read-timeout") else warning
    return judged(message, tried, cause="client-read-timeout")


@probe(_CLIENT, tells=["connection-pool-full"])
def pool(world: World) -> Finding:
    """Compare the client's connections with the number of calls that are made at once."""
    if world.config is None or world.concurrency is None:
        return skipped("No boto3 client and concurrency were given.")
    most = world.config.max_pool_connections
    tried = f"read the client's settings: max_pool_connections={most}"
    if world.concurrency <= most:
        return ok(f"{most} connections are enough for {world.concurrency} calls at once.", tried)
    message = f"{world.concurrency} calls at once share {most} connections: the others open one each, or wait."
    judged = failed if world.asked_about("connection-pool-full") else warning
    return judged(message, tried, cause="connection-pool-full")


@probe(_CLIENT)
def own_retries(world: World) -> Finding:
    """Read how often the client itself repeats a call: below other retries, that multiplies them."""
    if world.config is None:
        return skipped("No boto3 client was given.")
    retries: dict[str, Any] = world.config.retries or {}
    attempts = retries.get("total_max_attempts") or retries.get("max_attempts", 4) + 1
    tried = f"read the client's settings: retries={retries or 'the default'}"
    if attempts > 1:
        return warning(f"boto3 itself makes up to {attempts} attempts: beneath other retries they multiply.", tried)
    return ok("boto3 itself repeats nothing.", tried)


def _seconds(timeout: Any) -> float:
    return float("inf") if timeout is None else float(timeout)


PROBES = (timeouts, pool, own_retries)
