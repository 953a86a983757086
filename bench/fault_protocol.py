"""The protocol between bench/faults.py and a client. The client reads a `Task` as one line of JSON, and writes one
line for each call.

The line contains "text" and "stop" for a call that returned, or "error" for a call that raised, and optionally
"seconds". The client can be a program in any language. In Python, it is a function that receives the task, creates
the client, and returns a function that makes one call:

    from fault_protocol import PROMPT, Answer, serve

    def mine(task):
        client = MyClient(task.url, task.model, region=task.region)
        return lambda: Answer(client.ask(PROMPT))

    serve({"mine": mine})

For the clients in this directory, `serve` loads each client once and forks for each task.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple

HOME, NEXT = "us-east-1", "us-west-2"
MODEL = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
PROMPT = "Why is the sky blue?"
PATIENCE = 270.0  # seconds for the calls of one task


class Task(NamedTuple):
    """A task for a client: make `calls` calls of `model` in `region` at `url`. `ask` is `whole`, `stream`, or `tool`
    (a stream whose answer uses a tool). A client with fallbacks can use `next_model` in `next_region`, at the same
    URL.
    """

    url: str
    ask: str
    model: str
    region: str
    next_model: str
    next_region: str
    calls: int = 1


class Answer(NamedTuple):
    """The answer that the caller received: the text, or the JSON of the tool's input, and the stop reason."""

    text: str
    stop: str | None = None


Client = Callable[[Task], Callable[[], Answer]]


def serve(clients: Mapping[str, Client]) -> None:
    """Read a task from standard input and make its calls. The first argument of the command line is the name of the
    client. It can be omitted if there is only one client.

    With two further arguments, a socket's path and the URL of a service without faults, this process loads the client
    once. It then forks a child for each task that it receives from the socket.
    """
    environment()
    client = clients[sys.argv[1] if len(sys.argv) > 1 else next(iter(clients))]
    if len(sys.argv) > 3:
        _fork_at(sys.argv[2], client, sys.argv[3])
    else:
        _make(client, sys.stdin, sys.stdout)


def environment() -> None:
    """Set credentials for the simulator, remove the user's AWS settings, and prevent litellm from using the network."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ |= {"AWS_ACCESS_KEY_ID": "AKIDSIMULATOR", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": HOME}
    os.environ |= {"AWS_EC2_METADATA_DISABLED": "true", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


def _make(client: Client, tasks: IO[str], answers: IO[str]) -> None:
    task = Task(**json.loads(tasks.readline()))
    call = client(task)
    for _ in range(task.calls):
        began = time.monotonic()
        try:
            said: dict[str, Any] = call()._asdict()
        except Exception as error:  # noqa: BLE001 - any exception of a client is its result
            said = {"error": f"{type(error).__module__}.{type(error).__name__}: {error}"[:400]}
        print(json.dumps(said | {"seconds": time.monotonic() - began}), file=answers, flush=True)


def _fork_at(path: str, client: Client, url: str) -> None:
    _load(client, Task(url, "whole", MODEL, HOME, MODEL, NEXT))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that no process has to wait for the forks
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(100)
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    signal.alarm(int(PATIENCE))
                    with connection.makefile("r") as tasks, connection.makefile("w") as answers:
                        _make(client, tasks, answers)
                    os._exit(0)


def _load(client: Client, task: Task) -> None:
    """Import all modules that a call needs. No call is made in this process, because threads that a call starts do not
    exist in forked children.
    """
    client(task)
    reading, writing = os.pipe()
    if os.fork() == 0:
        client(task)()
        os.write(writing, " ".join(sys.modules).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as names:
        for name in names.read().split():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
