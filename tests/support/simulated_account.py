"""The simulated service without its server: a request in, an answer out, on a clock that only tests move."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from botocore.eventstream import EventStreamBuffer

from aws_bedrock_inference.simulator import scenario
from aws_bedrock_inference.simulator.plan import Break
from aws_bedrock_inference.simulator.request import Request
from aws_bedrock_inference.simulator.service import Service

CLAUDE = "anthropic.claude-3-sonnet-20240229-v1:0"  # burndown 5
HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "amazon.nova-lite-v1:0"  # burndown 1
TITAN = "amazon.titan-text-express-v1"


class FakeClock:
    """A clock that moves only when a test advances it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class Got:
    """The response, and its times."""

    status: int
    headers: dict[str, str]
    body: bytes
    waits: list[float] = field(default_factory=list)
    reset: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        return self.status, self.headers["x-amzn-errortype"].partition(":")[0], self.json["message"]

    @property
    def events(self) -> list[tuple[str, Any]]:
        buffer = EventStreamBuffer()
        buffer.add_data(self.body)
        found = [message.to_response_dict() for message in buffer]
        return [
            (m["headers"].get(":event-type") or m["headers"][":exception-type"], json.loads(m["body"])) for m in found
        ]


class Account:
    """The service on a fake clock, with methods to call it."""

    def __init__(self, **tables: Any) -> None:
        self.clock = FakeClock()
        self.service = Service(scenario.read(tables), clock=self.clock, wall=lambda: self.clock() + 1_700_000_000)

    def post(self, path: str, body: Any, **headers: str) -> Got:
        """Send a request; the clock advances by the delays of the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.perform(Request("POST", path, "", headers, raw))

    def perform(self, request: Request) -> Got:
        self.service.work()
        plan = self.service.handle(request)
        got = Got(plan.status, dict(plan.headers), b"")
        for step in plan.steps:
            if isinstance(step, bytes):
                got.body += step
            elif isinstance(step, Break):
                got.reset = True
            else:
                got.waits.append(step)
                self.clock.now += step if step < 1e9 else 0
        return got

    def converse(
        self, text: str = "Why is the sky blue?", *, model: str = NOVA, stream: bool = False, **more: Any
    ) -> Got:
        return self.post(
            f"/model/{model}/converse{'-stream' if stream else ''}",
            {"messages": [{"role": "user", "content": [{"text": text}]}], **more},
        )

    def stats(self) -> dict[str, Any]:
        return self.service.stats.report()


def tokens(maximum: int) -> dict[str, Any]:
    return {"inferenceConfig": {"maxTokens": maximum}}
