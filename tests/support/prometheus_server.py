"""A Prometheus server for these tests, and a program for it to scrape: calls of every kind against the simulator."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from contextlib import closing, contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server
from support.doubles import session

from aws_bedrock_inference import (
    BedrockClient,
    BedrockError,
    Breaker,
    DeadLetter,
    DeadLetterQueue,
    Deadline,
    Fallback,
    Pipeline,
    Quota,
    Resume,
    Retry,
    Target,
)
from aws_bedrock_inference.telemetry.observing import observe
from aws_bedrock_inference.telemetry.otel import OpenTelemetry
from aws_bedrock_inference.testing import simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL, OTHER = "us.amazon.nova-lite-v1:0", "us.amazon.nova-pro-v1:0"
INTERVAL = "200ms"
FAULTS = [
    {"kind": "error", "code": "InternalServerException", "rate": 0.15},
    {"kind": "error", "code": "ServiceUnavailableException", "rate": 0.05},
    {"kind": "error", "code": "ValidationException", "rate": 0.05},
    {"kind": "throttle", "rate": 0.1},
]
CONFIGURATION = """
global: {{scrape_interval: {interval}, scrape_timeout: {interval}}}
scrape_configs:
  - job_name: program
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """A server that scrapes the program at `port` and stores its data in `directory`."""

    def __init__(self, directory: Path, port: int) -> None:
        program = shutil.which("prometheus")
        assert program, "These tests start prometheus: install it, for example with apt-get install prometheus"
        with socket.create_server(("127.0.0.1", 0)) as free:
            own = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{own}"
        file = directory / "prometheus.yml"
        file.write_text(CONFIGURATION.format(interval=INTERVAL, port=port), encoding="utf-8")
        self._process = subprocess.Popen(  # noqa: S603 - found above
            [
                program,
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{own}",
                "--log.level=error",
            ]
        )

    def ask(self, path: str, **arguments: str) -> Any:
        """Return the answer of the server's API; None while the server is starting."""
        with suppress(URLError, ConnectionError), urlopen(f"{self.url}/api/v1/{path}?{urlencode(arguments)}") as answer:  # noqa: S310
            return json.load(answer)["data"]["result"]
        return None

    def numbers(self, query: str) -> list[float]:
        """Return the numbers that a query finds now."""
        found = [float(each["value"][1]) for each in self.ask("query", query=query) or []]
        return [number for number in found if number == number]  # noqa: PLR0124 - not those that are none

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextmanager
def program(directory: Path) -> Iterator[int]:
    """Send calls of every kind during the block, and yield the port at which their metrics are scraped."""
    meters = MeterProvider([PrometheusMetricReader()], shutdown_on_exit=False)
    stop = observe(otel=OpenTelemetry(meter_provider=meters))
    server, thread = start_http_server(0, addr="127.0.0.1")
    over = threading.Event()
    database = f"sqlite:///{directory}/letters.db"
    with simulator(faults=FAULTS, seed=7) as service, closing(DeadLetterQueue(database)) as letters:
        pipeline = Pipeline(
            DeadLetter(letters),
            Deadline(),
            Resume(),
            Fallback(Target(OTHER)),
            Retry(attempts=2, chance=lambda: 0.0),
            Breaker(failures=3, ratio=0.05, recovery=0.2),
            Quota(rpm=600, tpm=100_000_000),
        )
        with BedrockClient(MODEL, endpoint_url=service.url, session=session(), pipeline=pipeline) as client:
            workers = [threading.Thread(target=_call, args=(client, over)) for _ in range(4)]
            for worker in workers:
                worker.start()
            try:
                yield server.server_port
            finally:
                over.set()
                for worker in workers:
                    worker.join()
    stop()
    server.shutdown()
    server.server_close()
    thread.join()
    meters.shutdown()


def _call(client: BedrockClient, over: threading.Event) -> None:
    for number in count():
        if over.is_set():
            return
        with suppress(BedrockError):
            if number % 3:
                client.invoke("Why is the sky blue?", max_tokens=50)
            else:
                list(client.invoke_stream("Why is the sky blue?", max_tokens=50))
