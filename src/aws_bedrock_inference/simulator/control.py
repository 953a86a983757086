"""The simulator's own pages below `/_simulator/`. Through these pages, a program reads the statistics, loads a
scenario, or advances the clock.

A request that a web page sends from a browser is refused, so that a web page cannot control the simulator. The
simulator recognizes such a request by one of these properties:

* It has the header `Origin`, which browsers add.
* Its `Content-Type` is neither JSON nor TOML. A web page cannot send these two types, because its browser first sends
  a preflight request, which the simulator refuses.
* Its header `Host` names neither this machine, such as `localhost`, nor the address of the simulator.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Protocol

from aws_bedrock_inference.simulator import plan, scenario, strict
from aws_bedrock_inference.simulator.error_texts import ServiceError

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.plan import Plan
    from aws_bedrock_inference.simulator.request import Request
    from aws_bedrock_inference.simulator.settings import Scenario

PREFIX = "/_simulator/"
_LONGEST_SKIP = 1e8  # seconds, about three years
_TYPES = ("application/json", "application/toml")


class Desk(Protocol):
    """The functions of the server that the pages below `/_simulator/` call."""

    def report(self) -> dict[str, Any]:
        """Return the simulator's counts of requests and tokens."""

    def load(self, scenario: Scenario) -> None:
        """Start the simulation again with `scenario`."""

    def skip(self, seconds: float) -> None:
        """Advance the clock of the simulator by `seconds`."""


def answer(request: Request, bound: str, desk: Desk) -> Plan:
    """Return the answer to a request for a page below `/_simulator/`. `bound` is the address on which the simulator
    listens.
    """
    try:
        _refuse_browsers(request, bound)
        match request.method, request.path:
            case "GET", "/_simulator/stats":
                return plan.report(desk.report())
            case "POST", "/_simulator/scenario":
                desk.load(scenario.read(_tables(request)))
                return plan.report({"loaded": True})
            case "POST", "/_simulator/clock":
                desk.skip(_seconds(_tables(request)))
                return plan.report({"skipped": True})
    except scenario.ScenarioError as error:
        return plan.refusal(ServiceError("ValidationException", str(error)))
    except ServiceError as error:
        return plan.refusal(error)
    return plan.refusal(
        ServiceError("UnknownOperationException", "unknown page; use GET stats, POST scenario or POST clock")
    )


def _refuse_browsers(request: Request, bound: str) -> None:
    if "origin" in request.headers:
        raise ServiceError(
            "AccessDeniedException",
            "the simulator's control API refuses requests from web pages; send no Origin header",
        )
    host = request.headers.get("host", "")
    if not _is_this_machine(host, bound):
        raise ServiceError(
            "AccessDeniedException",
            f"the Host header {host!r:.80} does not name this machine; send the request to {bound} or localhost",
        )


def _is_this_machine(host: str, bound: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address, own = ipaddress.ip_address(name), ipaddress.ip_address(bound)
    except ValueError:
        return name == bound
    return address.is_loopback or address == own or own.is_unspecified


def _tables(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise ServiceError(
            "UnsupportedMediaTypeException",
            f"the request has the content type {kind!r:.80}; send the body with {' or '.join(_TYPES)}",
            415,
        )
    try:
        if kind == "application/toml":
            return scenario.parse(request.body.decode())
        tables: dict[str, Any] = strict.loads(request.body)
    except ValueError as error:
        if isinstance(error, scenario.ScenarioError):
            raise
        raise scenario.ScenarioError(f"the body of the request is not valid JSON or not UTF-8: {error}") from error
    return tables


def _seconds(tables: dict[str, Any]) -> float:
    seconds = tables.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= _LONGEST_SKIP:
        raise ServiceError(
            "ValidationException", f"set `seconds`, the time to skip, to a number from 0 to {_LONGEST_SKIP:g}"
        )
    return seconds
