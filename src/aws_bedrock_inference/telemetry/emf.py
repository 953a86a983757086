"""Metrics for CloudWatch without an agent, in its embedded metric format: one line of JSON on stdout for each call.

    embedded_metrics()              # at the top of a Lambda function's module

Lambda sends stdout to CloudWatch Logs, which converts such lines into metrics. Each line is written immediately, so
no line is lost when Lambda freezes the function between two invocations. There are metrics for all calls together and
for each `ModelId`, and metrics of failures for each `Cause`. The other values of a line (operation, Region, context)
create no metric and cost nothing; they can be queried in Logs Insights.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.call import name_of
from aws_bedrock_inference.events import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallStarted,
    DeadLetterKept,
    DeadLetterLost,
    QuotaQueued,
)
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.listeners import PROCESS
from aws_bedrock_inference.telemetry.labels import Labels, reported
from aws_bedrock_inference.telemetry.names import CLOUDWATCH
from aws_bedrock_inference.telemetry.usage import all_input, known_cost

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aws_bedrock_inference.clock import Clock

MODEL, CAUSE = "ModelId", "Cause"
"""The dimensions of the metrics."""

_SAYS = ("_aws", "Operation", "Region", "Context")

MOST_MODELS = 100
"""The maximum number of models with separate metrics. The same maximum applies to causes. There is a maximum because
CloudWatch charges for each metric.
"""

MOST_OPEN = 10_000
"""The maximum number of calls in flight that are tracked. A Lambda function has only a few."""


def embedded_metrics(
    *,
    namespace: str = CLOUDWATCH["namespace"],
    by: Collection[str] = (),
    write: Callable[[str], object] | None = None,
) -> Callable[[], None]:
    """Write CloudWatch metrics of every call of the process, until the returned function is called.

    * `namespace` is the CloudWatch namespace of the metrics.
    * `by` contains names that the program sets with `context(...)`. These names become additional dimensions.
      CloudWatch charges for each value of a dimension separately. Therefore at most 50 values of each name are used,
      and all further values are replaced by `other`.
    * `write` is a function that receives each line. By default, the lines are written to stdout.
    """
    name_of("namespace", namespace, "checkout/bedrock")
    if isinstance(by, str) or not all(str(name).isidentifier() for name in by):
        raise ValueError(
            f"embedded_metrics(by={shown(by)}): pass a list of names that you set with context(...), such as ['team']"
        )
    if taken := sorted(set(by) & {MODEL, CAUSE, *_SAYS, *CLOUDWATCH["metrics"]}):
        raise ValueError(
            f"embedded_metrics(by={taken}): every line already has a field of this name; choose another name"
        )
    return PROCESS.add(EmbeddedMetrics(namespace, tuple(by), write or _print), attempts=True)


class EmbeddedMetrics:
    """A listener that writes a line when a call ends."""

    def __init__(
        self,
        namespace: str,
        by: tuple[str, ...],
        write: Callable[[str], object],
        *,
        clock: Clock = clocks.monotonic,
        wall: Clock = clocks.wall,
    ) -> None:
        self._namespace = namespace
        self._by = by
        self._write = write
        self._clock = clock
        self._wall = wall
        self._open: dict[int, dict[str, float]] = {}
        self._queued: dict[int, float] = {}
        self._words = Labels(names=2, values=MOST_MODELS)
        self._labels = Labels(names=len(by))

    def __call__(self, event: object) -> None:
        """Record `event`, and write the line of a call that ended."""
        if isinstance(event, CallEnded):
            self._end_wait(event.call_id)
            self._write(json.dumps(self._line(event, self._open.pop(event.call_id, {})), separators=(",", ":")))
        else:
            self._note(event)

    def _note(self, event: object) -> None:
        if isinstance(event, CallStarted):
            if len(self._open) < MOST_OPEN:
                self._open[event.call_id] = {}
        elif isinstance(event, AttemptStarted):
            self._end_wait(event.call_id)
        elif isinstance(event, QuotaQueued):
            if event.call_id in self._open:
                self._queued.setdefault(event.call_id, self._clock())
        elif isinstance(event, AttemptEnded):
            if event.fault is not None and event.fault.kind is Kind.THROTTLED:
                self._add(event.call_id, "Throttles", 1)
            if event.first_content is not None and event.call_id in self._open:
                self._open[event.call_id]["FirstContent"] = round(event.first_content, 6)
        elif isinstance(event, (DeadLetterKept, DeadLetterLost)):
            self._add(event.call_id, "DeadLetters", 1)

    def _add(self, call_id: int, name: str, value: float) -> None:
        found = self._open.get(call_id)
        if found is not None:
            found[name] = found.get(name, 0) + value

    def _end_wait(self, call_id: int) -> None:
        since = self._queued.pop(call_id, None)
        if since is not None:
            self._add(call_id, "QuotaWait", round(self._clock() - since, 6))

    def _line(self, event: CallEnded, found: dict[str, float]) -> dict[str, Any]:
        fault = event.fault if event.fault is not None and event.fault.cause != ABANDONED.cause else None
        values = {"Calls": 1, "Failures": int(fault is not None), "Attempts": event.attempts, "Throttles": 0, **found}
        values["Duration"] = round(event.seconds, 6)
        if event.usage is not None:
            values |= {"InputTokens": all_input(event.usage), "OutputTokens": event.usage.output_tokens}
        if (cost := known_cost(event)) is not None:
            values["Cost"] = round(cost, 9)
        says = {MODEL: event.route.model} | ({} if fault is None else {CAUSE: fault.cause})
        said = self._words.of(tuple(says.items()))
        labels = self._labels.of(tuple((name, value) for name, value in event.context if name in self._by))
        directives = [self._directive(values, [[], [MODEL], *([name] for name in labels)])]
        if fault is not None:
            directives.append(self._directive(["Failures"], [[CAUSE]]))
        return {
            "_aws": {"Timestamp": round(self._wall() * 1000), "CloudWatchMetrics": directives},
            **{name: _dimension(value) for name, value in {**labels, **said}.items()},
            "Operation": event.operation,
            "Region": event.route.region,
            **({"Context": dict(reported(event.context))} if event.context else {}),
            **values,
        }

    def _directive(self, names: Collection[str], dimensions: list[list[str]]) -> dict[str, Any]:
        metrics = [{"Name": name, "Unit": CLOUDWATCH["metrics"][name]["unit"]} for name in names]
        return {"Namespace": self._namespace, "Dimensions": dimensions, "Metrics": metrics}


def _dimension(value: str) -> str:
    """Return the value as a text that CloudWatch accepts: ASCII, not blank, and not too long."""
    value = value.encode("ascii", "backslashreplace").decode()[: CLOUDWATCH["longest_value"]]
    return value if value.strip() and value.isprintable() else "unknown"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
