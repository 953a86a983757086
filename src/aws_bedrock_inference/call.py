"""A request and its outcome, as frozen values that pass through every layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from aws_bedrock_inference.bounds import is_number, shown, shown_name
from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.made import PLAIN, Made

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_bedrock_inference.contexts import Context
    from aws_bedrock_inference.place import Place


PRIORITIES: dict[str, float] = {"interactive": 0.0, "normal": 1.0, "batch": 2.0}
"""The names of the usual priorities; the smallest number goes first."""

NORMAL = PRIORITIES["normal"]

_STREAMS = frozenset({"converse_stream", "invoke_model_with_response_stream"})

OnInterrupt: TypeAlias = Literal["raise", "restart", "continue"]
"""The ways to go on when a stream breaks after its first content."""

Priority: TypeAlias = Literal["interactive", "normal", "batch"] | float
"""The values of `priority`: a usual name, or a number of one's own."""


def priority_number(priority: str | float) -> float:
    """Return the number behind a priority's name; a finite number stands for itself. Raises `ValueError` for all
    others.
    """
    if isinstance(priority, str):
        if priority not in PRIORITIES:
            raise ValueError(
                f"priority={shown_name(priority, PRIORITIES)}: give a number, or one of {', '.join(PRIORITIES)}"
            )
        return PRIORITIES[priority]
    if not is_number(priority):
        raise ValueError(f"priority={shown(priority)}: give a finite number, or one of {', '.join(PRIORITIES)}")
    return float(priority)


LONGEST_NAME = 100  # characters


def name_of(what: str, name: Any, example: str) -> str:
    """Return `name` if it is a name on one line, of up to 100 characters. Raises `ValueError` for all others."""
    if type(name) is str and 0 < len(name) <= LONGEST_NAME and name.isprintable() and not name.isspace():
        return name
    given = f"a text of {len(name):,} characters" if isinstance(name, str) else shown(name)
    raise ValueError(
        f"{what}={given}: give a name of 1 to {LONGEST_NAME} printable characters, such as {what}={example!r}, "
        "or leave it out"
    )


def tenant_name(tenant: Any) -> str:
    """Return `tenant` if it is a name on one line, of up to 100 characters. Raises `ValueError` for all others."""
    return name_of("tenant", tenant, "acme")


def pin_name(pin: Any) -> str:
    """Return `pin` if it is a name on one line, of up to 100 characters. Raises `ValueError` for all others."""
    return name_of("pin", pin, "chat-42")


@dataclass(frozen=True, slots=True)
class Route:
    """The target of a call, which determines its quota and its circuit.

    `model` is the id as the caller wrote it. `base` is that id without a geography prefix and `pool` the quota pool
    the prefix selects (`on-demand`, `geographic`, `global` or `provisioned`): `us.x` and `global.x` draw on two
    quotas of one model. `account` is empty when the credentials do not tell it. `endpoint` and `principal` are hashes
    of the endpoint's URL and of the identity that signs: they tell two routes apart and can be told to anybody.
    """

    model: str
    region: str = ""
    account: str = ""
    base: str = ""
    pool: str = "on-demand"
    endpoint: str = field(default="", repr=False, compare=False)
    principal: str = field(default="", repr=False, compare=False)
    quota_key: str = field(init=False, repr=False, compare=False)
    health_key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Made once: both are looked up on every attempt.
        object.__setattr__(self, "quota_key", f"{self.account}|{self.region}|{self.base or self.model}|{self.pool}")
        object.__setattr__(self, "health_key", f"{self.account}|{self.region}|{self.model}")

    def __str__(self) -> str:
        return f"{self.model} in {self.region}" if self.region else self.model


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated cost of a call before it is sent, in tokens.

    The service reserves `input_tokens + output_tokens` at admission, and at the end charges output times `burndown`.
    What is not `metered`, such as counting tokens, takes nothing from the inference quota. `unbounded` says that the
    request sets no maximum: `output_tokens` is the model's own.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    burndown: float = 1.0
    metered: bool = True
    unbounded: bool = False

    @property
    def reservation(self) -> int:
        """The tokens reserved until the real usage is known."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a call used, as the service reported them.

    `cache_write_excess` are tokens that the service reported as written to the cache and that are left out of
    `cache_write_tokens`, because the request cannot have had them: some streams report them twice.
    `cache_write_1h_tokens` are those of `cache_write_tokens` that are kept for an hour, which costs more. `requests` is
    the number of requests whose usage this is.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_excess: int = 0
    cache_write_1h_tokens: int = 0
    requests: int = field(default=1, repr=False, compare=False)

    def __add__(self, other: Usage) -> Usage:
        """Return the usage of both together."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.cache_write_excess + other.cache_write_excess,
            self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            self.requests + other.requests,
        )

    def counts(self) -> dict[str, int]:
        """Return the tokens by name, for JSON. Those that few calls have are left out where they are 0."""
        rare = ("cache_write_excess", "cache_write_1h_tokens")
        names = [name for name in self.__slots__ if name != "requests"]
        return {name: getattr(self, name) for name in names if name not in rare or getattr(self, name)}

    def charge(self, burndown: float) -> float:
        """Return the tokens that this usage charges to the quota; reads from the prompt cache are free."""
        return self.input_tokens + self.cache_write_tokens + self.output_tokens * burndown


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """The time limits of one attempt, in seconds. `math.inf` removes a limit.

    `connect` 10: a healthy endpoint answers a connection in well under one second. `first_byte` 3600: a unary answer
    arrives all at once, so its first byte comes after the last token; AWS advises an hour for long generations (facts:
    bedrock-large-model-read-timeouts). Dead peers are found sooner, by TCP keep-alive. `first_content` 240: a stream
    shows content as soon as the model has read the prompt and thought; one that opens and stays empty for longer shows
    that the Region lacks capacity. `idle` 60: longest silence between two chunks of a stream that delivers text; four
    times that after a chunk of anything else, for a model that thinks or writes the input of a tool is silent for up to
    196 s. `total` unlimited: one attempt is bounded by the deadline over all attempts.
    """

    connect: float = 10.0
    first_byte: float = 3600.0
    first_content: float = 240.0
    idle: float = 60.0
    total: float = inf

    def __post_init__(self) -> None:
        for name in ("connect", "first_byte", "first_content", "idle", "total"):
            seconds = getattr(self, name)
            if not is_number(seconds, above=0, infinite=True):
                raise ValueError(
                    f"Timeout({name}={shown(seconds)}): give a number of seconds above 0, or math.inf for no limit"
                )


class Call(NamedTuple):
    """A request to the service. It is a named tuple because that costs half of a frozen dataclass.

    `operation` is boto3's method name (`converse`, `invoke_model_with_response_stream` …) and `params` exactly what
    that method takes. `arrived` and `deadline` are readings of the world's clock; `deadline` covers all attempts and
    waits. `priority` is the place in the queue for quota, the smallest number first (see `PRIORITIES`); within one, the
    tenants take turns, of which calls that name none are one together.
    `plain` says that the params were checked and are JSON as they stand, so that no attempt checks them again.
    `on_interrupt` says what to do when the stream breaks after its first content; None leaves it to the pipeline.
    `collected` says that a stream is read to its end for its caller, who gets one answer and no events.
    `place` is where the call is sent, None for the client's own endpoint. `pin` names the conversation that it belongs
    to. `quota` is the policy that admits it in the place of the pipeline's. `moves` is asked after each failed attempt
    by a policy that has another route: with the fault and the attempt's number, whether the call goes there now.
    `call_id` is the call's number in the process, for its events; 0 where nobody listens to attempts. `context` is its
    caller's.
    """

    operation: str
    params: Mapping[str, Any]
    route: Route
    estimate: Estimate = Estimate()
    timeout: Timeout = Timeout()
    arrived: float = 0.0
    deadline: float = inf
    priority: float = NORMAL
    plain: bool = False
    tenant: str = ""
    on_interrupt: OnInterrupt | None = None
    collected: bool = False
    place: Place | None = None
    pin: str | None = None
    quota: Any = None
    moves: Callable[[Fault, int], bool] | None = None
    call_id: int = 0
    context: Context = ()

    @property
    def streams(self) -> bool:
        """True if the caller reads the events of the answer as they come."""
        return self.operation in _STREAMS and not self.collected

    def until(self, deadline: float) -> Call:
        """Return the same call with another deadline."""
        return Call(
            self.operation,
            self.params,
            self.route,
            self.estimate,
            self.timeout,
            self.arrived,
            deadline,
            self.priority,
            self.plain,
            self.tenant,
            self.on_interrupt,
            self.collected,
            self.place,
            self.pin,
            self.quota,
            self.moves,
            self.call_id,
            self.context,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """A failed attempt: its fault, and the wait before the next attempt, in seconds. `tokens` is what it may have been
    charged, at most, if the service was already at work on it; the next attempt pays a second time.
    """

    fault: Fault
    wait: float
    tokens: int = 0

    def __str__(self) -> str:
        paid = f", which may have been charged {self.tokens:,} tokens" if self.tokens else ""
        return f"{self.fault} (request id {self.fault.request_id}){paid}, then waited {self.wait:.2f} s"


def sent(attempts: tuple[Attempt, ...]) -> int:
    """Return how many of the attempts were sent: the circuit, the queue and the deadline refuse without sending."""
    return sum(attempt.fault.kind is not Kind.REFUSED for attempt in attempts)


class Outcome(NamedTuple):
    """The result of a call: a value or a fault.

    `emitted` counts the events of a stream that the caller has already received; if it is not 0, a retry would deliver
    events twice. `earlier` has the failed attempts before the last one, and `gave_up` the reason why no other followed.
    `made` says how the value came about, if not by one request.
    """

    value: Any = None
    fault: Fault | None = None
    usage: Usage | None = None
    emitted: int = 0
    earlier: tuple[Attempt, ...] = ()
    gave_up: str = ""
    made: Made = PLAIN

    @property
    def attempts(self) -> int:
        """The number of requests that were sent, the last one included; refused attempts were not sent, nor is anything
        for an answer from a cache.
        """
        fault = self.fault if self.fault is not None else self.made.degraded_by
        last = self.made.cached is None if fault is None else fault.kind is not Kind.REFUSED
        return sent(self.earlier) + last if self.earlier else int(last)
