"""Measure how many requests a call needs if a share f of all requests fails. This package, with and without a fallback,
is compared with boto3.

One client makes 400 calls, 20 at a time, against a simulator. A share f of the requests fails: with 503, with 500, or
as a stream that breaks in its text. If every call must succeed, at least 1 / (1 - f) requests per call are necessary.
The limit for this package is 1.05 / (1 - f). With a fallback, both Regions fail equally often, so a change to the other
Region does not help.

    python bench/amplification.py            about two minutes
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from fault_clients import boto3_as_it_is, boto3_tuned, ours, ours_with_fallback
from fault_protocol import HOME, MODEL, NEXT, Task, environment
from rich.console import Console
from rich.table import Table

from aws_bedrock_inference.testing import simulator

if TYPE_CHECKING:
    from fault_protocol import Client

CALLS, AT_ONCE = 400, 20
SHARES = (0.01, 0.05, 0.2)
BOUND = 1.05
FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "503": ("whole", {"kind": "error", "code": "ServiceUnavailableException"}),
    "500": ("whole", {"kind": "error", "code": "InternalServerException"}),
    "stream cut": ("stream", {"kind": "truncate", "after": 9}),
}
CLIENTS: dict[str, Client] = {
    "this package": ours,
    "this package, fallback": ours_with_fallback,
    "boto3": boto3_as_it_is,
    "boto3, tuned": boto3_tuned,
}


def measured(client: Client, ask: str, fault: dict[str, Any], share: float) -> str:
    """Return the requests per call, the share of the calls that failed, and the share with a wrong answer."""
    with simulator() as service:
        call = client(Task(service.url, ask, MODEL, HOME, MODEL, NEXT))
        truth = call().text
        service.scenario(faults=[fault | {"rate": share}])

        def result(_: int) -> str:
            try:
                return "whole" if call().text == truth else "wrong"
            except Exception:  # noqa: BLE001 - a client can raise any exception
                return "failed"

        with ThreadPoolExecutor(AT_ONCE) as pool:
            results = list(pool.map(result, range(CALLS)))
        requests = service.stats()["arrived"] / CALLS
    return f"{requests:.3f} · {results.count('failed')} · {results.count('wrong')}"


def main() -> None:
    """Run all measurements and print the table."""
    environment()
    table = Table("requests a call · failed · wrong", "f", "bound", *CLIENTS)
    for name, (ask, fault) in FAULTS.items():
        for share in SHARES:
            cells = [measured(client, ask, fault, share) for client in CLIENTS.values()]
            table.add_row(name, f"{share:.0%}", f"{BOUND / (1 - share):.3f}", *cells)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
