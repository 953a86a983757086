"""Read a scenario, which describes the quotas of the simulated account, the speed of its models, and the faults.

A scenario is written in TOML, and becomes objects that cannot be changed. An unknown key is refused, because it is
probably misspelt and would have no effect. The error states where in the scenario the key is, and the allowed keys.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from importlib.resources import files
from math import inf
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_type_hints

from aws_bedrock_inference.simulator.error_texts import ERRORS
from aws_bedrock_inference.simulator.foundation_settings import (
    EnforcedGuardrail,
    FoundationModel,
    InferenceProfile,
    RetentionRule,
    TrustedAccess,
)
from aws_bedrock_inference.simulator.job_settings import Batch, JobRule
from aws_bedrock_inference.simulator.quota import DISCIPLINES, REQUESTS, TOKENS, TOKENS_PER_DAY, Quota
from aws_bedrock_inference.simulator.settings import (
    Answers,
    Credentials,
    FaultRule,
    Latency,
    Models,
    QuotaChange,
    QuotaRule,
    Scenario,
)

POOLS = ("on-demand", "geographic", "global", "provisioned")
OPERATIONS = ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", "CountTokens")

_LARGEST = 2**63


class ScenarioError(ValueError):
    """Raised if the scenario cannot be used. The message states where in the scenario the error is, and what is
    allowed.
    """


# The settings of each kind of fault, in addition to the filters and the schedule.
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
    "lost": set[str](),
}
_WHICH = {"kind", "model", "region", "operation"}
_WHEN = {"rate", "from", "until", "first", "requests"}


def tables(source: str | Path | dict[str, Any] | None, **options: Any) -> dict[str, Any]:
    """Return the tables of a scenario.

    `source` is a path, the name of a scenario that ships with the package, or the tables themselves. Each
    of `options` replaces a whole table or a top-level value of the scenario. Raises ScenarioError if the scenario
    cannot be read or is not valid.
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
            f"no scenario file {str(source)!r}; pass the path of a TOML file in UTF-8, or one of: {', '.join(names())}"
        ) from error


def names() -> list[str]:
    """Return the names of the scenarios that ship with the package."""
    return sorted(entry.name[:-5] for entry in files(__package__).joinpath("scenarios").iterdir())


def parse(text: str) -> dict[str, Any]:
    """Return the tables of a scenario from its text in TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"the scenario is not valid TOML: {error}") from error


def read(data: dict[str, Any]) -> Scenario:
    """Return the scenario from its TOML tables (`data`). Raises ScenarioError if the scenario is not valid."""
    scenario: Scenario = _table(Scenario, data, "the scenario")
    if scenario.discipline not in DISCIPLINES:
        raise ScenarioError(f"discipline {scenario.discipline!r} is unknown; use one of {', '.join(DISCIPLINES)}")
    return scenario


_TABLES: dict[str, type] = {"quota": Quota, "latency": Latency, "answers": Answers, "models": Models}
_TABLES |= {"credentials": Credentials, "batch": Batch}
_LISTS: dict[str, type] = {"quotas": QuotaRule, "changes": QuotaChange, "faults": FaultRule}
_LISTS |= {"foundation": FoundationModel, "profiles": InferenceProfile, "jobs": JobRule, "retention": RetentionRule}
_LISTS |= {"trusted_access": TrustedAccess, "enforced_guardrails": EnforcedGuardrail}
_NEEDED: dict[type, dict[str, str]] = {
    QuotaChange: {"at": "the time of the change, in seconds since the scenario was loaded"},
    FoundationModel: {"id": "the id of the model"},
    InferenceProfile: {"id": "the id of the profile", "model": "the id of the model"},
    RetentionRule: {"region": "a Region or a pattern", "mode": "the data-retention mode in it"},
    TrustedAccess: {"id": "the id of the program", "provider": "the provider of the program"},
    EnforcedGuardrail: {"id": "the id of the guardrail"},
}


def _table(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ScenarioError(f"{where} must be a table with settings, but is {data!r:.80}")
    hints = get_type_hints(kind)
    allowed = {"from" if f.name == "since" else f.name: hints[f.name] for f in fields(kind)}
    _refuse_unknown(data, set(allowed), where)
    if kind is FaultRule:
        _check_fault(data, where)
    for key, meaning in _NEEDED.get(kind, {}).items():
        if key not in data:
            raise ScenarioError(f"{where}: {key} is missing; set it to {meaning}")
    values = {}
    for key, value in data.items():
        place = f"{where}: {key}"
        if kind is Scenario and key in _TABLES:
            values[key] = _table(_TABLES[key], value, f"[{key}]")
        elif kind is Scenario and key in _LISTS:
            if not isinstance(value, (list, tuple)):
                raise ScenarioError(f"{place} must be a list of tables, but is {value!r:.80}; in TOML, write [[{key}]]")
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
        raise ScenarioError(f"{place} must be a list of {_names(kinds)}s, not {value!r:.80}")
    if kinds == {bool}:
        if isinstance(value, bool):
            return value
        raise ScenarioError(f"{place} must be true or false, not {value!r:.80}")
    if float in kinds:
        kinds.add(int)
    if isinstance(value, bool) or not isinstance(value, tuple(kinds)):
        raise ScenarioError(f"{place} must be a {_names(kinds)}, not {value!r:.80}")
    if isinstance(value, str) and _has_half_a_character(value):
        raise ScenarioError(f"{place} contains half of a character (a lone surrogate); remove it")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ScenarioError(f"{place} is out of range; set a number from 0 to {_LARGEST}")
    if isinstance(value, (int, float)) and not place.endswith("seed") and not value >= 0:
        raise ScenarioError(f"{place} must not be negative, but is {value!r}; set a number of 0 or more")
    return float(value) if float in kinds and isinstance(value, int) else value


def _has_half_a_character(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _names(kinds: set[type]) -> str:
    return "string" if str in kinds else "number" if float in kinds else "whole number"


def _check_fault(data: dict[str, Any], where: str) -> None:
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ScenarioError(f"{where}: kind is {kind!r:.80}; use one of {', '.join(KINDS)}")
    allowed = {"kind", "from", "until"} if kind == "refused" else KINDS[kind] | _WHICH | _WHEN
    _refuse_unknown(data, allowed, f"{where} ({kind})")
    code = data.get("code")
    if kind in {"error", "exception"} and not code:
        raise ScenarioError(f"{where} ({kind}): code is missing; set an error code such as ThrottlingException")
    if kind == "error" and str(code) not in ERRORS and "status" not in data:
        raise ScenarioError(
            f"{where} (error): {code} is not an error code of Bedrock; set its HTTP status: status = 400"
        )
    if kind == "throttle" and data.get("limit", REQUESTS) not in (REQUESTS, TOKENS, TOKENS_PER_DAY):
        raise ScenarioError(
            f"{where} (throttle): limit is {data['limit']!r:.80}; use {REQUESTS}, {TOKENS} or {TOKENS_PER_DAY}"
        )
    if kind == "refused" and data.get("until", inf) == inf:
        raise ScenarioError(
            f"{where} (refused): until is missing; set the time in seconds, counted from the start of the simulation, "
            "at which connections are accepted again"
        )


def _refuse_unknown(data: dict[str, Any], allowed: set[str], where: str) -> None:
    for key in data:
        if key not in allowed:
            raise ScenarioError(f"{where} has no setting {key!r}; allowed here: {', '.join(sorted(allowed))}")
