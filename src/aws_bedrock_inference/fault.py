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
    """The decision whether to send the same request again. `RETRY` is yes and `FAIL` is no. `RETRY_LIMITED` means that
    it is unknown whether the error is temporary: send the request again, usually only once.
    """

    RETRY = "RETRY"
    FAIL = "FAIL"
    RETRY_LIMITED = "RETRY_LIMITED"


class Kind(Enum):
    """The kind of a fault. For most faults, the kind selects the exception class. For example, `THROTTLED` becomes the
    exception `Throttled`.
    """

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
    """The place where a failure arose.

    * SERVICE: the service that was called.
    * DEPENDENCY: another service that the called service uses, such as KMS. If KMS throttles, the quota policy does not
      decrease its estimated limits for Bedrock.
    * IDENTITY: a source of credentials (STS, IAM Identity Center, instance metadata).
    * NETWORK: the path to the service (DNS, proxy, TLS, a connection that failed or was lost).
    * MACHINE: this process and its computer (file descriptors, memory, threads, disk, clock).
    * CALLER: the request itself, or a refusal by this package.
    """

    SERVICE = "service"
    DEPENDENCY = "dependency"
    IDENTITY = "identity"
    NETWORK = "network"
    MACHINE = "machine"
    CALLER = "caller"


@dataclass(frozen=True, slots=True)
class Hint:
    """The retry schedule of a fault. The defaults are those of the AWS SDKs for transient errors (version 2.1 of
    their retry rules).

    * `base`, `cap`: the first and the longest wait of the exponential backoff, in seconds.
    * `floor`: the minimum wait before each retry, in seconds.
    * `attempts`: the maximum number of attempts.
    * `cost`: the number of units of the retry budget that each retry uses. All calls of a `Retry` policy share this
      budget; by default, a full budget contains 500 units.
    """

    base: float = 0.05
    cap: float = 20.0
    floor: float = 0.0
    attempts: int = 3
    cost: int = 14


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The facts of one failure.

    * `code`: the service's error name in its canonical spelling.
    * `cause`: the name of the cause, such as `throttled-tokens-per-minute`. The name stays the same in later
      versions.
    * `limit`: the quota dimension that a throttle names (`requests`, `tokens`, `tokens-per-day`).
    * `unhealthy`: True if the service, not the caller, is at fault. Only these faults open a circuit.
    * `reached`: False if the request certainly did not reach the service, for example because no connection was
      established. Otherwise True.
    * `status`: the HTTP status. If it is None and `reached` is True, the service may or may not have executed the
      request.
    * `retry_after`: the seconds in the header `Retry-After`. Without this header, it is the wait that AWS's documents
      state for the cause.
    * `suggested_wait`: the seconds in the header `x-amz-retry-after`. `stated_wait` is the longer of `retry_after` and
      `suggested_wait`.
    * `paced`: True if the quota policy already delays the next attempt, so that the retry policy adds no wait.
    * `origin`: the place where the failure arose.
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
        """The number of seconds that the client must wait before the next attempt, as the service's answer or AWS's
        documents state. It is 0 if they state no wait.
        """
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
        """Return a copy of this fault with the details of one error, such as its message and its request id. This
        method takes a quarter of the time of `dataclasses.replace`.
        """
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
