"""One concern around a call in each file; `standard` is the pipeline a client has when it is given none."""

from __future__ import annotations

from aws_bedrock_inference.flow import Pipeline
from aws_bedrock_inference.policies.breaker import Breaker
from aws_bedrock_inference.policies.deadline import Deadline
from aws_bedrock_inference.policies.quota import Quota
from aws_bedrock_inference.policies.retry import Retry

__all__ = ["Breaker", "Deadline", "Quota", "Retry", "standard"]


def standard(quota: Quota | None = None) -> Pipeline:
    """Return the recommended pipeline: every attempt passes the circuit and pays quota, the deadline covers them
    all.
    """
    return Pipeline(Deadline(), Retry(), Breaker(), quota if quota is not None else Quota())
