"""Find details that some errors state in addition to their code: the principal, action and resource of a denied
request, the reasons of a cancelled transaction, the Region of a bucket.
"""

from __future__ import annotations

import re
from typing import Any

from aws_bedrock_inference.knowledge.masking import masked

_REQUEST_ID = re.compile(r"(?<!extended )request ?id[\"']?[:=]? ?[\"']?([0-9a-z-]{16,72})", re.IGNORECASE)
# For each field, the lower-case words without which its pattern cannot match, and the pattern. Searching for the words
# is much faster.
_PATTERNS: dict[str, tuple[tuple[str, ...], re.Pattern[str]]] = {
    "principal": (("user: arn:",), re.compile(r"user: (arn:[^\s\"']{1,300})", re.IGNORECASE)),
    "action": (
        ("not authorized to perform",),
        re.compile(r"not authorized to perform:? ?([a-z0-9-]{2,30}:[\w*]{1,80})", re.IGNORECASE),
    ),
    "resource": (
        ("on resource",),
        re.compile(r"\bon resource(?:: ?| (?=[\"']?arn:))[\"']?([^\s\"'\\]{1,300})", re.IGNORECASE),
    ),
    "request_id": (
        ("request id", "requestid"),
        _REQUEST_ID,
    ),
    "model_limit": (("model limit of",), re.compile(r"model limit of (\d{1,9})", re.IGNORECASE)),
    "timeout_seconds": (
        ("task timed out after",),
        re.compile(r"task timed out after (\d{1,4}(?:\.\d{1,3})?) seconds", re.IGNORECASE),
    ),
    "missing_module": (
        ("no module named", "cannot find module"),
        re.compile(r"(?:no module named|cannot find module) ['\"]([\w./@-]{1,120})['\"]", re.IGNORECASE),
    ),
    "bucket_region": (
        ("expecting", "x-amz-bucket-region", "<region>"),
        re.compile(r"(?:expecting|x-amz-bucket-region[\"']?:?|<region>) ?['\"]?([a-z]{2}(?:-[a-z]+){1,2}-\d)"),
    ),
    "endpoint": (("<endpoint>",), re.compile(r"<endpoint>([\w.-]{1,255})</endpoint>", re.IGNORECASE)),
}
_REASONS = re.compile(r"specific reasons:? ?\[([\w, .]{1,600})")


def details(text: str) -> dict[str, Any]:
    """Return the details that an error's text states, such as `{"action": "s3:GetObject"}`. Secrets and account ids
    in the values are masked.
    """
    text = " ".join(text.split())
    found: dict[str, Any] = {}
    low = text.lower()
    for name, (hints, pattern) in _PATTERNS.items():
        match = pattern.search(text) if any(hint in low for hint in hints) else None
        if match:
            found[name] = masked(match.group(1).rstrip(".,;)"), accounts=True)
    others = dict.fromkeys(masked(each, accounts=True) for each in _REQUEST_ID.findall(text) if "request_id" in found)
    if len(others) > 1:
        found["request_ids"] = list(others)
    reasons = _REASONS.search(text)
    if reasons:
        listed = masked(reasons.group(1), accounts=True).split(",")
        found["reasons"] = [reason.strip() for reason in listed if reason.strip(" .")]
    return found
