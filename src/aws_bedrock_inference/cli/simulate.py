"""`bedrock simulate`: run the simulator until it is interrupted."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the command starts the loop
import contextlib
import ipaddress
import signal
import socket
from typing import TYPE_CHECKING, Any

import click

from aws_bedrock_inference.cli.layout import Command
from aws_bedrock_inference.cli.options import rate_options
from aws_bedrock_inference.cli.simulated import need_extra
from aws_bedrock_inference.simulator import scenario
from aws_bedrock_inference.simulator.quota import DISCIPLINES
from aws_bedrock_inference.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(cls=Command)
@click.argument("source", metavar="[SCENARIO]", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port",
    default=8099,
    show_default=True,
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port to listen on; 0 selects a free port.",
)
@click.option("--seed", type=int, metavar="N", help="Seed for answers and faults.")
@click.option(
    "--discipline",
    type=click.Choice(list(DISCIPLINES)),
    metavar="NAME",
    help=f"Quota algorithm: {', '.join(DISCIPLINES)}.",
)
@rate_options(click.FloatRange(min=0))
@click.option("--s3-endpoint", metavar="URL", help="S3 endpoint for the files of batch jobs.")
def simulate(source: str | None, *, host: str, port: int, **options: Any) -> None:
    """Run a local Bedrock endpoint with quotas and faults.

    SCENARIO is calm, bad-day or a TOML file. Without SCENARIO there are no quotas and no faults. Options override the
    scenario. The quota applies to each model separately. Press Ctrl-C to stop.
    """
    need_extra()
    tables = _with_options(scenario.tables(source), **options)
    try:
        asyncio.run(_serve(tables, _address(host), port))
    except OSError as error:
        raise ValueError(
            f"cannot listen on port {port} of {host}: {error.strerror}. Pass another --port; 0 selects a free port."
        ) from error
    from aws_bedrock_inference.simulator.server import leave  # noqa: PLC0415 - needs the extra `simulator`

    leave()


def _with_options(tables: dict[str, Any], *, rpm: float | None, tpm: float | None, **values: Any) -> dict[str, Any]:
    quota = {name: value for name, value in (("rpm", rpm), ("tpm", tpm)) if value is not None}
    given = {name: value for name, value in values.items() if value is not None}
    return {**tables, **given, "quota": {**tables.get("quota", {}), **quota}}


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return socket.gethostbyname(host)


async def _serve(tables: dict[str, Any], address: str, port: int) -> None:
    from aws_bedrock_inference.simulator.server import serve  # noqa: PLC0415 - needs the extra `simulator`

    stop = asyncio.Event()
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        for line in _greeting(url, address):
            click.echo(line)

    serving = asyncio.create_task(serve(tables, address, port, ready))
    stopping = asyncio.create_task(stop.wait())
    with _stopped_by_signals(stop):
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        serving.result()
    if urls:
        click.echo(await asyncio.to_thread(_total, urls[0]))
    serving.cancel()
    await asyncio.wait({serving})


@contextlib.contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Set `stop` on the first Ctrl-C or SIGTERM. The second signal has its usual effect."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # on Windows Ctrl-C ends the process immediately
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def _greeting(url: str, address: str) -> Iterator[str]:
    yield f"Bedrock endpoint: {url}"
    yield f"  AWS CLI, SDKs   export AWS_ENDPOINT_URL_BEDROCK_RUNTIME={url}"
    yield f'  boto3           boto3.client("bedrock-runtime", endpoint_url="{url}", region_name="us-east-1")'
    yield f"  this package    bedrock run prompts.jsonl -o answers.jsonl --endpoint-url {url}"
    yield f"  statistics      {url}/_simulator/stats"
    yield "Clients need a Region and credentials; any values work unless the scenario sets them. Press Ctrl-C to stop."
    if not ipaddress.ip_address(address).is_loopback:
        yield f"Warning: other machines can reach {address}, and any client can change the scenario."


def _total(url: str) -> str:
    try:
        stats = Simulator(url).stats()
    except OSError:
        return "Stopped."
    throttled, faulted = sum(stats["throttled"].values()), sum(stats["faults"].values())
    requests = f"{stats['arrived']:,} requests, {stats['answered']:,} answered"
    return f"Stopped: {requests}, {throttled:,} throttled, {faulted:,} with an injected fault."
