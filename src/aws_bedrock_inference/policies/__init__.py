"""The policies, one concern in each file; `standard` is the default pipeline of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.flow import Pipeline
from aws_bedrock_inference.policies.breaker import Breaker
from aws_bedrock_inference.policies.cache import Cache
from aws_bedrock_inference.policies.complete import Complete
from aws_bedrock_inference.policies.dead_letter import DeadLetter
from aws_bedrock_inference.policies.deadline import Deadline
from aws_bedrock_inference.policies.degrade import Degrade
from aws_bedrock_inference.policies.fallback import Fallback
from aws_bedrock_inference.policies.filtered import Filtered, OnFiltered
from aws_bedrock_inference.policies.geographic import GeographicProfile
from aws_bedrock_inference.policies.max_cost import MaxCost
from aws_bedrock_inference.policies.quota import Quota
from aws_bedrock_inference.policies.request_metadata import RequestMetadata
from aws_bedrock_inference.policies.resume import Resume
from aws_bedrock_inference.policies.retry import Retry
from aws_bedrock_inference.policies.targets import Target

if TYPE_CHECKING:
    from aws_bedrock_inference.call import OnInterrupt
    from aws_bedrock_inference.foundation.models import Models

__all__ = [
    "Breaker",
    "Cache",
    "Complete",
    "DeadLetter",
    "Deadline",
    "Degrade",
    "Fallback",
    "Filtered",
    "GeographicProfile",
    "MaxCost",
    "Quota",
    "RequestMetadata",
    "Resume",
    "Retry",
    "Target",
    "one_owner",
    "standard",
]


def standard(
    quota: Quota | None = None,
    *,
    cache: Cache | None = None,
    filtered: Filtered | OnFiltered = "return",
    degrade: Degrade | None = None,
    fallback: Fallback | None = None,
    dead_letters: DeadLetter | None = None,
    on_interrupt: OnInterrupt = "raise",
    retry: Retry | Literal["outside"] | None = None,
    profiles: Models | None = None,
    max_cost: MaxCost | float | None = None,
    request_metadata: RequestMetadata | None = None,
) -> Pipeline:
    """Return the recommended pipeline: each attempt passes the circuit breaker and the quota; the deadline covers all
    attempts.

    `cache` answers a request that was answered before, and nothing of the others is asked then. Without it nothing is
    kept. `filtered` is what to do with content that was filtered: `return` it as it is, `raise`, or a message for its
    place (see `Filtered`). `degrade` is a substitute for when all else has failed; without one the exception is raised.
    `fallback` moves a call to another model, Region or account when its own route cannot answer it. `dead_letters`
    keeps each call that has failed for good, before a substitute is answered, so that it can be sent again.
    `on_interrupt` says how a stream goes on that breaks after its first content, unless the call says so itself (see
    `Resume`). `load` reads the same from a file.

    `retry` replaces the recommended `Retry()`. With `"outside"` a call is sent once, because something else owns the
    retries and their waits: a workflow engine, a task queue. The exception then says in `retry_after` how many seconds
    to wait, or None if nobody stated a wait, and in `decision` whether a retry makes sense. One with the decision FAIL
    and a `retry_after` was refused by the quota, and has room then.

    `profiles` adds `GeographicProfile(profiles)`: a model that takes no on-demand calls is called through the profile
    of its geography. Without it the service's error is raised, since calls through a profile may be answered in
    another Region.

    `max_cost` is the most that all calls may cost together, in US dollars (see `MaxCost`). `request_metadata` sends the
    caller's context along (see `RequestMetadata`).
    """
    if quota is not None and not isinstance(quota, Quota):
        raise ValueError(f"standard({shown(quota)}): give a Quota, such as Quota(rpm=500); the others go by name")
    if retry is not None and retry != "outside" and not isinstance(retry, Retry):
        raise ValueError(f"standard(retry={shown(retry)}): give a Retry, or 'outside' to send each call once")
    for name, value, kind, example in (
        ("cache", cache, Cache, "Cache('sqlite:///path/answers.db')"),
        ("degrade", degrade, Degrade, "Degrade('Busy, try later')"),
        ("dead_letters", dead_letters, DeadLetter, "DeadLetter('sqlite:///path/dead.db')"),
        ("request_metadata", request_metadata, RequestMetadata, "RequestMetadata('team')"),
        ("fallback", fallback, Fallback, "Fallback('another-model-id')"),
    ):
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"standard({name}={shown(value)}): give a {kind.__name__}, such as {example}")
    owner = Retry(attempts=1) if retry == "outside" else retry
    return Pipeline(
        *([request_metadata] if request_metadata is not None else []),
        *([degrade] if degrade is not None else []),
        *([dead_letters] if dead_letters is not None else []),
        *([] if filtered == "return" else [filtered if isinstance(filtered, Filtered) else Filtered(filtered)]),
        *([cache] if cache is not None else []),
        Deadline(),
        Complete(),
        Resume(on_interrupt),
        *([fallback] if fallback is not None else []),
        owner if owner is not None else Retry(),
        *([] if max_cost is None else [max_cost if isinstance(max_cost, MaxCost) else MaxCost(max_cost)]),
        *([GeographicProfile(profiles)] if profiles is not None else []),
        Breaker(),
        quota if quota is not None else Quota(),
    )


def one_owner(quota: Quota | None, pipeline: Pipeline | None) -> None:
    """Raise `ValueError` when both are given, since the quota would have no place in the pipeline, or for another
    object than these.
    """
    for name, value, kind in (("quota", quota, Quota), ("pipeline", pipeline, Pipeline)):
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name}={shown(value)}: give a {kind.__name__}")
    if quota is not None and pipeline is not None:
        raise ValueError(
            "pass either quota= or pipeline=; a pipeline contains its own quota: Pipeline(..., Quota(rpm=..., tpm=...))"
        )
