"""The scenarios of bench/faults.py: the faults that the simulated service applies to one call or to several calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fault_protocol import HOME, MODEL, NEXT

BASE = MODEL.removeprefix("us.")
MISSPELT = "us.anthropic.claude-haiku-4-5-20251010-v1:0"

_PROFILES = {
    "foundation": [{"id": BASE, "name": "Claude Haiku 4.5", "on_demand": False}],
    "profiles": [{"id": MODEL, "model": BASE, "regions": [HOME, NEXT]}],
}


@dataclass(frozen=True)
class Scenario:
    """A scenario: its name, the kind of call, and the faults of the simulated service.

    All faults occur in the first Region, except faults of the request itself.
    """

    name: str
    ask: str
    faults: list[dict[str, Any]] = field(default_factory=list)
    model: str = MODEL
    calls: int = 1
    options: dict[str, Any] = field(default_factory=dict)


def _in_home(kind: str, first: int | None = 1, **more: Any) -> list[dict[str, Any]]:
    return [{"kind": kind, "region": HOME} | ({} if first is None else {"first": first}) | more]


def _error(code: str, first: int | None = 1, **more: Any) -> list[dict[str, Any]]:
    return _in_home("error", first, code=code, **more)


def _exception(code: str, after: int) -> list[dict[str, Any]]:
    return _in_home("exception", code=code, after=after)


_UNAVAILABLE, _THROTTLED = "ServiceUnavailableException", "ThrottlingException"
_TEXT, _INPUT, _END = 9, 5, 999  # events after which a stream breaks: in the text, in the tool's input, at its end
_RETIRED = "This model version has reached the end of its life. Please refer to the AWS documentation for more details."
_DENIED = (
    "User: arn:aws:sts::123456789012:assumed-role/app/i-0 is not authorized to perform: bedrock:InvokeModel on "
    "resource: arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude because no identity-based policy allows "
    "the bedrock:InvokeModel action"
)
_INVALID = "The provided model identifier is invalid."
_FORM = "Model use case details have not been submitted for this account. Fill out the use case form first."

BEFORE = [
    Scenario("no fault", "whole"),
    Scenario("throttled once", "whole", _in_home("throttle")),
    Scenario("throttled six times", "whole", _in_home("throttle", 6)),
    Scenario("day's tokens exhausted", "whole", _in_home("throttle", None, limit="tokens-per-day")),
    Scenario("503 three times", "whole", _error(_UNAVAILABLE, 3)),
    Scenario("500 twice", "whole", _error("InternalServerException", 2)),
    Scenario("424 model error once", "whole", _error("ModelErrorException")),
    Scenario("408 model timeout once", "whole", _error("ModelTimeoutException")),
    Scenario("model not ready for 20 s", "whole", _in_home("not-ready", None, seconds=20)),
    Scenario("reset before the answer", "whole", _in_home("reset")),
    Scenario("connections refused for 3 s", "whole", [{"kind": "refused", "until": 3}]),
    Scenario("answer is broken JSON", "whole", _in_home("malformed")),
    Scenario("complete answer after 90 s", "whole", _in_home("stall", None, seconds=90)),
    Scenario("silence of 200 s before the answer", "whole", _in_home("stall", seconds=200)),
    Scenario("invalid request", "whole", [{"kind": "error", "code": "ValidationException"}]),
]

REGION = [
    Scenario("Region out for 20 s", "whole", _in_home("outage", None, until=20)),
    Scenario("500s for 20 s", "whole", _error("InternalServerException", None, until=20)),
    Scenario("resets for 20 s", "whole", _in_home("reset", None, until=20)),
    Scenario("no connections to both Regions for 20 s", "whole", [{"kind": "refused", "until": 20}]),
    Scenario("both Regions out for 20 s", "whole", [{"kind": "outage", "until": 20}]),
    Scenario("Region out permanently", "whole", _in_home("outage", None)),
    Scenario("half of a Region's requests fail, 20 calls", "whole", _error(_UNAVAILABLE, None, rate=0.5), calls=20),
    Scenario("Region hangs permanently", "whole", _in_home("stall", None)),
    Scenario("Region hangs permanently, stream", "stream", _in_home("stall", None, after=1)),
    Scenario("Region cuts every stream", "stream", _in_home("truncate", None, after=_TEXT)),
    Scenario("Region cuts half of its streams, 20 calls", "stream",
             _in_home("truncate", None, after=_TEXT, rate=0.5), calls=20),
]  # fmt: skip

ACCESS = [
    Scenario("access pending for 20 s", "whole", _in_home("access-pending", None, seconds=20)),
    Scenario("model access not granted", "whole", _error("AccessDeniedException", None)),
    Scenario("denied by IAM", "whole", [{"kind": "error", "code": "AccessDeniedException", "message": _DENIED}]),
    Scenario("use-case form missing", "whole", _error("ResourceNotFoundException", None, message=_FORM)),
    Scenario("wrong model id", "whole",
             [{"kind": "error", "code": "ValidationException", "message": _INVALID, "model": MISSPELT}],
             model=MISSPELT),
    Scenario("model at its end of life", "whole", _error("ResourceNotFoundException", None, message=_RETIRED)),
    Scenario("data-retention mode refused", "whole", _error(
        "ValidationException", None, message="data retention mode 'default' is not available for this model"
    )),
    Scenario("on-demand calls not supported", "whole", model=BASE, options=_PROFILES),
]  # fmt: skip

STREAMS = [
    Scenario("503 twice before the stream", "stream", _error(_UNAVAILABLE, 2)),
    Scenario("throttle as its first frame", "stream", _exception(_THROTTLED, 0)),
    Scenario("empty stream", "stream", _in_home("truncate", after=0)),
    Scenario("cut before content", "stream", _in_home("truncate", after=1)),
    Scenario("opens and stays empty", "stream", _in_home("stall", after=1)),
    Scenario("first content after 90 s", "stream", _in_home("stall", None, after=1, seconds=90)),
    Scenario("cut in the text", "stream", _in_home("truncate", after=_TEXT)),
    Scenario("reset in the text", "stream", _in_home("reset", after=_TEXT)),
    Scenario("model error in the text", "stream", _exception("ModelStreamErrorException", _TEXT)),
    Scenario("throttle in the text", "stream", _exception(_THROTTLED, _TEXT)),
    Scenario("500 in the text", "stream", _exception("InternalServerException", _TEXT)),
    Scenario("503 in the text", "stream", _exception(_UNAVAILABLE, _TEXT)),
    Scenario("damaged frame in the text", "stream", _in_home("malformed")),
    Scenario("silent in the text", "stream", _in_home("stall", after=_TEXT)),
    Scenario("cut after the last word", "stream", _in_home("truncate", after=_END)),
    Scenario("reset after the last word", "stream", _in_home("reset", after=_END)),
    Scenario("model error after the last word", "stream", _exception("ModelStreamErrorException", _END)),
    Scenario("cut in a tool's input", "tool", _in_home("truncate", after=_INPUT)),
    Scenario("throttle in a tool's input", "tool", _exception(_THROTTLED, _INPUT)),
    Scenario("150 s silent in a tool's input", "tool", _in_home("stall", after=_INPUT, seconds=150)),
    Scenario("permanent silence in a tool's input", "tool", _in_home("stall", after=_INPUT)),
    Scenario("cut after a tool's input", "tool", _in_home("truncate", after=_END)),
]

FILTERS = [
    Scenario("content filtered", "whole", [{"kind": "content-filtered"}]),
    Scenario("content filtered, stream", "stream", [{"kind": "content-filtered"}]),
    Scenario("guardrail intervened, stream", "stream", [{"kind": "guardrail"}]),
]

GROUPS = {
    "Before an answer": BEFORE,
    "A Region": REGION,
    "Models and access": ACCESS,
    "Streams": STREAMS,
    "Filters": FILTERS,
}
