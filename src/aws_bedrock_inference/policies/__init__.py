"""The policies, one concern in each file. `standard` is the default pipeline of a client."""

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
    """Return the recommended pipeline. Each attempt passes the circuit breaker and the quota; the deadline covers all
    attempts.

    `cache` answers a repeated request from its store, and then none of the other policies is used. Without `cache` no
    answer is stored. `filtered` decides how filtered content is handled: `return` it as it is, `raise`, or a message
    that replaces it (see `Filtered`). `degrade` provides a substitute if everything else has failed; without it the
    exception is raised. `fallback` moves a call to another model, Region or account if its own route cannot answer it.
    `dead_letters` stores each call that has failed permanently, so that it can be sent again; it does so even if a
    substitute is then returned. `on_interrupt` decides what happens if a stream breaks after its first content; a call
    can override it (see `Resume`). `load` reads the same options from a file.

    `retry` replaces the recommended `Retry()`. With `"outside"` a call is sent once, because another component owns
    the retries and their waits, such as a workflow engine or a task queue. The exception then contains two fields for
    that component. `retry_after` is the number of seconds to wait, or None if no wait is known. `decision` states
    whether a retry makes sense. An exception with the decision FAIL and a `retry_after` was refused by the quota,
    which has room after that time.

    `profiles` adds `GeographicProfile(profiles)`: a model that does not accept on-demand calls is called through the
    inference profile of its geography. Without it the service's error is raised, because another Region may answer
    calls through a profile.

    `max_cost` is the limit for the cost of all calls together, in US dollars (see `MaxCost`). `request_metadata` sends
    the caller's context with each call (see `RequestMetadata`).
    """
    if quota is not None and not isinstance(quota, Quota):
        raise ValueError(
            f"standard({shown(quota)}): pass a Quota, such as Quota(rpm=500), and all other options by name"
        )
    if retry is not None and retry != "outside" and not isinstance(retry, Retry):
        raise ValueError(f"standard(retry={shown(retry)}): pass a Retry, or 'outside' to send each call once")
    for name, value, kind, example in (
        ("cache", cache, Cache, "Cache('sqlite:///path/answers.db')"),
        ("degrade", degrade, Degrade, "Degrade('Busy, try later')"),
        ("dead_letters", dead_letters, DeadLetter, "DeadLetter('sqlite:///path/dead.db')"),
        ("request_metadata", request_metadata, RequestMetadata, "RequestMetadata('team')"),
        ("fallback", fallback, Fallback, "Fallback('another-model-id')"),
    ):
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"standard({name}={shown(value)}): pass a {kind.__name__}, such as {example}")
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
    """Raise `ValueError` if both are set, because the quota would have no place in the pipeline, or if one has the
    wrong type.
    """
    for name, value, kind in (("quota", quota, Quota), ("pipeline", pipeline, Pipeline)):
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name}={shown(value)}: pass a {kind.__name__}")
    if quota is not None and pipeline is not None:
        raise ValueError(
            "pass either quota= or pipeline=, because a pipeline contains its own quota: "
            "Pipeline(..., Quota(rpm=..., tpm=...))"
        )
