"""A Bedrock endpoint for tests: the simulator in a separate process, on a free port of the loopback interface.

    from aws_bedrock_inference.testing import simulator

    with simulator(quota={"rpm": 60}) as endpoint:
        client = boto3.client("bedrock-runtime", endpoint_url=endpoint.url, region_name="us-east-1")

This needs the extra `simulator`. In pytest, the fixture `bedrock_simulator` is available without an import.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any

from aws_bedrock_inference.simulator.scenario import ScenarioError, tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ScenarioError", "Simulator", "simulator"]

_STOP_SECONDS = 5.0
_CONTROL_SECONDS = 30.0
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Simulator:
    """A running simulator. Pass its `url` to clients as `endpoint_url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def stats(self) -> dict[str, Any]:
        """Return the statistics since the scenario was loaded: requests, throttles, faults, errors, tokens."""
        return self._control("stats")

    def scenario(self, source: str | Path | dict[str, Any] | None = None, **options: Any) -> None:
        """Load another scenario. The parameters have the same meaning as in the function `simulator`. Quotas, schedule
        and statistics start again.
        """
        self._control("scenario", json.dumps(tables(source, **options)).encode())

    def advance(self, seconds: float) -> None:
        """Advance the simulator's clock by `seconds` without waiting. Quotas refill, faults of the scenario begin and
        end, and batch jobs progress, as if this time had passed.
        """
        self._control("clock", json.dumps({"seconds": seconds}).encode())

    def _control(self, page: str, body: bytes | None = None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - our own URL
            f"{self.url}/_simulator/{page}", body, {"Content-Type": "application/json"}
        )
        with _NO_PROXY.open(request, timeout=_CONTROL_SECONDS) as response:
            found: dict[str, Any] = json.load(response)
        return found


@contextlib.contextmanager
def simulator(source: str | Path | dict[str, Any] | None = None, **options: Any) -> Iterator[Simulator]:
    """Run a simulator until the `with` block ends.

    * `source`: the scenario. This is the path of a file, the name of a scenario in the package (`calm`, `bad-day`), or
      a dictionary with the tables of a scenario. With None, there are no faults and no quotas.
    * `options`: values and tables that replace those at the top level of the scenario, such as `seed=7`,
      `quota={"rpm": 60}` or `faults=[{"kind": "outage", "until": 5}]`.

    Raises `ScenarioError` if the scenario is invalid, and `ModuleNotFoundError` without the extra `simulator`.
    """
    given = json.dumps(tables(source, **options))
    if find_spec("granian") is None:
        raise ModuleNotFoundError(
            "the simulator needs the extra `simulator`: pip install 'aws-bedrock-inference[simulator]'"
        )
    command = [sys.executable, "-m", "aws_bedrock_inference.simulator"]
    # In its own process group: Ctrl-C is for the caller, which may still need the endpoint.
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            yield Simulator(_started(process, given))
        finally:
            _stop(process)


def _started(process: subprocess.Popen[str], given: str) -> str:
    stdin, stdout = _pipes(process)
    stdin.write(f"{given}\n")
    stdin.flush()
    url = stdout.readline().strip()
    if not url:
        raise RuntimeError("the simulator did not start; read the reason on standard error")
    return url


def _stop(process: subprocess.Popen[str]) -> None:
    stdin, _ = _pipes(process)
    stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the simulator was started without pipes; report this bug of aws_bedrock_inference")
    return process.stdin, process.stdout
