"""A client that need not learn, for `quota_matrix.py`: a `Quota` whose estimators are replaced by the truth. It shows
how much of the oracle's use is out of reach of any client, because no client knows the state of the service.

The client knows how the service counts, the burst, the present limit, the burndown, and when fixed minutes begin. It
does not know how full the service is, which throttles are noise, or what other clients do.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from quota_worlds import MEMBERS, ROUTE, Run

from aws_bedrock_inference.rules.quota.burndown import Burndown
from aws_bedrock_inference.rules.quota.minutes import Minutes
from aws_bedrock_inference.simulator.quota import Bucket, Fixed

if TYPE_CHECKING:
    from aws_bedrock_inference.policies import Quota
    from aws_bedrock_inference.rules.quota.ledger import Ledger
    from aws_bedrock_inference.rules.quota.limit import Limit
    from aws_bedrock_inference.rules.quota.observed import Counts, Throttle

LARGEST = 60.0  # seconds of quota that a client saves at most, because a configured limit holds for each minute


class Truth:
    """An estimator of the tokens that knows the limit and the burst of `run`."""

    known = True
    reason = "told"
    noise = 0.0
    ceiling = inf

    def __init__(self, run: Run) -> None:
        self._run = run
        self.estimate = self.burst = self.slack = 0.0
        self._read()

    def _read(self) -> None:
        self.estimate = self._run.tpm / (MEMBERS if self._run.world.members == "strangers" else 1)
        self.burst, self.slack = LARGEST, 0.0
        if isinstance(limit := self._run.service, Bucket):  # a bucket accepts reservations beyond the minute
            self.burst, self.slack = limit.capacity * 60.0 / limit.limit, 4.0

    def elapsed(self, seconds: float, counts: Counts) -> None:  # noqa: ARG002 - an estimator
        self._read()

    def throttled(self, throttle: Throttle, counts: Counts) -> bool:  # noqa: ARG002 - an estimator
        self._read()
        return self._run.world.noise == 0.0  # a refused call proves that the bucket is nearly empty

    def overfull(self, used: float, minute: float) -> bool:  # noqa: ARG002 - an estimator
        return False

    def adopt(self, estimate: float) -> None:
        """Ignore what others estimate."""

    def adopt_noise(self, noise: float) -> None:
        """Ignore the noise that others found."""


class KnownMinutes(Minutes):
    """Minutes whose start is known if the service of `run` counts fixed minutes."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self.due = 0.0

    def turn(self, slots: Any, limit: Limit, now: float, *, exact: bool) -> None:
        service = self._run.service
        self.phase = service._start % 60.0 if isinstance(service, Fixed) else None  # noqa: SLF001 - nobody else asks
        super().turn(slots, limit, now, exact=exact)

    def refused(self, *_: Any) -> bool:
        return False

    def _look(self, *_: Any, **__: Any) -> None:
        """Learn nothing."""


class Informed(Run):
    """A run of a world whose clients know the quota."""

    def _made(self) -> list[Quota]:
        self._table = self._burndown
        quotas = super()._made()
        for quota in quotas:
            quota.set_burndown(ROUTE.model, self._burndown)
            opened = quota._open  # noqa: SLF001 - the only place where a ledger is made

            def known(*given: Any, opened: Any = opened) -> Any:
                pool = opened(*given)
                self._inform(pool.ledger)
                return pool

            quota._open = known  # type: ignore[assignment,method-assign]  # noqa: SLF001
        return quotas

    def _inform(self, ledger: Ledger) -> None:
        window = ledger.window
        window.tokens.estimator = Truth(self)
        window.tokens.told = True
        window.requests.estimator.estimate = inf
        window.minutes = KnownMinutes(self)
        window.burndown = Burndown(self._burndown)
