"""Build the recommended pipeline. A pipeline is a chain of policies, and each policy in this package handles one
concern, such as retries or the quota. A client without `pipeline=` uses the function `standard`.
"""

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
    """Return the recommended pipeline. Each attempt passes the circuit breaker and the quota. The deadline covers all
    attempts together.

    * `quota`: the account's `Quota`. Without this argument, the pipeline uses `Quota()`. It has no configured limits,
      and learns the limits from throttles.
    * `cache`: a `Cache`, which answers a repeated request from its store, without a request to the service. Without a
      `Cache`, no answer is stored.
    * `filtered`, default `return`: what the caller receives if content was filtered. `return` delivers the answer as
      the service sent it, `raise` raises an exception, and any other text replaces the answer (see `Filtered`).
    * `degrade`: a `Degrade`, which returns a substitute if everything else has failed. Without it, the exception is
      raised.
    * `on_interrupt`, default `raise`: what happens if a stream breaks after its first content. A call can override it
      (see `Resume`).
    * `retry`: replaces the recommended `Retry()`. With `"outside"`, the client sends each call once (see below).
    * `fallback`: a `Fallback`, which sends a call to another model, Region or account if the requested one cannot
      answer.
    * `dead_letters`: a `DeadLetter`, which stores each call that has failed permanently, so that you can send it
      again. It stores the call even if `degrade` returns a substitute.
    * `profiles`: a `Models`. A model that does not accept on-demand calls is then called through the inference
      profile of its geography (see `GeographicProfile`). Another Region can answer such a call. Without `profiles`,
      the service's error is raised.
    * `max_cost`: the maximum cost of all calls together, in US dollars (see `MaxCost`).
    * `request_metadata`: a `RequestMetadata`, which sends the caller's context with each call.

    `retry="outside"` is for programs in which another component retries and waits, such as a workflow engine or a task
    queue. The exception has two attributes for that component. `decision` states whether the same request can succeed
    in a retry. `retry_after` is the number of seconds to wait first, or None if no wait is known.

    If the quota refused a call, `decision` is always FAIL, even if the call can succeed later. For such a call, check
    `retry_after` instead: if it is set, the component can send the call again after this wait.

    The function `load` reads the same options from a file. Raises `ValueError` for an option of the wrong type.
    """
    if quota is not None and not isinstance(quota, Quota):
        raise ValueError(
            f"standard({shown(quota)}): the first argument must be a Quota, such as Quota(rpm=500); pass all other "
            "options by name"
        )
    if retry is not None and retry != "outside" and not isinstance(retry, Retry):
        raise ValueError(
            f"standard(retry={shown(retry)}): pass a Retry, such as Retry(attempts=3), or 'outside' to send each call "
            "only once"
        )
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
    """Raise `ValueError` if both `quota` and `pipeline` are passed to a client, because the pipeline already contains a
    quota. Also raise `ValueError` if `quota` or `pipeline` has the wrong type.
    """
    for name, value, kind in (("quota", quota, Quota), ("pipeline", pipeline, Pipeline)):
        if value is not None and not isinstance(value, kind):
            raise ValueError(f"{name}={shown(value)}: pass a {kind.__name__}")
    if quota is not None and pipeline is not None:
        raise ValueError(
            "pass either quota= or pipeline=, because a pipeline contains its own quota: "
            "Pipeline(..., Quota(rpm=..., tpm=...))"
        )
