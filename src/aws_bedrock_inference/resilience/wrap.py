"""`resilient`: add this package's policies to a boto3 client or a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from botocore.client import BaseClient

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.resilience.boto3_client import guarded
from aws_bedrock_inference.resilience.functions import guarded_function
from aws_bedrock_inference.resilience.runtime import Guard
from aws_bedrock_inference.resilience.targets import guard_target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Pipeline
    from aws_bedrock_inference.listeners import Listener
    from aws_bedrock_inference.policies import Quota

T = TypeVar("T")


@overload
def resilient(
    target: T,
    *,
    pipeline: Pipeline | None = ...,
    quota: Quota | None = ...,
    timeout: float | None = ...,
    safe: Collection[str] = ...,
    listener: Listener | None = ...,
    clock: Clock = ...,
    sleep: Callable[[float], Any] | None = ...,
) -> T: ...


@overload
def resilient(
    target: None = None,
    *,
    pipeline: Pipeline | None = ...,
    quota: Quota | None = ...,
    timeout: float | None = ...,
    safe: Collection[str] = ...,
    listener: Listener | None = ...,
    clock: Clock = ...,
    sleep: Callable[[float], Any] | None = ...,
) -> Callable[[T], T]: ...


def resilient(
    target: Any = None,
    *,
    pipeline: Pipeline | None = None,
    quota: Quota | None = None,
    timeout: float | None = None,
    safe: Collection[str] = (),
    listener: Listener | None = None,
    clock: Clock = clocks.monotonic,
    sleep: Callable[[float], Any] | None = None,
) -> Any:
    """Return a boto3 client or a function whose calls have retries, a deadline and a circuit breaker.

    The returned client keeps its API: operations, paginators, waiters, `meta`, `exceptions`, `isinstance`. botocore's
    own retries are switched off. The error catalogue decides for each service which errors are retried, and how. If the
    service may already have executed a write, the write is retried only if the service makes the repetition safe. A
    failed call raises botocore's own exception, with `fault`, `outcome` and notes attached.

    Functions and coroutine functions get the same policies. Without `target`, the result is a decorator. A target whose
    calls cannot be retried, such as a class or a generator function, raises `TypeError`. If `target` is itself a result
    of `resilient`, the new policies replace its previous policies.

    * `pipeline`: replaces the recommended policies, whose deadline is 300 seconds.
    * `quota`: adds a `Quota`. Its `rpm` limits the requests.
    * `timeout`: the maximum number of seconds of a call, including waits and retries. An attempt in flight is not
      interrupted.
    * `safe`: names of operations of a client that can always be retried.
    * `listener`: a function that is called with every event.
    * `clock`, `sleep`: replace the clock and the sleep function. For a coroutine function, `sleep` is a coroutine
      function.
    """
    guard = Guard(pipeline=pipeline, quota=quota, timeout=timeout, listener=listener, clock=clock, sleep=sleep)

    def around(subject: Any) -> Any:
        if isinstance(subject, BaseClient):
            return guarded(subject, guard, safe)
        if isinstance(subject, (staticmethod, classmethod)):
            return type(subject)(around(subject.__func__))
        function = guard_target(subject)
        if safe:
            raise ValueError(
                "safe= names operations of a boto3 client, but a function was passed. Omit safe=; a function is always "
                "assumed to be safe to retry"
            )
        return guarded_function(function, guard)

    return around if target is None else around(target)
