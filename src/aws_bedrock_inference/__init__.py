"""Call Amazon Bedrock, or AWS through boto3, with retries, quota control and explained errors.

    from aws_bedrock_inference import BedrockClient, Quota

    client = BedrockClient("anthropic.claude-3-sonnet-20240229-v1:0", quota=Quota(rpm=500, tpm=200_000))
    print(client.invoke("Why is the sky blue?", max_tokens=400).text)

Names are loaded on first use, so importing the package loads neither boto3 nor aiohttp.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_bedrock_inference.accounts.roles import AssumedRole
    from aws_bedrock_inference.batch.batch_run import AsyncBatchRun, BatchRun, BatchStopped
    from aws_bedrock_inference.call import Call, Outcome, Route, Timeout, Usage
    from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
    from aws_bedrock_inference.clients.client import BedrockClient, BedrockStreamingClient
    from aws_bedrock_inference.clients.reply import Reply
    from aws_bedrock_inference.compat import (
        CircuitBreaker,
        CircuitBreakerOpenError,
        TokenBucket,
        calculate_backoff,
        create_job_with_retry,
        exponential_backoff_retry,
        handle_aws_error,
        invoke_with_retry,
        is_recoverable_error,
        retry_with_exponential_backoff,
        retry_with_jitter,
        safe_invoke,
        stream_with_retry,
        wait_for_job_with_adaptive_polling,
    )
    from aws_bedrock_inference.contexts import context
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.doctor.diagnosis import diagnose
    from aws_bedrock_inference.exceptions import (
        AnswerIncomplete,
        BedrockError,
        BudgetExhausted,
        CircuitOpen,
        ClientClosed,
        ContentFilteredError,
        DeadlineTooClose,
        Denied,
        InvalidByService,
        InvalidRequest,
        ModelFailed,
        NotFound,
        NotReady,
        Overloaded,
        PriceUnknown,
        QueueFull,
        QuotaExhausted,
        Refused,
        ServerFailed,
        ServiceFault,
        StreamBroken,
        Throttled,
        TimedOut,
        Unreachable,
    )
    from aws_bedrock_inference.fault import Category, Decision, Fault, Origin
    from aws_bedrock_inference.flow import Pipeline
    from aws_bedrock_inference.foundation.models import Models
    from aws_bedrock_inference.foundation.resolving import NotResolvable
    from aws_bedrock_inference.jobs.aclient import AsyncBedrockJobClient
    from aws_bedrock_inference.jobs.client import BedrockJobClient
    from aws_bedrock_inference.jobs.values import JobFailed
    from aws_bedrock_inference.knowledge.classify import classify
    from aws_bedrock_inference.knowledge.explain import Explanation, explain
    from aws_bedrock_inference.knowledge.models import ModelArn
    from aws_bedrock_inference.made import FilteredContent, Hop, Interrupted, Replaced, Seam
    from aws_bedrock_inference.policies import (
        Breaker,
        Cache,
        Complete,
        DeadLetter,
        Deadline,
        Degrade,
        Fallback,
        Filtered,
        GeographicProfile,
        MaxCost,
        Quota,
        RequestMetadata,
        Resume,
        Retry,
        Target,
        standard,
    )
    from aws_bedrock_inference.policies.config import load
    from aws_bedrock_inference.pricing import Rates, rates_of
    from aws_bedrock_inference.resilience.functions import attempts
    from aws_bedrock_inference.resilience.wrap import resilient
    from aws_bedrock_inference.telemetry.alerts import Alert, Alerts, Sns, Webhook
    from aws_bedrock_inference.telemetry.logs import log_bedrock_error, setup_structured_logging
    from aws_bedrock_inference.telemetry.observing import observe

__version__ = "0.1.0"

_HOMES = {
    "accounts.roles": ("AssumedRole",),
    "batch.batch_run": ("AsyncBatchRun", "BatchRun", "BatchStopped"),
    "call": ("Call", "Outcome", "Route", "Timeout", "Usage"),
    "clients.aclient": ("AsyncBedrockClient",),
    "clients.client": ("BedrockClient", "BedrockStreamingClient"),
    "compat": (
        "CircuitBreaker",
        "CircuitBreakerOpenError",
        "TokenBucket",
        "calculate_backoff",
        "create_job_with_retry",
        "exponential_backoff_retry",
        "handle_aws_error",
        "invoke_with_retry",
        "is_recoverable_error",
        "retry_with_exponential_backoff",
        "retry_with_jitter",
        "safe_invoke",
        "stream_with_retry",
        "wait_for_job_with_adaptive_polling",
    ),
    "contexts": ("context",),
    "deadletters.queue": ("DeadLetterQueue",),
    "resilience.functions": ("attempts",),
    "clients.reply": ("Reply",),
    "resilience.wrap": ("resilient",),
    "exceptions": (
        "AnswerIncomplete",
        "BedrockError",
        "BudgetExhausted",
        "CircuitOpen",
        "ClientClosed",
        "ContentFilteredError",
        "DeadlineTooClose",
        "Denied",
        "InvalidByService",
        "InvalidRequest",
        "ModelFailed",
        "NotFound",
        "NotReady",
        "Overloaded",
        "PriceUnknown",
        "QueueFull",
        "QuotaExhausted",
        "Refused",
        "ServerFailed",
        "ServiceFault",
        "StreamBroken",
        "Throttled",
        "TimedOut",
        "Unreachable",
    ),
    "fault": ("Category", "Decision", "Fault", "Origin"),
    "flow": ("Pipeline",),
    "doctor.diagnosis": ("diagnose",),
    "foundation.models": ("Models",),
    "foundation.resolving": ("NotResolvable",),
    "jobs.aclient": ("AsyncBedrockJobClient",),
    "jobs.client": ("BedrockJobClient",),
    "jobs.values": ("JobFailed",),
    "knowledge.classify": ("classify",),
    "knowledge.explain": ("Explanation", "explain"),
    "knowledge.models": ("ModelArn",),
    "made": ("FilteredContent", "Hop", "Interrupted", "Replaced", "Seam"),
    "policies.config": ("load",),
    "policies": (
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
        "standard",
    ),
    "pricing": ("Rates", "rates_of"),
    "telemetry.alerts": ("Alert", "Alerts", "Sns", "Webhook"),
    "telemetry.logs": ("log_bedrock_error", "setup_structured_logging"),
    "telemetry.observing": ("observe",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Alert",
    "Alerts",
    "AnswerIncomplete",
    "AssumedRole",
    "AsyncBatchRun",
    "AsyncBedrockClient",
    "AsyncBedrockJobClient",
    "BatchRun",
    "BatchStopped",
    "BedrockClient",
    "BedrockError",
    "BedrockJobClient",
    "BedrockStreamingClient",
    "Breaker",
    "BudgetExhausted",
    "Cache",
    "Call",
    "Category",
    "CircuitBreaker",
    "CircuitBreakerOpenError",
    "CircuitOpen",
    "ClientClosed",
    "Complete",
    "ContentFilteredError",
    "DeadLetter",
    "DeadLetterQueue",
    "Deadline",
    "DeadlineTooClose",
    "Decision",
    "Degrade",
    "Denied",
    "Explanation",
    "Fallback",
    "Fault",
    "Filtered",
    "FilteredContent",
    "GeographicProfile",
    "Hop",
    "Interrupted",
    "InvalidByService",
    "InvalidRequest",
    "JobFailed",
    "MaxCost",
    "ModelArn",
    "ModelFailed",
    "Models",
    "NotFound",
    "NotReady",
    "NotResolvable",
    "Origin",
    "Outcome",
    "Overloaded",
    "Pipeline",
    "PriceUnknown",
    "QueueFull",
    "Quota",
    "QuotaExhausted",
    "Rates",
    "Refused",
    "Replaced",
    "Reply",
    "RequestMetadata",
    "Resume",
    "Retry",
    "Route",
    "Seam",
    "ServerFailed",
    "ServiceFault",
    "Sns",
    "StreamBroken",
    "Target",
    "Throttled",
    "TimedOut",
    "Timeout",
    "TokenBucket",
    "Unreachable",
    "Usage",
    "Webhook",
    "__version__",
    "attempts",
    "calculate_backoff",
    "classify",
    "context",
    "create_job_with_retry",
    "diagnose",
    "explain",
    "exponential_backoff_retry",
    "handle_aws_error",
    "invoke_with_retry",
    "is_recoverable_error",
    "load",
    "log_bedrock_error",
    "observe",
    "rates_of",
    "resilient",
    "retry_with_exponential_backoff",
    "retry_with_jitter",
    "safe_invoke",
    "setup_structured_logging",
    "standard",
    "stream_with_retry",
    "wait_for_job_with_adaptive_polling",
]


if not TYPE_CHECKING:  # type checkers read the imports above, and so find a misspelt name

    def __getattr__(name: str) -> Any:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
