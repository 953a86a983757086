"""Measure how much of a token quota each client uses, and how fairly. Real clients call the simulator in real time over
real sockets.

48 threads try to use more than twice a quota of 864,000 tokens per minute. The simulator counts the settled tokens, the
throttles and the answers. The clients measure the seconds from the start to the end of each call, with all waits. Each
client has its own simulator, and does not know how the simulator counts. After a failed call, a thread waits a second.

These seconds are reported for calls that began in the measured time and did not fail. A call that is unfinished at the
end of the run is included with its age. The fair turn is the number of threads divided by the answers per second. If a
client uses fewer tokens per answer than the others, its long calls were at a disadvantage. boto3 makes its documented
default of 3 attempts, or 10 if its name contains 10, with the retries of botocore 1.44.

    quota.py                            all clients with all disciplines, about 28 minutes
    quota.py --processes 4              four processes that do not know of each other or of the quota
    quota.py --processes 4 --store URL  four that share a store; `--store private` starts a redis-server
    quota.py --processes 4 --kill-store the same; its redis-server is killed, and started again 10 s later
    quota.py --changes                  the quota is halved at 120 s and doubled at 300 s
    quota.py --mixed                    interactive calls for 30 % of the quota, and batch work for 170 %

A discipline is a way in which a service counts a quota. Run with the interpreter of .venv-peers.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.testing import simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.testing import Simulator

HERE = Path(__file__).parent
TPM = 864_000
WORKERS = 48
DISCIPLINES = ("bucket", "tight", "fixed", "sliding")
CLIENTS = (
    *("ours", "ours-untold", "tenacity", "litellm"),
    *("boto3-standard", "boto3-adaptive", "boto3-standard10", "boto3-adaptive10"),
)
SCENARIO: dict[str, Any] = {
    "seed": 7,
    "quota": {"tpm": TPM},
    "latency": {"first_token": 0.3, "tokens_per_second": 250, "spread": 0.3},
    "answers": {"tokens": 90, "spread": 0.5},
}
CALL_TOKENS, CALL_SECONDS = 580, 0.75  # mean of the settled tokens, and of the time that a call takes without any wait
PHASE = 7.0  # the service's windows begin this number of seconds before the clients start
STORE_DOWN = 10.0


@dataclass(frozen=True)
class Run:
    """One client with one discipline, which is the service's way of counting the quota."""

    client: str
    discipline: str
    warm: float
    seconds: float
    tail: float
    processes: int = 1
    workers: int = WORKERS
    rate: float = 0.0
    store: str = ""
    kill: bool = False
    changes: tuple[tuple[float, float], ...] = ()

    def scenario(self) -> dict[str, Any]:
        changes = [{"at": PHASE + at, "tpm": tpm} for at, tpm in self.changes]
        return SCENARIO | {"discipline": self.discipline, "changes": changes}

    def limit(self, at: float) -> float:
        """Return the quota in tokens per second, at this number of seconds after the start."""
        return next((tpm for since, tpm in reversed(self.changes) if since <= at), TPM) / 60


def measure(run: Run, together: threading.Barrier) -> dict[str, Any]:
    """Run one measurement. It begins when all simultaneous runs are ready. Return the counts of the service, in total
    and for each second, and the calls.
    """
    with ExitStack() as opened:
        opened.callback(together.abort)  # other runs must not wait forever for this run
        sim = opened.enter_context(simulator(run.scenario()))
        store = opened.enter_context(Store(run.store)) if run.store else None
        workers = [opened.enter_context(worker(run, sim.url, number, store)) for number in range(run.processes)]
        answers = [line(process) for process in workers]
        together.wait()
        refused = [answer for answer in answers if answer != "ready"]
        if refused:
            return asdict(run) | {"refused": refused[0]}
        sim.scenario(run.scenario())
        prime(sim.url)
        start = time.monotonic() + PHASE
        for process in workers:
            print(start, file=process.stdin, flush=True)
        if store and run.kill:
            threading.Thread(target=store.fail, args=(start + run.warm + run.seconds // 3,), daemon=True).start()
        before = observed(sim, start + run.warm)
        after = observed(sim, start + run.warm + run.seconds)
        calls = [call for process in workers for call in json.loads(line(process))]
    tokens = {second["second"] - PHASE: second["tokens"] for second in after["seconds"]}
    span = range(int(run.warm + run.seconds))
    return asdict(run) | {
        "before": before | {"seconds": []},
        "after": after | {"seconds": []},
        "tokens": [tokens.get(second, 0.0) for second in span],
        "limits": [run.limit(second) for second in span],
        "calls": calls,
    }


def observed(sim: Simulator, moment: float) -> dict[str, Any]:
    """Wait until `moment`, and return the counts of the service and the load of the machine."""
    time.sleep(max(0.0, moment - time.monotonic()))
    busy, ticks = machine()
    return sim.stats() | {"at": time.monotonic(), "busy": busy, "ticks": ticks}


def machine() -> tuple[float, float]:
    """Return the CPU time of all processors since the machine started: busy and in total. Return 0 and 1 if it is
    unknown.
    """
    try:
        ticks = [float(part) for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return 0.0, 1.0
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def worker(run: Run, url: str, number: int, store: Store | None) -> subprocess.Popen[str]:
    """Start a process of the run. It ends when its standard input ends."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "quota_workers.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    task = {
        "client": run.client,
        "url": url,
        "tpm": TPM,
        "workers": run.workers,
        "rate": run.rate,
        "seconds": run.warm + run.seconds + run.tail,
        "seed": number,
        "key": f"AKIDPROCESS{number}",
        "store": store.url if store else "",
    }
    print(json.dumps(task), file=process.stdin, flush=True)
    return process


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    return process.stdout.readline().strip() or "the process of this client has ended; standard error shows the reason"


def prime(url: str) -> None:
    """Send one request. The service's minute windows begin with its first request, and should begin before the clients
    start.
    """
    body = {"messages": [{"role": "user", "content": [{"text": "?"}]}], "inferenceConfig": {"maxTokens": 1}}
    path = f"{url}/model/amazon.nova-lite-v1:0/converse"
    urllib.request.urlopen(urllib.request.Request(path, json.dumps(body).encode())).close()  # noqa: S310 - loopback


class Store:
    """A Redis server: the server at a URL, or a private server that can be killed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._port = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        if url == "private":
            if shutil.which("redis-server") is None:
                raise SystemExit("--store private and --kill-store need redis-server on the PATH")
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self._port = probe.getsockname()[1]
            self.url = f"redis://127.0.0.1:{self._port}/0"

    def __enter__(self) -> Self:
        if self._port:
            self._serve()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._stop()

    def fail(self, moment: float) -> None:
        """Kill the server at the time `moment`, and start it again without its data."""
        if self._over.wait(max(0.0, moment - time.monotonic())):
            return
        self._stop()
        if not self._over.wait(STORE_DOWN):
            self._serve()

    def _stop(self) -> None:
        if self._server:
            self._server.kill()
            self._server.wait()

    def _serve(self) -> None:
        command = ["redis-server", "--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while self._server.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
                return
            time.sleep(0.05)
        raise SystemExit("redis-server does not start")


def planned(options: argparse.Namespace) -> list[Run]:
    """Return the runs of the mode on the command line."""
    warm, seconds, tail = (10.0, 20.0, 5.0) if options.quick else (options.warm, options.seconds, options.tail)
    clients: tuple[str, ...] = CLIENTS
    more: dict[str, Any] = {}
    if options.changes:
        halved, doubled, seconds = (20, 50, 80) if options.quick else (120, 300, 480)
        warm, more = 0.0, {"changes": ((halved, TPM / 2), (doubled, TPM))}
    elif options.mixed:
        clients = ("ours", "boto3-adaptive", "tenacity")
        per_second = TPM / 60 / CALL_TOKENS
        more = {"workers": round(1.7 * per_second * CALL_SECONDS), "rate": 0.3 * per_second}
    elif options.processes > 1:
        clients = ("ours",) if options.store else ("ours-untold", "boto3-adaptive", "tenacity")
        more = {"processes": options.processes, "workers": WORKERS // options.processes, "kill": options.kill_store}
    return [
        Run(client, discipline, warm, seconds, tail, store=store(options.store, number), **more)
        for number, discipline in enumerate(chosen(options.disciplines, DISCIPLINES, DISCIPLINES))
        for client in chosen(options.clients, clients, CLIENTS)
    ]


def chosen(text: str, usual: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else usual
    for name in names:
        if name not in known:
            raise SystemExit(f"{name!r} is unknown; choose from {', '.join(known)}")
    return names


def store(url: str, number: int) -> str:
    """Return the URL with a separate database for each discipline, because the runs are simultaneous."""
    return url if url in {"", "private"} or url.rpartition("/")[2].isdigit() else f"{url}/{number}"


def measured(runs: list[Run], side_by_side: int) -> Iterator[dict[str, Any]]:
    for first in range(0, len(runs), side_by_side):
        batch = runs[first : first + side_by_side]
        took = PHASE + batch[0].warm + batch[0].seconds + batch[0].tail
        names = ", ".join(f"{run.client} ({run.discipline})" for run in batch)
        print(f"{took:.0f} s: {names}", file=sys.stderr, flush=True)
        together = threading.Barrier(len(batch))
        with ThreadPoolExecutor(len(batch)) as pool:
            yield from pool.map(lambda run, together=together: measure(run, together), batch)


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default="", metavar="A,B", help=", ".join(CLIENTS))
    parser.add_argument("--disciplines", default="", metavar="A,B", help=", ".join(DISCIPLINES))
    parser.add_argument("--warm", type=float, default=60.0, metavar="SECONDS", help="seconds before measuring (60)")
    parser.add_argument("--seconds", type=float, default=120.0, help="to measure (120); whole minutes for `fixed`")
    parser.add_argument("--tail", type=float, default=20.0, metavar="SECONDS", help="seconds for calls to end (20)")
    parser.add_argument("--quick", action="store_true", help="10 s, 20 s and 5 s: only shows that it runs")
    parser.add_argument("--side-by-side", type=int, default=4, metavar="N", help="number of simultaneous runs (4)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="they share the 48 threads (1)")
    parser.add_argument("--store", default="", metavar="URL", help="the processes' shared store, or `private`")
    parser.add_argument("--kill-store", action="store_true", help="kill a private store during the run")
    parser.add_argument("--changes", action="store_true", help="change the quota during the run")
    parser.add_argument("--mixed", action="store_true", help="make interactive and batch calls")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write results for quota_report.py")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the results as PNG")
    options = parser.parse_args()
    if options.kill_store:
        options.store = "private"
    if options.store and options.processes < 2:
        parser.error("--store needs several processes: add --processes 4")
    return options


def main() -> None:
    options = asked()
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        del os.environ[name]
    runs = planned(options)
    results = list(measured(runs, options.side_by_side))
    mode = "changes" if options.changes else "mixed" if options.mixed else "plain"
    text = json.dumps({"mode": mode, "results": results})
    if options.save:
        options.save.write_text(text)
    plot = ["--plot", str(options.plot)] if options.plot else []
    subprocess.run([sys.executable, str(HERE / "quota_report.py"), "-", *plot], input=text, text=True, check=True)


if __name__ == "__main__":
    main()
