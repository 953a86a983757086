"""A scenario: what the simulated account may do, how fast its models are, and what goes wrong when.

Written as TOML, read into frozen values. A key that is not known is refused with a sentence that says where it stands
and what is allowed there, since a misspelt fault would otherwise simply never happen.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from importlib.resources import files
from math import inf
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from aws_bedrock_inference.simulator.messages import ERRORS
from aws_bedrock_inference.simulator.quota import DISCIPLINES, REQUESTS, TOKENS, TOKENS_PER_DAY, Quota

POOLS = ("on-demand", "geographic", "global", "provisioned")
OPERATIONS = ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "CountTokens")


class ScenarioError(ValueError):
    """The scenario cannot be used; the message says where and what is allowed there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """The speed of answers: seconds to the first token, then tokens per second. `spread` is the standard deviation of
    the logarithm of the first: 0.3 makes one answer in twenty start 1.6 times later than usual.
    """

    first_token: float = 0.0
    tokens_per_second: float = inf
    spread: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The length of answers: the median in tokens, and the standard deviation of its logarithm."""

    tokens: float = 130.0
    spread: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Which models exist here. All are shell patterns of base model ids, without a geography prefix."""

    known: tuple[str, ...] = (
        *(f"{provider}.*" for provider in ("ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "meta")),
        *(f"{provider}.*" for provider in ("minimax", "mistral", "moonshot*", "nvidia", "openai", "qwen", "writer")),
        "arn:*",
    )
    profile_only: tuple[str, ...] = (
        "anthropic.claude-3-7-*",
        "anthropic.claude-opus-4-*",
        "anthropic.claude-*-4-5-*",
        "amazon.nova-premier-*",
        "meta.llama4-*",
    )
    not_chat: tuple[str, ...] = ("*embed*", "*canvas*", "*reel*", "*sonic*", "*image*")
    context_tokens: int = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The credentials that are accepted. Without a secret key, signatures are not checked; with neither
    a secret key nor a bearer token, every bearer token that has not expired is accepted.
    """

    access_key: str = "AKIDSIMULATOR"
    secret_key: str = ""
    bearer_token: str = ""
    expired_tokens: tuple[str, ...] = ("expired",)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRule:
    """The quota of the pools it matches, instead of the default one."""

    model: str = "*"
    region: str = "*"
    pool: str = "*"
    rpm: float | None = None
    tpm: float | None = None
    tpd: float | None = None

    def __post_init__(self) -> None:
        Quota(self.rpm, self.tpm, self.tpd)  # refuses what is no limit

    def covers(self, model: str, region: str, pool: str) -> bool:
        """Return whether the rule applies to that pool."""
        return fnmatchcase(model, self.model) and fnmatchcase(region, self.region) and fnmatchcase(pool, self.pool)

    @property
    def quota(self) -> Quota:
        """The quota alone."""
        return Quota(self.rpm, self.tpm, self.tpd)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaChange(QuotaRule):
    """A change of the matching pools' quota at `at`, in seconds since the scenario was loaded; the rest stays."""

    at: float

    def __post_init__(self) -> None:
        QuotaRule.__post_init__(self)
        if self.quota == Quota():
            raise ValueError("nothing changes; give rpm, tpm or tpd")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """A fault to inject: its kind, the requests it affects, and its schedule.

    Filters are shell patterns. `since` (written `from`) and `until` are seconds since the scenario was loaded;
    `requests` and `first` count the requests that the filters match; `rate` is a share of those that remain.
    `after` counts stream events, `seconds` how long it lasts.
    """

    kind: str
    model: str = "*"
    region: str = "*"
    operation: str = "*"
    rate: float = 1.0
    since: float = 0.0
    until: float = inf
    first: int | None = None
    requests: tuple[int, ...] = ()
    code: str = ""
    message: str = ""
    status: int | None = None
    retry_after: float | None = None
    limit: str = REQUESTS
    after: int | None = None
    seconds: float = inf

    @property
    def name(self) -> str:
        """The fault's name in the statistics."""
        return (
            f"{self.kind}:{self.code or self.limit}" if self.kind in {"error", "exception", "throttle"} else self.kind
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything the simulator is told. The defaults are an account without limits on a day without faults."""

    seed: int = 0
    region: str = "us-east-1"
    discipline: str = "bucket"
    quota: Quota = field(default_factory=Quota)
    latency: Latency = field(default_factory=Latency)
    answers: Answers = field(default_factory=Answers)
    models: Models = field(default_factory=Models)
    credentials: Credentials = field(default_factory=Credentials)
    quotas: tuple[QuotaRule, ...] = ()
    changes: tuple[QuotaChange, ...] = ()
    faults: tuple[FaultRule, ...] = ()


# The settings of each kind of fault, apart from the filters and the schedule.
KINDS = {
    "error": {"code", "message", "status", "retry_after"},
    "throttle": {"limit", "message", "retry_after"},
    "outage": {"message"},
    "refused": set[str](),
    "reset": {"after"},
    "stall": {"after", "seconds"},
    "exception": {"code", "message", "after"},
    "truncate": {"after"},
    "malformed": set[str](),
    "not-ready": {"seconds", "message"},
    "access-pending": {"seconds", "message"},
    "content-filtered": set[str](),
    "guardrail": set[str](),
}
_WHICH = {"kind", "model", "region", "operation"}
_WHEN = {"rate", "from", "until", "first", "requests"}


def tables(source: str | Path | dict[str, Any] | None, **options: Any) -> dict[str, Any]:
    """Return the tables of a scenario: of a file, of one that ships with the package by its name, or those given.

    `options` replace whole tables and top-level values. Raises ScenarioError, also when the tables make no scenario.
    """
    written = {} if source is None else source if isinstance(source, dict) else parse(_written(source))
    found = {**written, **options}
    read(found)
    return found


def _written(source: str | Path) -> str:
    path = Path(source)
    shipped = files(__package__).joinpath("scenarios", f"{source}.toml")
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else shipped.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(
            f"no scenario file {str(source)!r}; give a path, or one of: {', '.join(names())}"
        ) from error


def names() -> list[str]:
    """Return the names of the scenarios that ship with the package."""
    return sorted(entry.name[:-5] for entry in files(__package__).joinpath("scenarios").iterdir())


def parse(text: str) -> dict[str, Any]:
    """Return the tables of a scenario in TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"the scenario is not valid TOML: {error}") from error


def read(data: dict[str, Any]) -> Scenario:
    """Return the scenario that the tables describe. Raises ScenarioError."""
    scenario: Scenario = _table(Scenario, data, "the scenario")
    if scenario.discipline not in DISCIPLINES:
        raise ScenarioError(f"discipline {scenario.discipline!r} is unknown; use one of {', '.join(DISCIPLINES)}")
    return scenario


_TABLES: dict[str, type] = {"quota": Quota, "latency": Latency, "answers": Answers, "models": Models}
_TABLES["credentials"] = Credentials
_LISTS: dict[str, type] = {"quotas": QuotaRule, "changes": QuotaChange, "faults": FaultRule}


def _table(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ScenarioError(f"{where} must be a table")
    hints = get_type_hints(kind)
    allowed = {"from" if f.name == "since" else f.name: hints[f.name] for f in fields(kind)}
    _refuse_unknown(data, set(allowed), where)
    if kind is FaultRule:
        _check_fault(data, where)
    if kind is QuotaChange and "at" not in data:
        raise ScenarioError(f"{where}: at is missing, in seconds since the scenario was loaded")
    values = {}
    for key, value in data.items():
        place = f"{where}: {key}"
        if kind is Scenario and key in _TABLES:
            values[key] = _table(_TABLES[key], value, f"[{key}]")
        elif kind is Scenario and key in _LISTS:
            values[key] = tuple(
                _table(_LISTS[key], entry, f"[[{key}]] number {number}") for number, entry in enumerate(value, 1)
            )
        else:
            values["since" if key == "from" else key] = _value(allowed[key], value, place)
    try:
        return kind(**values)
    except ValueError as error:
        raise ScenarioError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, place: str) -> Any:
    kinds = {part for part in (get_args(hint) or (hint,)) if part not in {NoneType, Ellipsis}}
    if getattr(hint, "__origin__", None) is tuple:
        if isinstance(value, list) and all(isinstance(item, tuple(kinds)) for item in value):
            return tuple(value)
        raise ScenarioError(f"{place} must be a list of {_names(kinds)}s")
    if float in kinds:
        kinds.add(int)
    if isinstance(value, bool) or not isinstance(value, tuple(kinds)):
        raise ScenarioError(f"{place} must be a {_names(kinds)}, not {value!r}")
    if isinstance(value, (int, float)) and value < 0 and not place.endswith("seed"):
        raise ScenarioError(f"{place} must not be negative")
    return value


def _names(kinds: set[type]) -> str:
    return "string" if str in kinds else "number" if float in kinds else "whole number"


def _check_fault(data: dict[str, Any], where: str) -> None:
    kind = data.get("kind")
    if kind not in KINDS:
        raise ScenarioError(f"{where}: kind is {kind!r}; use one of {', '.join(KINDS)}")
    allowed = {"kind", "from", "until"} if kind == "refused" else KINDS[kind] | _WHICH | _WHEN
    _refuse_unknown(data, allowed, f"{where} ({kind})")
    code = data.get("code")
    if kind in {"error", "exception"} and not code:
        raise ScenarioError(f"{where} ({kind}): code is missing, such as ThrottlingException")
    if kind == "error" and code not in ERRORS and "status" not in data:
        raise ScenarioError(f"{where} (error): {code} is not an error of Bedrock's; give it a status")
    if kind == "throttle" and data.get("limit", REQUESTS) not in {REQUESTS, TOKENS, TOKENS_PER_DAY}:
        raise ScenarioError(f"{where} (throttle): limit must be one of {REQUESTS}, {TOKENS}, {TOKENS_PER_DAY}")
    if kind == "refused" and "until" not in data:
        raise ScenarioError(f"{where} (refused): until is missing; the span must end for the simulator to be reachable")


def _refuse_unknown(data: dict[str, Any], allowed: set[str], where: str) -> None:
    for key in data:
        if key not in allowed:
            raise ScenarioError(f"{where} has no {key!r}; allowed here: {', '.join(sorted(allowed))}")
