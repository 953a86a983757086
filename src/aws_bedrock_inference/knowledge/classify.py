"""From what the wire showed to a `Fault`: the code's entry in the data files, refined by its message.

The data files are read at the first fault, not at import.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from aws_bedrock_inference.fault import Category, Decision, Fault, Hint, Kind

_SERVICE = "bedrock_runtime.toml"
_CLIENT = "client.toml"


def answered(
    code: str,
    message: str,
    *,
    status: int | None,
    request_id: str | None = None,
    retry_after: float | None = None,
    suggested_wait: float | None = None,
    response: dict[str, Any] | None = None,
) -> Fault:
    """Return the fault behind an error answer of the service, or an exception inside its stream.

    `code` may be in the lower-camel spelling of stream events; without a known code the HTTP `status` decides, and a
    code that nothing knows is RETRY_LIMITED. `retry_after` (`Retry-After`) and `suggested_wait` (`x-amz-retry-after`)
    are in seconds.
    """
    code = code[:1].upper() + code[1:] if code.endswith(("Exception", "Error")) else code
    codes, statuses = _entries(_SERVICE)
    entry = codes.get(code) or (statuses.get(status) if status is not None else None)
    template = _refined(entry, message) if entry else Fault(code=code, message="", advice="Unknown to this version.")
    return replace(
        template,
        code=code or f"HTTP {status}",
        message=message,
        status=status,
        request_id=request_id,
        retry_after=retry_after,
        suggested_wait=suggested_wait,
        response=response if response is not None else {"Error": {"Code": code, "Message": message}},
    )


def unanswered(error: BaseException | None, *, code: str, message: str) -> Fault:
    """Return the fault behind a failure on our side of the wire; `code` is botocore's name for it where there is
    one.
    """
    codes, _ = _entries(_CLIENT)
    entry = codes.get(code)
    template = _refined(entry, message) if entry else Fault(code=code, message="")
    return replace(template, code=code, message=message, error=error)


@cache
def _entries(name: str) -> tuple[dict[str, dict[str, Any]], dict[int, dict[str, Any]]]:
    data = tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
    by_code = {code: entry for entry in data["fault"] for code in entry["codes"]}
    by_status = {status: entry for entry in data["fault"] for status in entry.get("statuses", ())}
    return by_code, by_status


def _refined(entry: dict[str, Any], message: str) -> Fault:
    text = message.lower()
    for rule in entry.get("message", ()):
        if any(part in text for part in rule["contains"]):
            return _template({**entry, **rule, "hint": {**entry.get("hint", {}), **rule.get("hint", {})}})
    return _template(entry)


def _template(entry: dict[str, Any]) -> Fault:
    decision = Decision(entry["decision"])
    return Fault(
        code="",
        message="",
        kind=Kind(entry["kind"]),
        decision=decision,
        category=Category(entry["category"]),
        cause=entry["cause"],
        advice=entry["advice"],
        hint=Hint(**entry.get("hint", {} if decision is Decision.RETRY else {"attempts": 2})),
        unhealthy=entry.get("unhealthy", False),
        reached=entry.get("reached", True),
        limit=entry.get("limit"),
    )
