"""Decide on which other routes a failed request can succeed. A route is the model, Region, quota pool and account of a
call. The cause of the failure decides which of these four must be different.
"""

from __future__ import annotations

import tomllib
from functools import cache
from typing import NamedTuple

from aws_bedrock_inference.fault import Decision, Fault, Origin
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.data import text_of_file

DIFFERENCES = ("model", "region", "pool", "account")
"""The properties in which one route can differ from another."""

ANY = frozenset(DIFFERENCES)
NOWHERE: frozenset[str] = frozenset()

_CALLERS = frozenset({Origin.IDENTITY, Origin.MACHINE})


def elsewhere(fault: Fault) -> frozenset[str]:
    """Return the properties of a route that matter for a failed request: one or more of model, Region, quota pool and
    account. On a route that differs in one of these properties, the same request can succeed.

    The result is empty if the request would fail on every route.
    """
    listed = _groups().get(fault.cause)
    if listed is not None:
        return listed.differs
    if fault.origin in _CALLERS or fault.decision is Decision.FAIL:
        return NOWHERE
    return ANY


def closes(fault: Fault) -> bool:
    """Return True if all calls on the same route fail with this fault until somebody changes a setting."""
    listed = _groups().get(fault.cause)
    return listed is not None and listed.closes


def causes() -> set[str]:
    """Return the names of all causes that a fault can have."""
    return {*catalogue().causes, *_groups()}


class _Group(NamedTuple):
    differs: frozenset[str]
    closes: bool


@cache
def _groups() -> dict[str, _Group]:
    groups = tomllib.loads(text_of_file("elsewhere.toml"))["elsewhere"]
    return {
        cause: _Group(frozenset(group["differs"]), group.get("closes", False))
        for group in groups
        for cause in group["causes"]
    }
