"""An alert: what is told of an incident at its beginning, and at its end."""

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
    """The words of a rule, where it does not speak of a cause of the catalogue."""

    title: str
    meaning: str
    remedies: tuple[str, ...]


_WORDS = {
    "spend": Words(
        "Spending is far above what is usual",
        "Calls succeed, and cost several times what they cost on other days at this time. A loop that calls the model "
        "again and again looks like this; so does new work that nobody told of.",
        (
            "Look at the tenants and the model named here first: which program calls, and does it make progress?",
            "Set a limit to what one call or one run may cost: MaxCost, or bedrock run --max-cost.",
        ),
    ),
    "refused": Words(
        "More answers are refused or filtered than usual",
        "A guardrail, the provider's filter or the model itself keeps back a growing part of the answers.",
        ("See what changed: prompts, the guardrail or its version, the model. Filtered shows the categories.",),
    ),
    "truncated": Words(
        "More answers are truncated than usual",
        "A growing part of the answers ends because max_tokens, or the context window, is reached.",
        ("Raise max_tokens, ask for shorter answers, or let Complete repeat truncated ones with a higher limit.",),
    ),
    "letters": Words(
        "Dead letters are growing",
        "Calls fail for good faster than usual, and are kept. Nobody is answered until they are sent again.",
        ("See what they failed with: bedrock dlq stats. Once that is mended, send them again: bedrock dlq redrive.",),
    ),
    "letters-lost": Words(
        "Failed calls could not be kept as dead letters",
        "The store of the dead letters refuses them: these calls are lost.",
        ("See the log for what the store said, and mend it: a full disk, a missing table, a permission.",),
    ),
    "quota": Words(
        "A quota per minute is nearly gone",
        "Over the last ten minutes nearly all that the quota allows was used: calls wait, and more work waits longer.",
        ("Ask for a higher quota (bedrock quota increase), use another Region, or move what can wait to a batch job.",),
    ),
    "day": Words(
        "The Region's tokens of the day are nearly gone",
        "AWS counts the tokens of a day for all models of a Region together. Once they are gone, every model there "
        "refuses until midnight UTC.",
        (
            "Stop what can wait until tomorrow, such as batch runs, or move it to another Region or account.",
            "Ask AWS Support for more tokens a day.",
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Alert:
    """The knowledge of an incident when it is told. `state` is `open` at its beginning and `ended` at its end; both
    have the same `incident`. `id` is that of this message.

    `rule` is the one that raised it: `new` (a permanent cause seen for the first time), `failures`, `stops`, `spend`,
    `letters`, `lost`, `quota` or `day`. `share` and `usual` are parts of all, or in `unit` where it has one. `causes`
    counts failures by cause. `sample` has the code, the request id and the recognised words of one failure; nothing
    else of what the service said, since that may quote the request. Times are in ISO 8601, UTC.
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
        """One line for a person."""
        where = ", ".join(self.models[:3]) + (f" in {', '.join(self.regions[:3])}" if any(self.regions) else "")
        who = f"{self.service}: " if self.service else ""
        if self.state == "ended":
            return f"Ended: {who}{self.title} ({where.strip()}), from {self.start} to {self.end}"
        return f"{who}{self.title} ({where.strip()}): {self.amount}, since {self.start}"

    @property
    def amount(self) -> str:
        """The size of it, in words."""
        if self.note:
            return self.note
        if self.unit:
            return f"{self.share:,.4g} {self.unit}, usually {self.usual:,.4g}"
        if self.rule in ("new", "lost"):
            return "seen for the first time" if self.rule == "new" else "now"
        of = "answers" if self.rule == "stops" else "attempts"
        return f"{self.share:.1%} of the {of}, usually {self.usual:.2%}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields and `summary`, as a webhook sends them."""
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"summary": self.summary, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Return the alert whose `to_dict` is `plain`."""
        values: dict[str, Any] = {each.name: plain[each.name] for each in fields(cls)}
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**{**values, **lists})


def alert_of(incident: Incident, now: float, service: str, *, ended: bool, ahead: int = 0) -> Alert:
    """Return what to tell of `incident` at its beginning, or at its end; the book's slots are `ahead` of the clock."""
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
    """Return title, meaning, remedies and link."""
    own = _WORDS.get(incident.cause if incident.rule in ("stops", "lost") else incident.rule)
    if own is not None:
        return own.title, own.meaning, own.remedies, ""
    known = explain(incident.cause, service="bedrock-runtime")
    if (
        known.cause != incident.cause or known.cause == UNKNOWN
    ):  # a refusal of this package's, or an error that nobody knows
        title = incident.sample.get("code") or incident.cause
        advice = incident.sample.get("advice", "")
        return title, "", (advice,) if advice else (), ""
    steps = (f"{step.do} {step.run}".strip() for step in known.remedies)
    return known.title, known.meaning, tuple(steps)[:_MOST_REMEDIES], known.link


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
