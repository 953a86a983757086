"""The settings of a scenario, with their defaults. By default, the simulated account has no limits and no faults.

Each class raises `ValueError` for a number that no simulation can use.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from math import inf

from aws_bedrock_inference.sessions import is_http
from aws_bedrock_inference.simulator.answers import NAMED, OFF
from aws_bedrock_inference.simulator.foundation_settings import (  # noqa: TC001 - `scenario` reads the hints
    EnforcedGuardrail,
    FoundationModel,
    InferenceProfile,
    RetentionRule,
    TrustedAccess,
)
from aws_bedrock_inference.simulator.going_on import EXACTLY, LOOSELY, OTHERWISE
from aws_bedrock_inference.simulator.job_settings import Batch, JobRule
from aws_bedrock_inference.simulator.quota import REQUESTS, Quota


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value!r}; set a number from {least:g} to {most:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """The speed of answers: the seconds to the first token, and then the tokens per second.

    The time to the first token has a log-normal distribution. `spread` is the standard deviation of its logarithm. With
    a `spread` of 0.3, one answer in twenty starts after more than 1.6 times the median.
    """

    first_token: float = 0.0
    tokens_per_second: float = inf
    spread: float = 0.0

    def __post_init__(self) -> None:
        _check_range("first_token", self.first_token, 0, 1e6)
        _check_range("tokens_per_second", self.tokens_per_second, 1e-3, inf)
        _check_range("spread", self.spread, 0, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The length of the models' answers, and their choice of tools.

    `tokens` is the median length in tokens, and `spread` is the standard deviation of its logarithm. If the request
    leaves the choice of tools to the model, `tools` decides: with `named`, the model uses the tools that the question
    names, and with `off`, it uses no tools. If `tool_script` is set, the model uses the tools in this list in order.

    An answer can be interrupted. A client can then send a user message that quotes the last words of this answer, so
    that the model continues it. `goes_on` selects what the model does:

    * `exactly`: it repeats the quotation, then writes the rest of its answer.
    * `loosely`: as `exactly`, but it can also repeat more than the quotation, or write a remark before the quotation.
    * `otherwise`: it repeats the quotation, then writes a new text instead of the rest of its answer.
    """

    tokens: float = 130.0
    spread: float = 0.5
    tools: str = NAMED
    tool_script: tuple[str, ...] = ()
    goes_on: str = EXACTLY

    def __post_init__(self) -> None:
        _check_range("tokens", self.tokens, 0, 1e6)
        if self.goes_on not in {EXACTLY, LOOSELY, OTHERWISE}:
            raise ValueError(f"goes_on is {self.goes_on!r:.80}; use {EXACTLY}, {LOOSELY} or {OTHERWISE}")
        if self.tools not in {NAMED, OFF}:
            raise ValueError(f"tools is {self.tools!r:.80}; use {NAMED} or {OFF}, or list tools in tool_script")
        _check_range("spread", self.spread, 0, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The properties of the models. Each list names the models with one property: for example, the models in
    `profile_only` need an inference profile. Its entries are shell patterns for model ids, without a prefix such as
    `us.`. `context_tokens` is the maximum length of a prompt for all models.
    """

    known: tuple[str, ...] = (
        *(f"{provider}.*" for provider in ("ai21", "amazon", "anthropic", "cohere", "deepseek", "google", "luma")),
        *(f"{provider}.*" for provider in ("meta", "minimax", "mistral", "moonshot*", "nvidia", "openai", "qwen")),
        *(f"{provider}.*" for provider in ("stability", "twelvelabs", "writer", "xai", "zai")),
        "arn:*",
    )
    profile_only: tuple[str, ...] = (
        "anthropic.claude-3-7-*",
        "anthropic.claude-opus-4-*",
        "anthropic.claude-*-4-5-*",
        "amazon.nova-premier-*",
        "meta.llama4-*",
    )
    not_chat: tuple[str, ...] = (
        *("*embed*", "*rerank*", "*canvas*", "*reel*", "*sonic*", "*image*"),
        *("stability.*", "luma.*", "twelvelabs.*"),
    )
    reasoning: tuple[str, ...] = ("deepseek.r1-*", "openai.gpt-*", "moonshot*thinking*", "minimax.minimax-*")
    context_tokens: int = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The credentials that the simulator accepts.

    Signed requests: their signature is checked only if `secret_key` is set.

    Requests with a bearer token: if `bearer_token` is set, only this token is accepted. If only `secret_key` is set, no
    token is accepted. If neither is set, every token is accepted, except those in `expired_tokens`.
    """

    access_key: str = "AKIDSIMULATOR"
    secret_key: str = ""
    bearer_token: str = ""
    expired_tokens: tuple[str, ...] = ("expired",)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRule:
    """A quota for the pools that match the patterns. It replaces the default quota."""

    model: str = "*"
    region: str = "*"
    pool: str = "*"
    rpm: float | None = None
    tpm: float | None = None
    tpd: float | None = None

    def __post_init__(self) -> None:
        Quota(self.rpm, self.tpm, self.tpd)  # raises for an invalid limit

    def covers(self, model: str, region: str, pool: str) -> bool:
        """Return whether the rule applies to this pool."""
        return fnmatchcase(model, self.model) and fnmatchcase(region, self.region) and fnmatchcase(pool, self.pool)

    @property
    def quota(self) -> Quota:
        """The limits of the rule as a quota."""
        return Quota(self.rpm, self.tpm, self.tpd)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaChange(QuotaRule):
    """A change of the quota of the matching pools. It takes effect `at` seconds after the scenario was loaded. A limit
    that is not set does not change.
    """

    at: float

    def __post_init__(self) -> None:
        QuotaRule.__post_init__(self)
        if self.quota == Quota():
            raise ValueError("no limit is set; set at least one of rpm, tpm and tpd")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRule:
    """A fault to inject: its kind, the requests that it affects, and its schedule.

    * `model`, `region` and `operation` are shell patterns. A request matches the rule if all of them match.
    * The matching requests are numbered, from 1. If `first` is 3, only the requests 1, 2 and 3 can get the fault. If
      `requests` is (2, 5), only the requests 2 and 5 can get it.
    * `rate` is the probability, from 0 to 1, with which each of these requests gets the fault.
    * The fault occurs only from `since` (in TOML: `from`) to `until`, in seconds since the scenario was loaded.
    * `after` is the number of stream events before the fault. If it is set, the rule affects only streams.
    * `seconds` is the duration of the fault.
    """

    kind: str
    model: str = "*"
    region: str = "*"
    operation: str = "*"
    rate: float = 1.0
    since: float = 0.0
    until: float = inf
    first: int | None = None
    requests: tuple[int, ...] = ()
    code: str = ""
    message: str = ""
    status: int | None = None
    retry_after: float | None = None
    limit: str = REQUESTS
    after: int | None = None
    seconds: float = inf

    def __post_init__(self) -> None:
        _check_range("rate", self.rate, 0, 1)
        _check_range("retry_after", self.retry_after or 0, 0, 1e9)
        _check_range("status", self.status or 500, 400, 599)
        if not re.fullmatch(r"[\w.:#/-]*", self.code, re.ASCII):
            raise ValueError(f"code is {self.code!r:.80}; use letters, digits and . : # / - _")

    @property
    def name(self) -> str:
        """The fault's name in the statistics."""
        return (
            f"{self.kind}:{self.code or self.limit}" if self.kind in {"error", "exception", "throttle"} else self.kind
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All settings of the simulator. The defaults are an account without limits and without faults."""

    seed: int = 0
    region: str = "us-east-1"
    discipline: str = "bucket"
    quota: Quota = field(default_factory=Quota)
    latency: Latency = field(default_factory=Latency)
    answers: Answers = field(default_factory=Answers)
    models: Models = field(default_factory=Models)
    credentials: Credentials = field(default_factory=Credentials)
    quotas: tuple[QuotaRule, ...] = ()
    changes: tuple[QuotaChange, ...] = ()
    faults: tuple[FaultRule, ...] = ()
    foundation: tuple[FoundationModel, ...] = ()
    profiles: tuple[InferenceProfile, ...] = ()
    use_case_form: bool = True
    data_retention: str = "default"
    retention: tuple[RetentionRule, ...] = ()
    trusted_access: tuple[TrustedAccess, ...] = ()
    enforced_guardrails: tuple[EnforcedGuardrail, ...] = ()
    s3_endpoint: str = ""
    batch: Batch = field(default_factory=Batch)
    jobs: tuple[JobRule, ...] = ()

    def __post_init__(self) -> None:
        if self.s3_endpoint and not is_http(self.s3_endpoint):
            raise ValueError(f"s3_endpoint is {self.s3_endpoint!r:.80}; set a URL such as http://127.0.0.1:9000")
