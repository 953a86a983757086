"""Functions and classes with the names that AWS's troubleshooting pages use, built on this package's rules.

Programs that were written for those pages run unchanged, but without the race conditions of the original code. Threads
that wait for tokens are served in order of arrival. Only one call at a time tests an open circuit, and a late answer of
an old call cannot close the circuit. If a client of this package has already retried a call, `compat` does not retry
it.
"""

from aws_bedrock_inference.compat.breaker import BreakerState, CircuitBreaker, CircuitBreakerOpenError
from aws_bedrock_inference.compat.bucket import TokenBucket
from aws_bedrock_inference.compat.errors import handle_aws_error, is_recoverable_error
from aws_bedrock_inference.compat.invoking import invoke_with_retry, safe_invoke, stream_with_retry
from aws_bedrock_inference.compat.jobs import create_job_with_retry, wait_for_job_with_adaptive_polling
from aws_bedrock_inference.compat.retries import (
    calculate_backoff,
    exponential_backoff_retry,
    retry_with_exponential_backoff,
    retry_with_jitter,
)

__all__ = [
    "BreakerState",
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
]
