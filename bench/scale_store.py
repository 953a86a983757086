"""Measure how many hosts that share one quota one redis-server can serve.

A private redis-server receives requests from redis-benchmark over 8 connections. The requests are those that
`ValkeyStore` sends for hosts that want twice the quota: each renews the host's share of the quota.

* `renewals/s`: the requests per second that the server answered in the slowest and the fastest of five rounds.
* `CPU`: the server's processor time per request, the lowest of the rounds.
* `plan`: the time of a request for which the server must compute the share of every host again, as the server measures
  it. This happens at most five times per second.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import redis

from aws_bedrock_inference.rules.quota.division import PLAN
from aws_bedrock_inference.rules.quota.leases import CALLS, OFTEN, SELDOM, LeaseRequest
from aws_bedrock_inference.stores.request import STORE_TIMEOUT
from aws_bedrock_inference.stores.valkey import ValkeyStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.rules.quota.leases import Grant
    from aws_bedrock_inference.stores.request import Question

HOSTS = (4, 100, 1_000, 4_000, 16_000)
ROUNDS, RENEWALS, CONNECTIONS, PLANS = 5, 30_000, 8, 8
RPM, TPM = 60_000, 36_000_000
REPORT = (
    '{"used":{"requests":60,"tokens":36000},"reserved":640,"waiting":{"1.0":100},"consumers":{"1.0":35000},'
    '"throttled":0,"answers":{"count":1000,"output":110000,"reserved":300000,"full":3,"buckets":{"80":1000}}}'
)


class Row(NamedTuple):
    """The result for one number of hosts. `rates` are renewals per second in each round, and `cpu` is microseconds per
    renewal in each round. `late` is the 99 % quantile of the renewal times in ms, the lowest of the rounds. `plan` is
    in microseconds.
    """

    rates: list[float]
    cpu: list[float]
    late: float
    plan: float


@contextmanager
def server() -> Iterator[str]:
    """Run a redis-server that stores nothing on disk, and yield its socket."""
    program = str(shutil.which("redis-server"))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/redis.sock"
        command = [program, "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not Path(path).exists():
                if process.poll() is not None:
                    raise SystemExit("redis-server does not start")
                time.sleep(0.05)
            yield path
        finally:
            process.kill()
            process.wait()


def measured(path: str, hosts: int) -> Row:
    client: Any = redis.Redis(unix_socket_path=path)
    client.flushall()
    store = ValkeyStore(f"unix://{path}")
    limits = (("requests", float(RPM), 0, False), ("tokens", float(TPM), 0, False))
    renew = store.renew(
        "quota", "host-__rand_int__", LeaseRequest(0.0, ((1.0, 2.0 / hosts, 100.0),), limits, REPORT, 1.0)
    )
    command = sent(renew)
    flood(path, command, hosts, 4 * hosts)
    rates, cpu, late = [], [], []
    for _ in range(ROUNDS):
        before = used(client)
        rate, slow = flood(path, command, hosts, RENEWALS)
        rates.append(rate)
        late.append(slow)
        cpu.append((used(client) - before) / RENEWALS * 1e6)
    client.config_resetstat()
    for _ in range(PLANS):
        time.sleep(1.1 * PLAN)
        renew.run()
    plan = float(client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"])
    store.close()
    client.close()
    return Row(rates, cpu, min(late), plan)


def sent(renew: Question[Grant]) -> list[str]:
    """Return the command with which the store sends this request to the server."""
    client: Any = redis.Redis
    with patch.object(client, "execute_command", autospec=True, side_effect=client.execute_command) as executed:
        renew.run()
    commands = [called.args[1:] for called in executed.call_args_list if called.args[1] == "EVALSHA"]
    return [str(part) for part in commands[-1]]


def flood(path: str, command: list[str], hosts: int, renewals: int) -> tuple[float, float]:
    """Send renewals of random hosts with redis-benchmark. Return the renewals per second and the 99 % quantile of their
    times in ms.
    """
    program = str(shutil.which("redis-benchmark"))
    options = ["-s", path, "-c", str(CONNECTIONS), "-r", str(hosts), "-n", str(renewals), "--csv"]
    said = subprocess.run([program, *options, *command], capture_output=True, text=True, check=True).stdout
    rate, _mean, _least, _median, _, late, _most = said.splitlines()[-1].rsplit(",", 7)[1:]
    return float(rate.strip('"')), float(late.strip('"'))


def used(client: Any) -> float:
    """Return the server's processor time in seconds."""
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def main() -> None:
    if not (shutil.which("redis-server") and shutil.which("redis-benchmark")):
        print("The store is not measured: redis-server and redis-benchmark are not on the PATH")
        return
    print(f"One redis-server, hosts that share one quota, {ROUNDS} rounds of {RENEWALS:,} renewals")
    print(f"  {'hosts':>8}{'renewals/s':>18}{'p99, ms':>10}{'CPU, us':>10}{'plan, ms':>10}{'plan, us a host':>17}")
    rows = {}
    with server() as path:
        for hosts in HOSTS:
            row = rows[hosts] = measured(path, hosts)
            rates = f"{min(row.rates):,.0f} to {max(row.rates):,.0f}"
            print(
                f"  {hosts:>8,}{rates:>18}{row.late:>10.2f}{min(row.cpu):>10.1f}{row.plan / 1e3:>10.2f}"
                f"{row.plan / hosts:>17.2f}",
                flush=True,
            )
    # The cost of a renewal is measured with few hosts, whose plans cost almost nothing. The cost of a plan is measured
    # with many hosts, and the higher of two values is used.
    renewal = min(rows[HOSTS[1]].cpu)
    plan = max(rows[hosts].plan / hosts for hosts in HOSTS[-2:])
    print(
        f"  The server's one core is busy with N hosts when N x ({renewal:.0f} us x renewals a second + "
        f"{plan:.1f} us x {1 / PLAN:.0f} plans a second) = 1 s:"
    )
    for calls, again in ((f"at most {CALLS / SELDOM:.1f}", SELDOM), (f"at least {CALLS / OFTEN:.0f}", OFTEN)):
        hosts = int(1e6 / (renewal / again + plan / PLAN))
        print(
            f"    {calls} calls a second and host, a renewal every {again:.0f} s: {hosts:,} hosts, "
            f"{hosts / again:,.0f} renewals/s; a plan then holds up the others for {hosts * plan / 1e3:.0f} ms "
            f"(they wait {STORE_TIMEOUT * 1e3:.0f})"
        )


if __name__ == "__main__":
    main()
