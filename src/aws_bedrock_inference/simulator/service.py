"""The simulated service, without network access. It converts each request into a plan of the answer."""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.models import model_facts
from aws_bedrock_inference.simulator import plan, reading, signature
from aws_bedrock_inference.simulator.answers import Usage
from aws_bedrock_inference.simulator.batch_jobs import BatchJobs
from aws_bedrock_inference.simulator.control_plane import ControlPlane
from aws_bedrock_inference.simulator.error_texts import ERRORS, ServiceError, text
from aws_bedrock_inference.simulator.faults import Faults
from aws_bedrock_inference.simulator.quota import Pool, Ticket
from aws_bedrock_inference.simulator.reply import HARMLESS, reply
from aws_bedrock_inference.simulator.request import JOBS, asked
from aws_bedrock_inference.simulator.stats import Stats

if TYPE_CHECKING:
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.simulator.answers import Prompt
    from aws_bedrock_inference.simulator.plan import Plan
    from aws_bedrock_inference.simulator.quota import Quota
    from aws_bedrock_inference.simulator.request import Asked, Request
    from aws_bedrock_inference.simulator.settings import FaultRule, QuotaChange, Scenario

_MOST_CACHED = 10_000  # maximum number of stored prompts
_CACHE_SECONDS = 300  # a prompt cache expires five minutes after its last use


class Service:
    """A simulated account in Bedrock: its quotas, its models, and its faults."""

    def __init__(self, scenario: Scenario, *, clock: Clock, wall: Clock) -> None:
        self._clock = clock
        self._wall = wall
        self._jobs = BatchJobs(scenario, ControlPlane(scenario), 0.0)
        self.load(scenario)

    def load(self, scenario: Scenario) -> None:
        """Start the simulation again with new quotas, statistics and faults."""
        self.scenario = scenario
        self.stats = Stats()
        self._started = self._clock()
        self._skipped = 0.0
        self._faults = Faults(scenario.faults, scenario.seed)
        self._control_plane = ControlPlane(scenario)
        self.close()
        self._jobs = BatchJobs(scenario, self._control_plane, self._wall())
        self._pools: dict[tuple[str, str, str], Pool] = {}
        self._changes = deque(sorted(scenario.changes, key=lambda change: change.at))
        self._changed: list[QuotaChange] = []
        self._cached: dict[tuple[str, str], float] = {}
        self._count = 0

    @property
    def now(self) -> float:
        """Seconds since the scenario was loaded."""
        return self._clock() - self._started + self._skipped

    def skip(self, seconds: float) -> None:
        """Advance the clock of the simulation by `seconds`."""
        self._skipped += seconds

    def work(self) -> None:
        """Continue the batch jobs that are due. This method waits for S3, so it must not run in an event loop."""
        self._jobs.run(self.now)

    def close(self) -> None:
        """Stop the work on batch jobs. A call of `work` in another thread then ends soon."""
        self._jobs.close()

    def next_work(self) -> float | None:
        """Return the seconds until the next work on a batch job is due. Return None if no work is due until a request
        creates or changes a job.
        """
        due = self._jobs.due()
        return None if due == inf else max(0.0, due - self.now)

    def refusing(self) -> tuple[bool, float | None]:
        """Return two values: whether the scenario refuses connections now, and the seconds until a period of refusals
        begins or ends. The seconds are None or infinite if no period will begin or end.
        """
        now = self.now
        spans = [rule for rule in self.scenario.faults if rule.kind == "refused"]
        edges = [edge - now for rule in spans for edge in (rule.since, rule.until) if edge > now]
        return any(rule.since <= now < rule.until for rule in spans), min(edges, default=None)

    def handle(self, request: Request) -> Plan:
        """Return the plan (the steps for the server) of the answer to a request. The plan for an invalid request is an
        answer with an error.
        """
        self.stats.arrived(self.now)
        self._count += 1
        fault = None
        try:
            wanted = asked(request, self.scenario.region)
            fault = self._strike(wanted)
            answer = self._answer(request, wanted, fault)
        except ServiceError as error:
            self.stats.refused(error.code)
            answer = plan.refusal(error)
        answer.headers.append(("x-amzn-requestid", self.request_id()))
        if fault and fault.after is None and fault.kind == "stall":
            return plan.later(answer, fault.seconds)
        return answer

    def _strike(self, wanted: Asked) -> FaultRule | None:
        fault = self._faults.strike(wanted, self.now)
        if fault:
            self.stats.record_fault(fault.name)
        return fault

    def _answer(self, request: Request, wanted: Asked, fault: FaultRule | None) -> Plan:
        if fault and fault.kind == "reset" and fault.after is None:
            return plan.broken()
        if fault and fault.kind == "outage":
            raise _error("ServiceUnavailableException", fault)
        self._check_caller(request)
        if wanted.control:
            return self._control(request, wanted, fault)
        self._control_plane.check(wanted, self.now, self._wall())
        wanted, prompt = reading.read(wanted, request.body, self.scenario.models)
        if wanted.operation == "CountTokens":
            return plan.report({"inputTokens": prompt.tokens})
        limit = reading.output_limit(wanted, prompt)
        if fault:
            self._refuse(wanted, prompt, limit, fault)
        ticket = self._admit(wanted, prompt, limit)
        usage = self._usage(wanted, prompt)

        def over(share: float, written: int) -> None:
            self._settle(wanted, ticket, usage, written * share)
            if share == 1 and (fault is None or fault.kind in HARMLESS):
                self.stats.answered(self.now, wanted)

        return reply(self.scenario, wanted, prompt, usage, limit=limit, fault=fault, over=over)

    def _control(self, request: Request, wanted: Asked, fault: FaultRule | None) -> Plan:
        if fault and fault.kind in ("error", "throttle"):
            raise _error(fault.code or "ThrottlingException", fault)
        if wanted.operation in JOBS:
            found = self._jobs.answer(request, wanted, self.now)
            return plan.broken() if fault and fault.kind == "lost" else plan.report(found)
        return plan.report(self._control_plane.answer(wanted, request.query, self.now, self._wall()))

    def _check_caller(self, request: Request) -> None:
        method, path, query, headers, body = request
        signature.verify(method, path, query, headers, body, self._wall(), self.scenario.credentials)

    def _refuse(self, wanted: Asked, prompt: Prompt, limit: int, fault: FaultRule) -> None:
        """Raise the error (a ServiceError) that `fault` describes, such as a throttle. Do nothing if the fault is of
        another kind, such as a stall.
        """
        if fault.kind == "error":
            if ERRORS.get(fault.code, {}).get("admitted"):
                self._settle(wanted, self._admit(wanted, prompt, limit), Usage(prompt.tokens), 0)
            raise _error(fault.code, fault)
        if fault.kind == "throttle":
            self.stats.throttled(self.now, wanted, fault.limit)
            raise _error("ThrottlingException", fault, text("throttle", fault.limit))
        if fault.kind == "not-ready":
            raise _error("ModelNotReadyException", fault)
        if fault.kind == "access-pending":
            raise _error("AccessDeniedException", fault, text("access", "pending"))

    def _admit(self, wanted: Asked, prompt: Prompt, limit: int) -> Ticket:
        reserved = prompt.tokens + limit
        ticket = self._pool(wanted).admit(reserved, self.now)
        if isinstance(ticket, Ticket):
            self.stats.admitted(reserved)
            return ticket
        self.stats.throttled(self.now, wanted, ticket)
        raise ServiceError("ThrottlingException", text("throttle", ticket))

    def _settle(self, wanted: Asked, ticket: Ticket, usage: Usage, written: float) -> None:
        # Tokens read from the prompt cache are reserved, but not charged.
        charged = usage.input + usage.cache_write + written * model_facts(wanted.base).burndown
        self._change()
        ticket.settle(charged, self.now)
        read = usage.input + usage.cache_read + usage.cache_write
        self.stats.settled(self.now, wanted, read=read, written=round(written), charged=charged)

    def _pool(self, wanted: Asked) -> Pool:
        self._change()
        key = (wanted.base, wanted.region, wanted.pool)
        if key not in self._pools:
            self._pools[key] = Pool(self._quota(*key), self.scenario.discipline, self.now)
        return self._pools[key]

    def _quota(self, model: str, region: str, pool: str) -> Quota:
        """Return the quota of a pool that is used for the first time. The quota includes the scenario's
        changes that are already in effect.
        """
        rules = (rule.quota for rule in self.scenario.quotas if rule.covers(model, region, pool))
        quota = next(rules, self.scenario.quota)
        for change in self._changed:
            if change.covers(model, region, pool):
                quota = quota.changed(change.quota)
        return quota

    def _change(self) -> None:
        """Apply the changes of quotas whose time has come. Call this method before each use of a quota."""
        while self._changes and self._changes[0].at <= self.now:
            change = self._changes.popleft()
            self._changed.append(change)
            for key, pool in self._pools.items():
                if change.covers(*key):
                    pool.change(change.quota, change.at)

    def _usage(self, wanted: Asked, prompt: Prompt) -> Usage:
        """Return the input tokens of the prompt as three counts: tokens read from the prompt cache, tokens written to
        the prompt cache, and all other tokens.
        """
        cached = prompt.cached_tokens
        if not cached:
            return Usage(prompt.tokens)
        start = "\n".join(prompt.parts[: prompt.cached_parts])
        key = (wanted.base, blake2b(start.encode(), digest_size=16).hexdigest())
        hit = self._cached.pop(key, 0.0) > self.now
        self._cached[key] = self.now + _CACHE_SECONDS
        if len(self._cached) > _MOST_CACHED:
            del self._cached[next(iter(self._cached))]  # the least recently used one
        fresh = prompt.tokens - cached
        return Usage(fresh, cache_read=cached) if hit else Usage(fresh, cache_write=cached)

    def request_id(self) -> str:
        """Return the id of the last request."""
        digest = blake2b(f"{self.scenario.seed} {self._count}".encode(), digest_size=16).hexdigest()
        return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


def _error(code: str, fault: FaultRule, message: str = "") -> ServiceError:
    error = ServiceError(code, fault.message or message, fault.status)
    if fault.retry_after is not None:
        error.headers.append(("x-amz-retry-after", str(round(fault.retry_after * 1000))))
    return error
