"""Probes that check the settings of a boto3 client: its timeouts, its connections and its own retries. A "probe" is
one read-only check of the doctor; it returns a "finding".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.knowledge.models import model_facts, target

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World

_CLIENT = "client"

# The slowest speed at which models write, in tokens per second. AWS advises a read timeout of 3,600 s for long answers
# (facts: bedrock-large-model-read-timeouts). In this time, a model writes 64,000 tokens at 18 tokens per second.
_SLOWEST = 18.0


@probe(_CLIENT, tells=["client-read-timeout", "connect-timeout"])
def timeouts(world: World) -> Finding:
    """Check whether the client's read timeout is long enough for the longest possible answer. For example, an answer of
    18,000 tokens can take 1,000 seconds, because the slowest models write 18 tokens per second.
    """
    if world.config is None or world.model_id is None:
        return skipped("This check needs a boto3 client and a model: diagnose(client=..., model_id=...) in Python.")
    seconds = _seconds(world.config.read_timeout)
    tokens = world.max_tokens or model_facts(target(world.model_id).base).max_output_tokens
    needed = tokens / _SLOWEST
    tried = f"read the client's settings: read_timeout={seconds:g}; an answer can have {tokens:,} tokens"
    if seconds >= needed:
        return ok(f"The read timeout of {seconds:g} s is long enough for an answer of {tokens:,} tokens.", tried)
    message = f"The read timeout of {seconds:g} s is too short: a long answer can take {needed:,.0f} s."
    judged = failed if world.asked_about("client-read-timeout") else warning
    return judged(message, tried, cause="client-read-timeout")


@probe(_CLIENT, tells=["connection-pool-full"])
def pool(world: World) -> Finding:
    """Compare the size of the client's connection pool with the number of concurrent calls."""
    if world.config is None or world.concurrency is None:
        return skipped(
            "This check needs a boto3 client and the concurrency: diagnose(client=..., concurrency=...) in Python."
        )
    most = world.config.max_pool_connections
    tried = f"read the client's settings: max_pool_connections={most}"
    if world.concurrency <= most:
        return ok(f"{most} connections are enough for {world.concurrency} concurrent calls.", tried)
    message = (
        f"{world.concurrency} concurrent calls share {most} connections. Further calls each open a connection or wait."
    )
    judged = failed if world.asked_about("connection-pool-full") else warning
    return judged(message, tried, cause="connection-pool-full")


@probe(_CLIENT)
def own_retries(world: World) -> Finding:
    """Read how many attempts the client itself makes for each call.

    If other code also retries the client's calls, the numbers of attempts multiply: 5 attempts of the client and 3 of
    the other code are up to 15 attempts for a call.
    """
    if world.config is None:
        return skipped("This check needs a boto3 client: diagnose(client=...) in Python.")
    retries: dict[str, Any] = world.config.retries or {}
    attempts = retries.get("total_max_attempts") or retries.get("max_attempts", 4) + 1
    tried = f"read the client's settings: retries={retries or 'the default'}"
    if attempts > 1:
        return warning(
            f"boto3 itself makes up to {attempts} attempts for each call. If other code also retries these calls, the "
            "numbers of attempts multiply. Then create the client with Config(retries={'total_max_attempts': 1}).",
            tried,
        )
    return ok("boto3 itself does not retry calls.", tried)


def _seconds(timeout: Any) -> float:
    return float("inf") if timeout is None else float(timeout)


PROBES = (timeouts, pool, own_retries)
