"""A failure, with everything that a policy or a person needs to decide what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Category(Enum):
    """The category of a failure: transient, permanent or unknown."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


class Decision(Enum):
    """The decision about sending the same request again."""

    RETRY = "RETRY"
    FAIL = "FAIL"
    RETRY_LIMITED = "RETRY_LIMITED"


class Kind(Enum):
    """The coarse class of a fault; users catch one exception class for each."""

    THROTTLED = "throttled"
    OVERLOADED = "overloaded"
    NOT_READY = "not-ready"
    SERVER = "server"
    MODEL = "model"
    TIMED_OUT = "timed-out"
    UNREACHABLE = "unreachable"
    STREAM = "stream"
    INVALID = "invalid"
    DENIED = "denied"
    NOT_FOUND = "not-found"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Origin(Enum):
    """The place where a failure arose. Only the called service's own failures say something of its quota.

    SERVICE is the service that was called, DEPENDENCY another one that it uses, such as KMS. IDENTITY is a source of
    credentials (STS, IAM Identity Center, instance metadata). NETWORK is the way to the service: DNS, proxy, TLS, a
    connection that was not made or was lost. MACHINE is this process and its computer: file descriptors, memory,
    threads, disk, clock. CALLER is the request itself, or a refusal of this library.
    """

    SERVICE = "service"
    DEPENDENCY = "dependency"
    IDENTITY = "identity"
    NETWORK = "network"
    MACHINE = "machine"
    CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Hint:
    """The retry schedule of a fault, in seconds and counts. The defaults are those of AWS SDK retry 2.1 for transient
    errors.

    `base` and `cap` shape the exponential back-off, `floor` is the shortest useful wait, `attempts` is the maximum
    number of attempts, and `cost` is taken from the shared retry budget.
    """

    base: float = 0.05
    cap: float = 20.0
    floor: float = 0.0
    attempts: int = 3
    cost: int = 14


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The facts of one failure.

    `code` is the service's own error name in its canonical spelling, `cause` the cause as a stable slug,
    `limit` the quota dimension a throttle names (`requests`, `tokens`, `tokens-per-day`). `unhealthy` tells a circuit
    breaker that the service, not the caller, is at fault. `reached` is False when the request surely never arrived;
    without a `status` its fate is unknown otherwise. `retry_after` (header `Retry-After`, else the wait that AWS's
    documents state for the cause) and `suggested_wait` (header `x-amz-retry-after`) are the waits that the service
    states, in seconds; `stated_wait` is the longer one.
    `paced` says that something else, the quota, already decides when the next attempt may go, so a further wait would
    be blind. `origin` is the place where it arose.
    """

    code: str
    message: str
    kind: Kind = Kind.UNKNOWN
    decision: Decision = Decision.RETRY_LIMITED
    category: Category = Category.UNKNOWN
    cause: str = "unknown"
    advice: str = ""
    hint: Hint = Hint(attempts=2)
    unhealthy: bool = False
    reached: bool = True
    limit: str | None = None
    status: int | None = None
    retry_after: float | None = None
    suggested_wait: float | None = None
    paced: bool = False
    origin: Origin = Origin.SERVICE
    request_id: str | None = None
    response: dict[str, Any] | None = field(default=None, repr=False, compare=False)
    error: BaseException | None = field(default=None, repr=False, compare=False)

    @property
    def stated_wait(self) -> float:
        """The seconds that the service asks to wait before the same request is sent again; 0 if it does not say."""
        return max(self.retry_after or 0.0, self.suggested_wait or 0.0)

    def with_details(
        self,
        code: str,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        suggested_wait: float | None = None,
        response: dict[str, Any] | None = None,
        error: BaseException | None = None,
    ) -> Fault:
        """Return what this says of an error, with the facts of one occurrence: `replace`, at a quarter of its cost."""
        fault = object.__new__(Fault)
        fault.__dict__.update(
            self.__dict__,
            code=code,
            message=message,
            status=status,
            request_id=request_id,
            retry_after=self.retry_after if retry_after is None else retry_after,
            suggested_wait=suggested_wait,
            response=response,
            error=error,
        )
        return fault

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code
