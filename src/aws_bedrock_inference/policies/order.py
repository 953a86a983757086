"""The orders of policies that a pipeline refuses, because a policy would not work as documented.

The rules name classes of this package, and also apply to their subclasses. No rule applies to other classes that a
program defines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

ORDER = (
    "RequestMetadata, Degrade, DeadLetter, Filtered, Cache, Deadline, Complete, Resume, Fallback, Retry, MaxCost, "
    "GeographicProfile, Breaker, Quota"
)
"""The order of `standard`, from the outermost to the innermost policy."""


class Rule(NamedTuple):
    """A rule that forbids an order of policies. A pipeline is refused if a policy in `outer` comes before (outside) a
    policy in `inner`. `reason` is the part of the error message that explains the rule.
    """

    outer: tuple[str, ...]
    inner: tuple[str, ...]
    reason: str


_REPEATING = ("Complete", "Resume", "Fallback", "Retry")
_REFUSING = ("MaxCost", "Breaker", "Quota")

RULES = (
    *(Rule((name,), (name,), "a pipeline must contain only one {inner}") for name in ("Fallback", "Retry")),
    Rule(("Retry", *_REFUSING), _REPEATING, "{outer} must see each request that {inner} sends"),
    Rule(("GeographicProfile",), ("Fallback",), "{outer} must see each request that {inner} sends"),
    Rule(
        (*_REPEATING, *_REFUSING, "GeographicProfile", "Filtered", "Cache"),
        ("DeadLetter",),
        "{inner} must see the result of the whole call",
    ),
    Rule(
        (*_REPEATING, *_REFUSING, "DeadLetter", "Cache"),
        ("Degrade",),
        "{outer} must see the failure that {inner} replaces",
    ),
    Rule(("Complete", "Resume", "Fallback"), ("Filtered",), "{outer} must see the answer that {inner} replaces"),
    Rule(("Fallback", "Retry", *_REFUSING), ("Cache",), "{inner} must answer a call before {outer} handles it"),
    Rule(
        ("Resume", "Fallback", "Retry", "MaxCost", "GeographicProfile", "Quota"),
        ("Deadline",),
        "{outer} must see the deadline",
    ),
    Rule(("Breaker", "Quota"), ("GeographicProfile",), "{outer} must see the profile that {inner} chooses"),
    Rule(("Quota",), ("MaxCost",), "a call must not reserve quota while {inner} delays it"),
)


class Ordered:
    """A policy that cannot work at some positions in a pipeline."""

    def placed(self, outer: Sequence[object], inner: Sequence[object]) -> None:
        """Raise `ValueError` if this policy is in a wrong position. `outer` are the policies before it in the pipeline,
        and `inner` are the policies after it.
        """
        for each in outer:
            _check(each, self)
        for each in inner:
            _check(self, each)


def _check(outer: object, inner: object) -> None:
    names = _name(outer), _name(inner)
    for rule in RULES:
        if names[0] in rule.outer and names[1] in rule.inner:
            another = "another " if names[0] == names[1] else ""
            reason = rule.reason.format(outer=names[0], inner=names[1])
            raise ValueError(
                f"Pipeline(): {names[0]} comes before {another}{names[1]}, but {reason}; write the policies in this "
                f"order: {ORDER}"
            )


def _name(policy: object) -> str:
    """Return the name of the policy's class if this package defines the class. For a program's own subclass of such a
    class, return the name of the package's class. Return an empty text for all other classes.
    """
    ours = (kind.__name__ for kind in type(policy).__mro__ if kind.__module__.startswith(f"{__package__}."))
    return next(ours, "")
