"""Convert the counts of this process into a report. The report has costs in dollars, and contains no text that can be a
secret.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Protocol

from aws_bedrock_inference.call import Usage
from aws_bedrock_inference.event_fields import id_of, named
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.models import model_facts
from aws_bedrock_inference.pricing import cost_of
from aws_bedrock_inference.telemetry.alerts.report import Answers, Failures, Letters, Report, Use

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.rules.quota.ledger import Ledger
    from aws_bedrock_inference.telemetry.alerts.tally import Answered, Counts

# The operation whose calls AWS does not charge.
_FREE = "count_tokens"

# The number of bars (`|`) in the name of a quota. An invalid model id can contain a bar, too.
_PARTS = 3


class Limits(Protocol):
    """An object from which alerts read the limits of quotas, such as the policy `Quota`."""

    def ledger(self, route: Route, now: float) -> Ledger:
        """Return the ledger of the quota that calls on this route use. A ledger contains the limits and the use of a
        quota.
        """


def counted(counts: Counts, quota: Limits | None, now: float) -> Report:
    """Convert `counts` into a report, and return the report.

    If `quota` is passed, the report also contains the used quotas and their limits. `quota` provides these limits.
    `now` is the current time of the clock that `quota` uses.
    """
    answers = tuple(_answers(*key[1:], row) for key, row in counts.answers.items())
    failures = tuple(
        Failures(
            place_of(row.route),
            operation,
            masked(tenant),
            cause,
            row.kind,
            row.count,
            masked(named(row.code) or "an unnamed error"),
            masked(id_of(row.request_id) or ""),
            recognised(cause, row.message),
            row.advice[:500] if row.kind == "refusal" else "",
        )
        for (_, operation, tenant, cause), row in counts.failures.items()
    )
    letters = tuple(
        Letters(place_of(route), cause, kept, lost) for (_, cause), (route, kept, lost) in counts.letters.items()
    )
    return Report(answers, failures, letters, tuple(_uses(counts, quota, now)))


def place_of(route: Route) -> str:
    """Return the name of a place, which is a model and a Region. The model is written as the caller wrote it."""
    return f"{masked(route.model).replace('|', '/')}|{route.region}"


@lru_cache(1000)
def recognised(cause: str, message: str) -> str:
    """Return the words of `message` by which the error catalogue recognizes `cause`.

    The words come from the catalogue, so they cannot quote the request.
    """
    text = " ".join(message.lower().split())
    known = (each for each in catalogue().signatures if each.cause.slug == cause)
    parts = {part for signature in known for part in (*signature.contains, *signature.all) if part in text}
    longest = [part for part in parts if not any(part != other and part in other for other in parts)]
    return " … ".join(sorted(longest, key=text.index))


def _answers(operation: str, tenant: str, tier: str, row: Answered) -> Answers:
    usage = _usage(row)
    tokens = row.input + row.output + row.cache_write
    cost = 0.0 if operation == _FREE else cost_of(usage, row.route, tier)
    return Answers(place_of(row.route), operation, masked(tenant), row.count, tokens, cost, row.refused, row.truncated)


def _usage(row: Answered) -> Usage:
    return Usage(
        row.input,
        row.output,
        row.cache_read,
        row.cache_write,
        cache_write_1h_tokens=row.cache_write_1h,
        requests=row.count,
    )


def _uses(counts: Counts, quota: Limits | None, now: float) -> list[Use]:
    """Return one `Use` for each quota that the answered calls used.

    A `Use` contains the requests and the tokens of the calls, and the limits of the quota. The limits come from the
    policy `quota`. If `quota` is None, the result is empty.
    """
    if quota is None:
        return []
    uses: dict[str, Use] = {}
    for (_, operation, _, _), row in counts.answers.items():
        route = row.route
        if operation == _FREE or route.quota_key.count("|") != _PARTS:
            continue
        known = uses.get(route.quota_key) or _limits(quota, route, now)
        charged = round(_usage(row).charge(model_facts(route.base or route.model).burndown))
        uses[route.quota_key] = known._replace(requests=known.requests + row.count, tokens=known.tokens + charged)
    return list(uses.values())


def _limits(quota: Limits, route: Route, now: float) -> Use:
    ledger = quota.ledger(route, now)
    rates, day = ledger.snapshot(now).estimates, ledger.day.limit
    known = (rates.get("requests", inf), rates.get("tokens", inf), day)
    rpm, tpm, tpd = (limit if limit < inf else None for limit in known)
    return Use(route.quota_key, 0, 0, rpm, tpm, tpd)
