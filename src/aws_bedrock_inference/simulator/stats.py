"""The simulator's own counts of requests and tokens. Tests compare them with the counts of a client."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.request import Asked

_KEPT_SECONDS = 3600  # length of the history by second; totals are kept permanently


@dataclass(slots=True)
class Second:
    """One second of traffic. `tokens` is the number of tokens that were charged for requests that ended in this
    second.
    """

    second: int
    arrived: int = 0
    answered: int = 0
    throttled: int = 0
    tokens: float = 0.0


@dataclass(slots=True)
class Share:
    """The counts of one quota pool or one caller. `tokens` is the number of tokens that were charged for completed
    requests.
    """

    answered: int = 0
    throttled: int = 0
    tokens: float = 0.0


class Stats:
    """The counts since the scenario was loaded. The argument `now` of the methods is in seconds since that time."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._throttled: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._seconds: deque[Second] = deque(maxlen=_KEPT_SECONDS)
        self._pools: defaultdict[str, Share] = defaultdict(Share)
        self._callers: defaultdict[str, Share] = defaultdict(Share)

    def arrived(self, now: float) -> None:
        """Count a request that arrived, whatever its result."""
        self._counts["arrived"] += 1
        self._second(now).arrived += 1

    def admitted(self, reserved: float) -> None:
        """Count a request that the quotas admitted, and the tokens that it reserves."""
        self._counts["admitted"] += 1
        self._tokens["reserved"] += round(reserved)

    def settled(self, now: float, asked: Asked, *, read: int, written: int, charged: float) -> None:
        """Count the tokens of a completed request: in the prompt (`read`), in the answer (`written`), and charged to
        the quota.
        """
        self._tokens.update({"input": read, "output": written, "charged": round(charged)})
        self._second(now).tokens += charged
        for share in self._shares(asked):
            share.tokens += charged

    def answered(self, now: float, asked: Asked) -> None:
        """Count an answer that was sent completely."""
        self._counts["answered"] += 1
        self._second(now).answered += 1
        for share in self._shares(asked):
            share.answered += 1

    def throttled(self, now: float, asked: Asked, limit: str) -> None:
        """Count a throttled request. Each `limit` (the limit that the error names) has its own count."""
        self._throttled[limit] += 1
        self._second(now).throttled += 1
        for share in self._shares(asked):
            share.throttled += 1

    def record_fault(self, fault: str) -> None:
        """Count a fault of the scenario that took effect."""
        self._faults[fault] += 1

    def refused(self, code: str) -> None:
        """Count an answer with an error, whatever caused it."""
        self._errors[code] += 1

    def report(self) -> dict[str, Any]:
        """Return all counts as JSON values."""
        return {
            **{name: self._counts[name] for name in ("arrived", "admitted", "answered")},
            "throttled": dict(self._throttled),
            "faults": dict(self._faults),
            "errors": dict(self._errors),
            "tokens": {name: self._tokens[name] for name in ("reserved", "charged", "input", "output")},
            "pools": {name: asdict(share) for name, share in self._pools.items()},
            "callers": {name: asdict(share) for name, share in self._callers.items()},
            "seconds": [asdict(second) for second in self._seconds],
        }

    def _shares(self, asked: Asked) -> tuple[Share, Share]:
        return self._pools[f"{asked.base} {asked.region} {asked.pool}"], self._callers[asked.caller]

    def _second(self, now: float) -> Second:
        if not self._seconds or self._seconds[-1].second != int(now):
            self._seconds.append(Second(int(now)))
        return self._seconds[-1]
