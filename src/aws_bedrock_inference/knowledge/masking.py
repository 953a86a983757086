"""Takes secrets and account numbers out of a text before it is shown, stored or sent on."""

from __future__ import annotations

import re

_MASKS = (
    (re.compile(r"\b((?:A3T|AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA)[A-Z0-9])[A-Z0-9]{12,}"), r"\1***"),
    (re.compile(r"\bABSK[A-Za-z0-9+/=_-]{16,}"), "ABSK***"),
    (
        re.compile(
            r"((?:aws_?secret_?access_?key|secret_?key|aws_?session_?token|session_?token|x-amz-security-token|password"
            r"|api_?key|aws_bearer_token_bedrock)[\"']?\s{0,3}[:=]\s{0,3}[\"']?)[^\s\"',;&}]{4,}",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
    (re.compile(r"(bearer\s{1,3})[A-Za-z0-9._~+/=-]{12,}", re.IGNORECASE), r"\1***"),
    (re.compile(r"((?:x-amz-)?signature=)[A-Fa-f0-9]{16,}", re.IGNORECASE), r"\1***"),
    (re.compile(r"(?<![\w.-])\d{12}(?![\w.-])"), "************"),
)


def masked(text: str) -> str:
    """Return the text with access keys, secrets, tokens, signatures and account ids masked."""
    for pattern, replacement in _MASKS:
        text = pattern.sub(replacement, text)
    return text
