"""Build the index of the error catalogue from its TOML files: `python -m aws_bedrock_inference.knowledge.build`.

People edit the catalogue in TOML. The package reads one JSON file, the index, because reading TOML takes 0.1 seconds.

* A "cause" in a TOML file describes what an error means.
* A "fault" describes an error code of a service. It names the usual cause of the code.
* A "message" belongs to a fault. It contains words and names a cause. If an error's text contains the words, the cause
  of the message replaces the usual cause of the code.
"""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.fault import Category, Decision, Hint, Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
SOURCES = HERE / "errors"
OWNERS = HERE / "owners.toml"
LASTING = HERE / "lasting.toml"
INDEX = HERE / "index.json"
OPERATIONS = HERE / "operations.json"
FOREIGN = HERE / "foreign_operations.json"

ANY, OTHER = "any", "other"
"""Words in place of a service: `any` for errors of every service, `other` for services that no remedy names."""

_CATEGORY = {"RETRY": "transient", "FAIL": "permanent", "RETRY_LIMITED": "unknown"}

# Each cause belongs to a group. The kind of the faults of a group, if a fault does not state its kind.
_KINDS = {
    "throttling": "throttled",
    "service-fault": "server",
    "network": "unreachable",
    "model-output": "model",
    "credentials": "denied",
    "authorization": "denied",
    "model-access": "denied",
}

# The origin of the causes of a group, if a cause does not state its origin. In all other groups, it is the service.
_ORIGINS = {
    "network": "network",
    "credentials": "identity",
    "client-setup": "caller",
    "region": "caller",
    "request-shape": "caller",
    "request-size": "caller",
    "authorization": "caller",
}

_CAUSE = {
    "group": str,
    "title": str,
    "meaning": str,
    "decision": str,
    "category": str,
    "scope": str,
    "origin": str,
    "remedies": list,
    "link": str,
    "seen": date,
    "source": str,
    "practice": str,
    "retry_after": float,
    "note": str,
    "again": str,
    "again_unless": str,
}
_REMEDY = {"do", "run", "for", "when", "unless"}
_CAUSE_NEEDS = ("group", "title", "meaning", "decision", "scope", "remedies", "source", "seen")
_SCOPES = ("request", "resource", "model", "region", "account", "credentials", "client")
_FAULT = {
    "codes": list,
    "statuses": list,
    "cause": str,
    "kind": str,
    "hint": dict,
    "unhealthy": bool,
    "reached": bool,
    "limit": str,
    "firm": bool,
    "why": str,
    "source": str,
    "example": str,
    "message": list,
}
_MESSAGE = {
    "contains": list,
    "all": list,
    "none": list,
    "beside": list,
    "pattern": str,
    "cause": str,
    "kind": str,
    "hint": dict,
    "unhealthy": bool,
    "limit": str,
    "rank": int,
    "coded": bool,
    "why": str,
    "seen": str,
    "example": str,
}
_FILE = {"service": str, "title": str, "names": list, "aws": list, "passes_on": list, "practice": dict, "status": dict}
_FILE |= {"parts": dict, "quotas": str, "chapter": list, "cause": dict, "fault": list, "shape": list}


class CatalogueError(ValueError):
    """Raised if the description of a cause or an error code in the error catalogue is invalid. The message states where
    and why.
    """


def build(sources: Path = SOURCES) -> dict[str, Any]:
    """Read the TOML files in the directory `sources`. Return the error catalogue in the form of `index.json`.

    Raises CatalogueError if the description of a cause or an error code is invalid.
    """
    files = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(sources.glob("*.toml"))}
    causes: dict[str, Any] = {}
    faults: list[dict[str, Any]] = []
    services: dict[str, Any] = {}
    for name, data in files.items():
        _check(data, _FILE, ("service", "title"), name)
        services.setdefault(data["service"], _service(data))
        for table in ("practice", "status", "parts"):
            services[data["service"]][table] |= data.get(table, {})
        services[data["service"]]["chapters"] |= {each: list(data["cause"]) for each in data.get("chapter", ())}
        for slug, entry in data.get("cause", {}).items():
            if slug in causes:
                raise CatalogueError(
                    f"{name}: cause {slug} is defined twice, here and in another file. Rename or remove one of the two"
                )
            causes[slug] = _cause(entry, f"{name}: cause {slug}")
        for number, entry in enumerate(data.get("fault", ()), 1):
            faults.append(
                _fault(entry, data["service"], f"{name}: fault {number} ({', '.join(entry.get('codes', ()))})")
            )
    _check_whole(faults, causes)
    for fault in faults:
        _settle_kinds(fault, causes)
    shapes = [_shape(shape, faults) for data in files.values() for shape in data.get("shape", ())]
    return {
        "causes": causes,
        "faults": faults,
        "services": services,
        "shapes": shapes,
        "owners": _owners(),
        "lasting": _lasting(),
    }


def _shape(shape: dict[str, str], faults: list[dict[str, Any]]) -> list[str]:
    """Return the two fields `pattern` and `like` of an entry `[[shape]]` in a TOML file.

    `pattern` describes unknown codes, such as all codes that end with `NotFound`. `like` is a known code. An unknown
    code that matches `pattern` gets the meaning of the code `like`.
    """
    pattern, like = re.compile(shape["pattern"]).pattern, shape["like"]
    if not any(like in fault["codes"] for fault in faults if fault["service"] == ANY):
        raise CatalogueError(
            f"[[shape]] {pattern}: `like` names the code {like}, but no fault of the service {ANY!r} has this code. "
            "Add the code to a fault of this service, or correct `like`"
        )
    return [pattern, like]


def _owners() -> dict[str, Any]:
    owners = tomllib.loads(OWNERS.read_text(encoding="utf-8"))
    lists = {key: owners["aws"][key] for key in ("proofs", "hints")}
    kinds = ("stand_ins", "programs", "clients")
    lists |= {f"{kind} {name}": owners[kind][name] for kind in kinds for name in owners[kind]}
    for name, marks in lists.items():
        if any(mark != mark.lower() for mark in marks):
            raise CatalogueError(f"{OWNERS.name}: a text in the list {name} has an upper-case letter. Use lower case")
    return owners


def _lasting() -> dict[str, list[str]]:
    words: dict[str, list[str]] = tomllib.loads(LASTING.read_text(encoding="utf-8"))
    for pattern in (*words["lasting"], *words["passing"]):
        if re.compile(pattern).groups or pattern != pattern.lower():
            raise CatalogueError(
                f"{LASTING.name}: the pattern {pattern} has an upper-case letter or a capturing group. Write it in "
                "lower case, with (?:...) instead of (...)"
            )
    return words


def _service(data: dict[str, Any]) -> dict[str, Any]:
    lists = {key: data.get(key, []) for key in ("aws", "passes_on", "names")}
    return {
        "title": data["title"],
        "practice": {},
        "status": {},
        "parts": {},
        "chapters": {},
        "quotas": data.get("quotas", ""),
        **lists,
    }


def _check_whole(faults: list[dict[str, Any]], causes: dict[str, Any]) -> None:
    met: set[tuple[str, str]] = set()
    for fault in faults:
        service = fault["service"]
        for slug in (fault["cause"], *(rule["cause"] for rule in fault["messages"])):
            if slug not in causes:
                raise CatalogueError(
                    f"{service}: a fault names the cause {slug}, but no file defines this cause. Define the cause, or "
                    "correct its name"
                )
        for code in fault["codes"]:
            if (service, code) in met:
                raise CatalogueError(
                    f"{service}: the error code {code} is in `codes` of two faults. Remove it from one of them"
                )
            met.add((service, code))


def _cause(entry: dict[str, Any], where: str) -> dict[str, Any]:
    _check(entry, _CAUSE, _CAUSE_NEEDS, where)
    if entry["scope"] not in _SCOPES:
        raise CatalogueError(f"{where}: scope is {entry['scope']!r}; use one of {', '.join(_SCOPES)}")
    Decision(entry["decision"])
    category = Category(entry.get("category", _CATEGORY[entry["decision"]])).value
    origin = Origin(entry.get("origin") or _ORIGINS.get(entry["group"], "service")).value
    remedies = [_remedy(remedy, where) for remedy in entry["remedies"]]
    general = [services for _, _, services, *told in remedies if not (told and told[0])]
    if all(services and OTHER not in services for services in general):
        raise CatalogueError(
            f"{where}: every remedy has `for`, `when` or `unless`, so no remedy matches the other errors. "
            f"Add a remedy without these keys, or a remedy with only `for` = [{OTHER!r}]"
        )
    return {**entry, "category": category, "origin": origin, "remedies": remedies, "seen": entry["seen"].isoformat()}


def _remedy(remedy: Any, where: str) -> list[Any]:
    if not isinstance(remedy, dict) or not remedy.get("do") or not remedy.keys() <= _REMEDY:
        raise CatalogueError(
            f"{where}: the remedy {remedy!r} is not a table with the key `do`, or has an unknown key. "
            f"Use only the keys {', '.join(sorted(_REMEDY))}"
        )
    when, unless = remedy.get("when", ""), remedy.get("unless", "")
    groups = re.compile(when).groupindex.keys()
    named = set(re.findall(r"\{([a-z_]+)\}", remedy["do"]))
    if named != set(groups) or re.compile(unless).groups:
        raise CatalogueError(
            f"{where}: the names in braces in `do` are {sorted(named)}, and the named groups in `when` are "
            f"{sorted(groups)}. Use the same names in both, and no group in `unless`"
        )
    told = [when, unless] if when or unless else []
    return [remedy["do"], remedy.get("run", ""), remedy.get("for", []), *told]


def _fault(entry: dict[str, Any], service: str, where: str) -> dict[str, Any]:
    _check(entry, _FAULT, ("cause",), where)
    rules = []
    for rule in entry.get("message", ()):
        _check(rule, _MESSAGE, ("cause",), f"{where}: message {rule.get('contains')}")
        texts = [text for key in ("contains", "all", "none", "beside") for text in rule.get(key, ())]
        if not texts or any(text != text.lower() or "\u2019" in text for text in texts):
            raise CatalogueError(
                f"{where}: the texts of a [[fault.message]] are {texts}. Set `contains` or `all`, and write all texts "
                "in lower case, with ' as apostrophe"
            )
        re.compile(rule.get("pattern", ""))
        rules.append({key: value for key, value in rule.items() if key not in {"why", "seen", "example"}})
    for hinted in (entry, *rules):
        Hint(**hinted.get("hint", {}))
    kept = {key: value for key, value in entry.items() if key not in {"why", "source", "example", "message"}}
    return {"codes": [], "statuses": [], **kept, "service": service, "messages": rules}


def _settle_kinds(fault: dict[str, Any], causes: dict[str, Any]) -> None:
    for entry in (fault, *fault["messages"]):
        known = entry.get("kind") or _KINDS.get(causes[entry["cause"]]["group"]) or fault.get("kind") or "invalid"
        entry["kind"] = Kind(known).value


def _check(entry: dict[str, Any], allowed: Mapping[str, type], needed: tuple[str, ...], where: str) -> None:
    for key, value in entry.items():
        if key not in allowed:
            raise CatalogueError(f"{where}: the key {key!r} is not allowed; use only {', '.join(allowed)}")
        if not isinstance(value, allowed[key]):
            raise CatalogueError(f"{where}: {key} must be of the type {allowed[key].__name__}, but is {value!r}")
    for key in needed:
        if not entry.get(key):
            raise CatalogueError(f"{where}: {key} is missing or empty; set it")


def written(index: dict[str, Any]) -> str:
    """Return the text of `index.json`, the error catalogue in one file."""
    return json.dumps(index, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"


def operations(services: Mapping[str, Any]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return two dictionaries about the API operations in botocore.

    * In the first, a key is the name of an operation. The value is the list of the catalogue's services that have this
      operation. If services outside the catalogue also have the operation, the list contains "", too.
    * In the second, a key is the name of a service in botocore. The value is the list of this service's operations,
      without operations that a service of the catalogue has, too. For a service of the catalogue, the list is empty.
    """
    from botocore.loaders import Loader  # noqa: PLC0415 - only when building

    loader = Loader(include_default_search_paths=False, extra_search_paths=[Loader.BUILTIN_DATA_PATH])
    homes = {aws: service for service, about in services.items() for aws in about["aws"]}
    found: dict[str, set[str]] = {}
    named: dict[str, list[str]] = {}
    for aws in loader.list_available_services("service-2"):
        named[aws] = list(loader.load_service_model(aws, "service-2")["operations"])
        for name in named[aws]:
            found.setdefault(name, set()).add(homes.get(aws, ""))
    here = {name: sorted(places, key=lambda place: (not place, place)) for name, places in found.items()}
    foreign = {aws: [name for name in names if here[name] == [""]] for aws, names in named.items()}
    return {name: places for name, places in here.items() if places != [""]}, foreign


if __name__ == "__main__":
    made = build()
    INDEX.write_text(written(made), encoding="utf-8")
    here, foreign = operations(made["services"])
    OPERATIONS.write_text(written(here), encoding="utf-8")
    FOREIGN.write_text(written({aws: names for aws, names in foreign.items() if names}), encoding="utf-8")
