"""An alert, which reports that an incident began or ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.judge import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.telemetry.alerts.incident import Incident

_MOST_REMEDIES = 3


class Words(NamedTuple):
    """The texts of an alert rule.

    An alert shows these texts if the error catalogue does not contain the cause of the alert.
    """

    title: str
    meaning: str
    remedies: tuple[str, ...]


_WORDS = {
    "spend": Words(
        "Spending is far above what is usual",
        "Calls succeed, but cost several times as much as on other days at this time. A loop that calls the model "
        "repeatedly has this effect, and so does additional work that was not announced.",
        (
            "Start with the tenants and the model in this alert. Find out which program calls, and if it progresses.",
            "Limit the cost of one call with MaxCost, or of one run with bedrock run --max-cost.",
        ),
    ),
    "refused": Words(
        "More answers are refused or filtered than usual",
        "A guardrail, the provider's filter or the model itself blocks a growing part of the answers.",
        ("Find out whether prompts, guardrail or model changed. The policy Filtered shows the categories.",),
    ),
    "truncated": Words(
        "More answers are truncated than usual",
        "A growing part of the answers ends because it reaches max_tokens or the end of the context window.",
        ("Raise max_tokens, request shorter answers, or use the policy Complete, which repeats with a higher limit.",),
    ),
    "letters": Words(
        "The number of dead letters is growing",
        "More calls than usual fail permanently and are stored as dead letters. The callers get no answer until these "
        "calls are sent again.",
        ("List the causes with bedrock dlq stats. Fix them, then send the calls again with bedrock dlq redrive.",),
    ),
    "letters-lost": Words(
        "Failed calls could not be stored as dead letters",
        "The dead-letter store refused them, so these calls are lost.",
        ("Read the store's error in the log. Examples are a full disk, a missing table and a missing permission.",),
    ),
    "quota": Words(
        "A quota per minute is nearly exhausted",
        "Over the last ten minutes, calls used nearly the whole quota, so calls wait for quota. If more work is added, "
        "the waits become longer.",
        ("Request a higher quota (bedrock quota increase), use another Region, or move work to a batch job.",),
    ),
    "day": Words(
        "The Region's daily token quota is nearly exhausted",
        "AWS counts daily tokens for all models of a Region together. When the daily tokens are exhausted, AWS refuses "
        "calls of all models in this Region until midnight UTC.",
        (
            "Stop work that can wait until tomorrow, such as batch runs, or move it to another Region or account.",
            "Ask AWS Support for more tokens per day.",
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert: the facts of an incident at its beginning or at its end.

    `state` is `open` at the beginning of the incident and `ended` at its end. The two alerts have the same `incident`,
    but different values of `id`.

    `rule` is the rule that raised the alert:

    * `new`: a permanent cause was seen for the first time.
    * `failures`: too many attempts failed.
    * `stops`: too many answers were refused or truncated.
    * `spend`: the calls cost too much, or use too many tokens.
    * `letters`: too many dead letters were stored.
    * `lost`: dead letters could not be stored.
    * `quota` and `day`: a quota per minute, or a daily quota, is nearly exhausted.

    `share` is the largest measured value, and `usual` is the usual value. If the alert has a `unit`, both are amounts
    in this unit, such as 12 `dollars an hour`. Otherwise, both are fractions of all attempts, of all answers or of a
    quota. For example, 0.25 means that 25 % of the attempts failed.

    `causes` contains the number of events for each cause so far. The events are failures, refused answers, truncated
    answers or lost dead letters. `letters` is the number of dead letters that were stored so far. `sample` contains the
    code and the request id of one failure, and the words of the error message that identify the cause. Other words of
    the message are omitted, because they can quote the request. Times are ISO 8601, UTC.
    """

    id: str
    incident: str
    state: Literal["open", "ended"]
    rule: str
    title: str
    service: str
    start: str
    end: str
    cause: str
    share: float
    usual: float
    unit: str
    models: tuple[str, ...]
    regions: tuple[str, ...]
    operations: tuple[str, ...]
    tenants: tuple[str, ...]
    causes: Mapping[str, int]
    letters: int
    sample: Mapping[str, str]
    meaning: str
    remedies: tuple[str, ...]
    link: str
    note: str = ""

    @property
    def summary(self) -> str:
        """A human-readable summary in one line."""
        where = ", ".join(self.models[:3]) + (f" in {', '.join(self.regions[:3])}" if any(self.regions) else "")
        who = f"{self.service}: " if self.service else ""
        if self.state == "ended":
            return f"Ended: {who}{self.title} ({where.strip()}), from {self.start} to {self.end}"
        return f"{who}{self.title} ({where.strip()}): {self.amount}, since {self.start}"

    @property
    def amount(self) -> str:
        """The size of the incident, in words."""
        if self.note:
            return self.note
        if self.unit:
            return f"{self.share:,.4g} {self.unit}, usually {self.usual:,.4g}"
        if self.rule in ("new", "lost"):
            return "seen for the first time" if self.rule == "new" else "now"
        of = "answers" if self.rule == "stops" else "attempts"
        return f"{self.share:.1%} of the {of}, usually {self.usual:.2%}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and the `summary` of the alert as a dictionary, which a webhook sends."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"summary": self.summary, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Create the alert from the dictionary that `to_dict` returned."""
        values: dict[str, Any] = {each.name: plain[each.name] for each in fields(cls)}
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})


def alert_of(incident: Incident, now: float, service: str, *, ended: bool, ahead: int = 0) -> Alert:
    """Return the alert about the beginning of `incident`, or about its end if `ended` is True.

    Usually, `ahead` is 0. If the clock was set back, `ahead` is the number of time slots (ten seconds each) by which
    the stored time slots are ahead of the clock.
    """
    title, meaning, remedies, link = _words(incident)
    models, regions = (
        tuple(dict.fromkeys(filter(None, (place.partition("|")[side] for place in incident.places)))) for side in (0, 2)
    )
    end = min(now, max(last for last, _ in incident.keys.values()) * 10.0 + 10.0 - ahead * 10.0) if ended else None
    return Alert(
        id=f"{incident.id}-{'end' if ended else 'start'}",
        incident=incident.id,
        state="ended" if ended else "open",
        rule=incident.rule,
        title=title,
        service=service,
        start=_time(incident.start),
        end=_time(end) if end is not None else "",
        cause=incident.cause,
        share=round(incident.share, 5),
        usual=round(incident.usual, 5),
        unit=incident.unit,
        models=models,
        regions=regions,
        operations=tuple(incident.operations),
        tenants=tuple(incident.tenants),
        causes={name: round(count) for name, count in incident.cases.items()},
        letters=round(incident.letters),
        sample={name: value for name, value in incident.sample.items() if name != "advice" and value},
        meaning=meaning,
        remedies=remedies,
        link=link,
        note=incident.note,
    )


def _words(incident: Incident) -> tuple[str, str, tuple[str, ...], str]:
    """Return the texts that an alert about this incident shows: title, meaning, remedies and link."""
    own = _WORDS.get(incident.cause if incident.rule in ("stops", "lost") else incident.rule)
    if own is not None:
        return own.title, own.meaning, own.remedies, ""
    known = explain(incident.cause, service="bedrock-runtime")
    if known.cause != incident.cause or known.cause == UNKNOWN:  # a refusal by this package, or an unknown error
        title = incident.sample.get("code") or incident.cause
        advice = incident.sample.get("advice", "")
        return title, "", (advice,) if advice else (), ""
    steps = (f"{step.do} {step.run}".strip() for step in known.remedies)
    return known.title, known.meaning, tuple(steps)[:_MOST_REMEDIES], known.link


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
