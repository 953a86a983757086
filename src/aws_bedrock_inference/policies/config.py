"""Read the recommended pipeline from a TOML file.

The file contains the arguments of `standard`, for example:

    filtered = "I can't answer that."
    degrade = "Busy, try later."
    on_interrupt = "continue"
    max_cost = 40.0
    dead_letters = "sqlite://dead.db"

    [quota]
    rpm = 500
    tpm = 200_000

    [cache]
    url = "sqlite://answers.db"
    ttl = 600

    [fallback]
    targets = ["us.amazon.nova-pro-v1:0", { model_id = "us.amazon.nova-lite-v1:0", region_name = "us-west-2" }]
"""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.policies import standard
from aws_bedrock_inference.policies.cache import Cache
from aws_bedrock_inference.policies.dead_letter import DeadLetter
from aws_bedrock_inference.policies.degrade import Degrade
from aws_bedrock_inference.policies.fallback import Fallback
from aws_bedrock_inference.policies.filtered import Filtered
from aws_bedrock_inference.policies.quota import Quota
from aws_bedrock_inference.policies.request_metadata import RequestMetadata
from aws_bedrock_inference.policies.retry import Retry
from aws_bedrock_inference.policies.targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from aws_bedrock_inference.flow import Pipeline

# Options that only Python code can set.
_IN_CODE = {"budget", "chance", "redact", "seal", "session"}
_DISCOVERED = "discovered"
_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def load(path: str | Path) -> Pipeline:
    """Return the recommended pipeline with the options in the TOML file at `path`.

    The keys of the file are arguments of `standard`: `quota`, `cache`, `filtered`, `degrade`, `dead_letters`,
    `fallback`, `on_interrupt`, `retry`, `max_cost` and `request_metadata`. A table contains the options of the policy
    with that name. With `discovered = true` in the table `[quota]`, the limits start from the values that Service
    Quotas lists (see `Quota.discovered`).

    Raises `ValueError` for an invalid file. Its message names the place in the file and the values that are allowed.
    Raises `OSError` if the file cannot be read.
    """
    name = str(path)
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: the file is not valid TOML: {error}") from None
    _check(name, given, _READERS)
    try:
        return standard(**{key: _READERS[key](f"{name}: {key}", value) for key, value in given.items()})
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(name) else f"{name}: {text}") from None


def _quota(where: str, value: Any) -> Quota:
    table = dict(_table(where, value))
    discovered = table.pop(_DISCOVERED, False)
    if not isinstance(discovered, bool):
        raise ValueError(f"{where}.{_DISCOVERED} = {shown(discovered)}: set it to true or false")  # noqa: TRY004 - of a file
    if not discovered:
        quota: Quota = _made(where, table, Quota, also=[_DISCOVERED])
        return quota
    _check(where, table, [*_options(Quota), *_options(Quota.discovered)])
    return Quota.discovered(**table)


def _cache(where: str, value: Any) -> Cache:
    return Cache(value) if isinstance(value, str) else _made(where, value, Cache)


def _dead_letters(where: str, value: Any) -> DeadLetter:
    return DeadLetter(value) if isinstance(value, str) else _made(where, value, DeadLetter)


def _retry(where: str, value: Any) -> Any:
    return value if isinstance(value, str) else _made(where, value, Retry)


def _filtered(where: str, value: Any) -> Any:
    return value if isinstance(value, str) else _made(where, value, Filtered)


def _degrade(_: str, value: Any) -> Degrade:
    return Degrade(value)


def _request_metadata(where: str, value: Any) -> RequestMetadata:
    if not isinstance(value, list):
        raise ValueError(  # noqa: TRY004 - of a file
            f"{where} = {shown(value)}: set a list of the names that your code sets with context(...), such as "
            '["team"], or set [] to send all names'
        )
    return RequestMetadata(*value)


def _fallback(where: str, value: Any) -> Fallback:
    if not isinstance(value, dict):
        raise ValueError(f'{where} = {shown(value)}: set a table with targets = ["a-model-id"]')  # noqa: TRY004 - of a file
    _check(where, value, ["targets", *_options(Fallback)])
    table = dict(value)
    targets = table.pop("targets", None)
    if not isinstance(targets, list) or not targets:
        raise ValueError(f"{where}.targets = {shown(targets)}: set a list of model ids or tables")
    return Fallback(*(_target(f"{where}.targets", each) for each in targets), **table)


def _target(where: str, value: Any) -> str | Target:
    if isinstance(value, str):
        return value
    table = dict(_table(where, value))
    if "model_id" not in table:
        raise ValueError(f'{where} = {shown(value)}: the table has no model_id; add model_id = "a-model-id"')
    if "quota" in table:
        table["quota"] = _quota(f"{where}.quota", table["quota"])
    target: Target = _made(where, table, Target)
    return target


def _as_it_is(_: str, value: Any) -> Any:
    return value


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "quota": _quota,
    "cache": _cache,
    "filtered": _filtered,
    "degrade": _degrade,
    "fallback": _fallback,
    "dead_letters": _dead_letters,
    "on_interrupt": _as_it_is,
    "retry": _retry,
    "max_cost": _as_it_is,
    "request_metadata": _request_metadata,
}


def _made(where: str, value: Any, kind: Callable[..., Any], *, also: Collection[str] = ()) -> Any:
    table = _table(where, value)
    _check(where, table, [*_options(kind), *also])
    try:
        return kind(**table)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - the error is in a file
            f"{where} = {shown(value)}: set a table of options, such as {{ option = 1 }}"
        )
    return value


def _options(kind: Callable[..., Any]) -> list[str]:
    return [
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind not in _MANY and name not in _IN_CODE
    ]


def _check(where: str, table: dict[str, Any], allowed: Collection[str]) -> None:
    for key in table:
        if key not in allowed:
            only = "; only Python code can set this option" if key in _IN_CODE else ""
            raise ValueError(f"{where} has no option {key!r:.40}{only}; allowed here: {', '.join(sorted(allowed))}")
