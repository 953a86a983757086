"""The error catalogue, with lookups by code, HTTP status, cause and message. It is read from `index.json` at the first
use.

An "entry" describes one error code of a service. A "signature" contains the words that identify one message of an
error. A "normal" text is lower case and has single spaces (see `words.py`).
"""

from __future__ import annotations

import json
import re
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.data import text_of_file
from aws_bedrock_inference.knowledge.entries import Entry, Signature, cause_of
from aws_bedrock_inference.knowledge.words import Parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.fault import Fault

# A name with at least three capitals before `Error` can be a code, such as `InvalidParameterValueError`. A name with
# fewer capitals can be a word of any program.
_HUMPS, _MANY_HUMPS = re.compile("[A-Z]"), 3
_NO_WORD = 15  # letters: codes that are also English words are shorter

ANY = "any"
"""The name that stands for the service in errors that every service can return."""

HOME = "bedrock-runtime"  # the service whose statuses are used if the service is unknown


class Catalogue:
    """The complete error catalogue and its lookups.

    `operations` maps the name of an API operation to the set of the catalogue's services that have it. If services
    outside the catalogue also have an operation with this name, the set contains "", too. `homes` maps the name of a
    service in boto3 to its name in the catalogue. Several services in boto3 can be one service in the catalogue.
    """

    def __init__(self, index: dict[str, Any], operations: dict[str, list[str]]) -> None:
        self.operations = operations
        self.owners: dict[str, Any] = index["owners"]
        self.lasting: dict[str, list[str]] = index["lasting"]
        self._shapes: list[tuple[str, str]] = index["shapes"]
        self.causes = {slug: cause_of(slug, data) for slug, data in index["causes"].items()}
        self.services: dict[str, dict[str, Any]] = index["services"]
        self.homes = {aws: service for service, about in self.services.items() for aws in about["aws"]}
        self.entries = [self._entry(data) for data in index["faults"]]
        self.by_code: dict[str, list[Entry]] = {}
        self._by_status: dict[tuple[str, int], Entry] = {}
        for entry in self.entries:
            for code in entry.codes:
                self.by_code.setdefault(code, []).append(entry)
        for entry in self.entries:
            shared = entry.service != ANY
            entry.own_codes = frozenset(code for code in entry.codes if not (shared and self._at_any(code)))
            for status in entry.statuses:
                self._by_status.setdefault((entry.service, status), entry)
        self.signatures = [signature for entry in self.entries for signature in entry.signatures]
        self._told = [(each, part) for each in self.signatures for part in each.contains or each.all[:1]]

    @cached_property
    def _parts(self) -> Parts:
        """The words that identify the messages of errors, indexed for a fast search. The index is created when the
        first error is examined.
        """
        return Parts(part for _, part in self._told)

    @cached_property
    def unsent(self) -> frozenset[str]:
        """The codes of errors that occur before a request is sent."""
        return frozenset(code for entry in self.entries if not entry.data.get("reached", True) for code in entry.codes)

    @cached_property
    def general(self) -> frozenset[str]:
        """The causes that can occur in every service. A code with such a cause means the same in every service."""
        return frozenset(each.cause.slug for entry in self.entries if entry.service == ANY for each in entry.meanings())

    @cached_property
    def names(self) -> list[tuple[str, str]]:
        """Pairs of a service and a name that error texts use for this service."""
        return [(service, name) for service, facts in self.services.items() for name in facts["names"]]

    @cached_property
    def _name_parts(self) -> Parts:
        return Parts(name for _, name in self.names)

    def named(self, text: str, there: set[str]) -> list[tuple[str, str]]:
        """Return the services that a text names, each with the name that the text uses.

        `text` must be normal (lower case, single spaces). `there` is the result of `words.clues` for this text.
        """
        return [self.names[number] for number in self._name_parts.within(text, there)]

    def _at_any(self, code: str) -> bool:
        return any(entry.service == ANY for entry in self.by_code[code])

    def matching(self, text: str, there: set[str]) -> Iterator[tuple[Signature, str]]:
        """Find the error messages that a text contains. Yield their signatures in the catalogue's order, each with the
        words that matched.

        A signature contains the words that identify a message. `text` must be normal (lower case, single spaces).
        `there` is the result of `words.clues` for this text.
        """
        found: dict[Signature, list[str]] = {}
        for number in self._parts.within(text, there):
            signature, part = self._told[number]
            found.setdefault(signature, []).append(part)
        for signature, parts in found.items():
            if decided := signature.decided(text, parts):
                yield signature, decided

    def code(self, name: str) -> str:
        """Return the error code that `name` stands for, or an empty string if `name` is not a code.

        The first letter of `name` can be in lower case, because streams write `throttlingException` for the code
        `ThrottlingException`. A name that is completely in lower case is accepted only if it has at least 15 letters. A
        shorter name can be an English word.
        """
        if name in self.by_code:
            return name
        if name.islower():
            return self._small.get(name, "") if len(name) >= _NO_WORD else ""
        folded = name[:1].upper() + name[1:]
        if folded in self.by_code:
            return folded
        bare = folded.removesuffix("Error")  # the spelling in the CLI of Elastic Beanstalk
        return bare if bare in self.by_code and len(_HUMPS.findall(bare)) >= _MANY_HUMPS else ""

    def alike(self, code: str) -> Entry | None:
        """Return the entry (description of an error) for an unknown code whose form is known, such as a name that ends
        in `NotFound`. Return None if the form is unknown, too.
        """
        like = next((like for pattern, like in self._shapes if re.search(pattern, code)), "")
        return next((entry for entry in self.by_code.get(like, ()) if entry.service == ANY), None)

    @cached_property
    def _small(self) -> dict[str, str]:
        return {code.lower(): code for code in self.by_code}

    def status(self, service: str, code: str) -> int | None:
        """Return the HTTP status with which a service returns `code`, or None if the status is unknown. For a cause
        without a code, pass the name of the cause as `code`.
        """
        told: dict[str, dict[str, int]] = {name: about["status"] for name, about in self.services.items()}
        return told.get(service or HOME, {}).get(code) or told[ANY].get(code)

    @cached_property
    def practices(self) -> dict[str, str]:
        """Sentences that state how to avoid errors. Each key is the name of a sentence, such as `pace-by-quota`."""
        return {slug: text for about in self.services.values() for slug, text in about["practice"].items()}

    def by_status(self, service: str | None, status: int) -> Entry | None:
        """Return the entry (description of an error) for an HTTP status. The entry is used if the error has no known
        code.
        """
        return self._by_status.get((service or ANY, status)) or self._by_status.get((ANY, status))

    def template(self, cause: str) -> Fault:
        """Return the fault that has this cause. It contains no details of a call, such as a request id."""
        every: list[Entry | Signature] = [*self.signatures, *self.entries]
        return next(each.template for each in every if each.cause.slug == cause)

    def _entry(self, data: dict[str, Any]) -> Entry:
        about = data["service"], tuple(data["codes"]), tuple(data["statuses"])
        entry = Entry(*about, self.causes[data["cause"]], data, data.get("firm", False))
        for rule in data["messages"]:
            entry.signatures.append(
                Signature(
                    entry,
                    self.causes[rule["cause"]],
                    rule,
                    tuple(rule.get("contains", ())),
                    tuple(rule.get("all", ())),
                    tuple(rule.get("none", ())),
                    tuple(rule.get("beside", ())),
                    rule.get("pattern", ""),
                    rule.get("rank", 0),
                    rule.get("coded", False),
                )
            )
        return entry


@cache
def catalogue() -> Catalogue:
    """Return the catalogue. The first call reads it from the index."""
    return Catalogue(*(json.loads(text_of_file(name)) for name in ("index.json", "operations.json")))
