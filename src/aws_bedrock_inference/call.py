"""The values that describe one call: the request, its route, its limits, and its outcome. All are frozen."""

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
"""The named priorities. The call with the smallest number goes first."""

NORMAL = PRIORITIES["normal"]

_STREAMS = frozenset({"converse_stream", "invoke_model_with_response_stream"})

OnInterrupt: TypeAlias = Literal["raise", "restart", "continue"]
"""The possible reactions to a stream that breaks after its first content."""

Priority: TypeAlias = Literal["interactive", "normal", "batch"] | float
"""A value of `priority`: a name from `PRIORITIES`, or any finite number."""


def priority_number(priority: str | float) -> float:
    """Return the number of a named priority, or `priority` itself if it is a finite number. Raises `ValueError` for
    any other value.
    """
    if isinstance(priority, str):
        if priority not in PRIORITIES:
            raise ValueError(
                f"priority={shown_name(priority, PRIORITIES)}: pass a number, or one of {', '.join(PRIORITIES)}"
            )
        return PRIORITIES[priority]
    if not is_number(priority):
        raise ValueError(f"priority={shown(priority)}: pass a finite number, or one of {', '.join(PRIORITIES)}")
    return float(priority)


LONGEST_NAME = 100  # characters


def name_of(what: str, name: Any, example: str) -> str:
    """Return `name`, the value of the option `what`, if it is one line of 1 to 100 printable characters.

    Otherwise raise `ValueError`. The message of the error shows `example` as a valid name.
    """
    if type(name) is str and 0 < len(name) <= LONGEST_NAME and name.isprintable() and not name.isspace():
        return name
    given = f"a text of {len(name):,} characters" if isinstance(name, str) else shown(name)
    raise ValueError(
        f"{what}={given}: pass a name of 1 to {LONGEST_NAME} printable characters, such as {what}={example!r}, "
        "or omit it"
    )


def tenant_name(tenant: Any) -> str:
    """Return `tenant` if it is a valid name (see `name_of`). A tenant is the party on whose behalf a call is made."""
    return name_of("tenant", tenant, "acme")


def pin_name(pin: Any) -> str:
    """Return `pin` if it is a valid name (see `name_of`). A pin is the name of a conversation."""
    return name_of("pin", pin, "chat-42")


@dataclass(frozen=True, slots=True)
class Route:
    """The route of a call: the model, and the account, Region and endpoint with which the model is called. The route
    determines which quota and which circuit breaker the call uses.

    * `model`: the model id as the caller wrote it.
    * `base`: the model id without its geography prefix.
    * `pool`: one of the separate quotas of the model. `on-demand` is for an id without a geography prefix,
      `geographic` for a prefix such as `us.`, `global` for the prefix `global.`, and `provisioned` for the ARN of a
      provisioned model.
    * `account`: the AWS account. It is empty if the credentials do not contain the account.
    * `endpoint`, `principal`: hashes of the endpoint's URL and of the identity that signs the request.
    * `server`: the host and port of the endpoint.

    None of these values is secret.
    """

    model: str
    region: str = ""
    account: str = ""
    base: str = ""
    pool: str = "on-demand"
    endpoint: str = field(default="", repr=False, compare=False)
    principal: str = field(default="", repr=False, compare=False)
    server: str = field(default="", repr=False, compare=False)
    quota_key: str = field(init=False, repr=False, compare=False)
    health_key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Both keys are created once, because every attempt reads them.
        object.__setattr__(self, "quota_key", f"{self.account}|{self.region}|{self.base or self.model}|{self.pool}")
        object.__setattr__(self, "health_key", f"{self.account}|{self.region}|{self.model}")

    def __str__(self) -> str:
        return f"{self.model} in {self.region}" if self.region else self.model


@dataclass(frozen=True, slots=True)
class Estimate:
    """The size of a call in tokens, estimated before the call is sent.

    Bedrock reserves `input_tokens + output_tokens` when it admits the call. When the call ends, Bedrock charges each
    output token as `burndown` tokens. For example, Bedrock reserves 1,400 tokens for 1,000 input tokens and at most
    400 output tokens. If the answer has 200 tokens and `burndown` is 5, Bedrock charges 1,000 + 5 x 200 = 2,000 tokens.

    If `metered` is False, the call uses no inference quota; an example is CountTokens. If `unbounded` is True, the
    request sets no max_tokens, and `output_tokens` is the model's maximum.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    burndown: float = 1.0
    metered: bool = True
    unbounded: bool = False

    @property
    def reservation(self) -> int:
        """The tokens to reserve until the real usage is known."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that a call used, as the service reported them.

    * `requests`: the number of requests that this usage covers.
    * `cache_write_tokens`: the tokens written to the prompt cache. AWS sometimes counts these tokens twice in a stream.
      The second count has been subtracted from this number.
    * `cache_write_1h_tokens`: the part of `cache_write_tokens` that is stored for one hour, at a higher price.
    * `cache_write_excess`: the tokens that were subtracted from the reported cache writes, because AWS had counted them
      twice.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_excess: int = 0
    cache_write_1h_tokens: int = 0
    requests: int = field(default=1, repr=False, compare=False)

    def __add__(self, other: Usage) -> Usage:
        """Return the sum of both usages."""
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
        """Return the token counts by name, for JSON. Counts that are rarely used are left out when they are 0."""
        rare = ("cache_write_excess", "cache_write_1h_tokens")
        names = [name for name in self.__slots__ if name != "requests"]
        return {name: getattr(self, name) for name in names if name not in rare or getattr(self, name)}

    def charge(self, burndown: float) -> float:
        """Return the number of tokens by which this usage reduces the quota. Each output token counts as `burndown`
        tokens. Reads from the prompt cache are free.
        """
        return self.input_tokens + self.cache_write_tokens + self.output_tokens * burndown


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """The time limits of one attempt, in seconds. `math.inf` removes a limit.

    * `connect` (default 10): the limit for opening a connection. A healthy endpoint accepts a connection in much less
      than a second.
    * `first_byte` (default 3600): the limit until the first byte of the response. A response that is not streamed
      arrives in one piece after its last token is generated. AWS recommends one hour for long generations (facts:
      bedrock-large-model-read-timeouts). TCP keep-alive detects earlier that the server no longer responds.
    * `first_content` (default 240): the limit until the first content of a stream. A stream delivers content as soon as
      the model has read the prompt and finished thinking. A stream that stays empty for longer shows that the Region
      lacks capacity.
    * `idle` (default 60): the longest silence of a stream after a chunk of text. After any other chunk, the limit is
      four times as long (by default 240 s), because a model that thinks, or writes the input of a tool, can be silent
      for up to 196 s.
    * `total` (default unlimited): the limit for the whole attempt. The deadline of the call limits all attempts
      together even if `total` is unlimited.
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
                    f"Timeout({name}={shown(seconds)}): pass a number of seconds above 0, or math.inf for no limit"
                )


class Call(NamedTuple):
    """A request to the service. It is a named tuple, because a frozen dataclass takes twice as long to create.

    * `operation`: the name of a boto3 method, such as `converse` or `invoke_model_with_response_stream`. `params` are
      exactly the parameters of that method.
    * `arrived`, `deadline`: the times at which the call arrived and at which it must end, on the client's monotonic
      clock. The deadline covers all attempts and waits.
    * `priority`: orders the calls that wait for quota. The call with the smallest number goes first (see `PRIORITIES`).
    * `tenant`: the party on whose behalf the call is made. Within one priority, the tenants take turns. All calls
      without a tenant count as one tenant.
    * `plain`: True if the params are valid and contain only JSON values and bytes. The request is then written without
      botocore, which is faster.
    * `on_interrupt`: what happens if a stream breaks after its first content. If it is None, the policy `Resume` of the
      pipeline decides.
    * `collected`: True if the client itself reads the stream to its end. The caller then receives one complete answer,
      and no events.
    * `place`: an endpoint and a signing identity other than those of the client. It is None for most calls.
    * `pin`: the name of the conversation that the call belongs to.
    * `quota`: the quota policy that admits this call, in place of the quota policy of the pipeline. If it is None, the
      policy of the pipeline admits the call.
    * `moves`: a function that the retry policy calls after each failed attempt, with the fault and the number of the
      attempt. If the function returns True, the retry policy stops, so that the call can continue on another route.
      Policies with several routes, such as `Fallback`, set this function.
    * `call_id`: a number that identifies the call in this process, or 0 if no listener receives attempts.
    * `context`: the names and values that the caller has set with `context(...)`.
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
        """True if the caller reads the events of the answer as they arrive; otherwise False."""
        return self.operation in _STREAMS and not self.collected

    def until(self, deadline: float) -> Call:
        """Return a copy of the call with a different deadline."""
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
    """A failed attempt: its fault (the facts of the failure), and the wait before the next attempt, in seconds.

    If the service had already started to process the failed attempt, AWS may have charged up to `tokens` tokens for it.
    This charge is in addition to the charge for the next attempt.
    """

    fault: Fault
    wait: float
    tokens: int = 0

    def __str__(self) -> str:
        paid = f", which may have been charged {self.tokens:,} tokens" if self.tokens else ""
        return f"{self.fault} (request id {self.fault.request_id}){paid}, then waited {self.wait:.2f} s"


def sent(attempts: tuple[Attempt, ...]) -> int:
    """Return the number of attempts that were sent. Attempts that the circuit breaker, the queue or the deadline
    refused are not counted, because they were not sent.
    """
    return sum(attempt.fault.kind is not Kind.REFUSED for attempt in attempts)


class Outcome(NamedTuple):
    """The result of a call: a value or a fault.

    * `emitted`: the number of stream events that the caller has already received. If it is not 0, the retry policy does
      not retry the call, because the caller would receive these events again.
    * `earlier`: the failed attempts before the last one. `gave_up` is the reason why no further attempt followed.
    * `made`: the way in which the value was produced. For example, it states that a cache or another route was used.
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
        """The number of requests that were sent, including the last one. Refused attempts and answers from a cache
        sent no request, so they are not counted.
        """
        fault = self.fault if self.fault is not None else self.made.degraded_by
        last = self.made.cached is None if fault is None else fault.kind is not Kind.REFUSED
        return sent(self.earlier) + last if self.earlier else int(last)
