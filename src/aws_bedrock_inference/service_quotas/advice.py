"""Write advice about an error of Service Quotas or CloudWatch. The advice names permissions only if permissions are
missing.
"""

from __future__ import annotations

from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.knowledge.classify import classify


def advice_for(error: Exception, permissions: str) -> str:
    """Return what the user can do about `error`. `permissions` are the permissions that the failed request needs."""
    fault = classify(error)
    if fault.kind is Kind.TIMED_OUT:
        return "Check the network, the Region, the proxy and the endpoint URL."
    if fault.kind is Kind.DENIED and "denied" not in fault.cause:
        return f"{fault.advice} The permissions needed are {permissions}."
    if fault.kind in (Kind.UNREACHABLE, Kind.THROTTLED, Kind.SERVER, Kind.NOT_READY):
        return fault.advice
    return f"Allow {permissions}."
