"""Run eight redrives of 2,000 dead letters at the same time, and kill two of the redrives. A redrive sends stored
requests again.

Each letter must be sent once. A letter that was in flight in a killed redrive may be sent twice, but never twice at the
same time, and it must then be marked. In the end all letters must be redriven.

    python -m stress.letters            # a file, then a table of moto's
"""

from __future__ import annotations

import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import BedrockClient, DeadLetterQueue, Quota
from stress.server import MODEL, unary

if TYPE_CHECKING:
    from collections.abc import Iterator

LETTERS, REDRIVES, KILLED, IN_FLIGHT = 2_000, 8, 2, 4
# Seconds; every answer takes less.
LEASE = 4.0
SLOW = "An error occurred (ThrottlingException) when calling the Converse operation: Too many requests"


class Endpoint:
    """A service that answers each prompt with the prompt itself after about 20 ms. It records how often each prompt
    was sent, and which prompts were sent twice at the same time.
    """

    def __init__(self) -> None:
        self.came = Counter[str]()
        self.at_once: set[str] = set()
        working: set[str] = set()
        lock, dice = threading.Lock(), random.Random(1)  # noqa: S311 - moments, not secrets
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = body["messages"][0]["content"][0]["text"]
                with lock:
                    endpoint.came[text] += 1
                    if text in working:
                        endpoint.at_once.add(text)
                    working.add(text)
                time.sleep(dice.uniform(0.01, 0.03))
                with lock:
                    working.discard(text)
                self.wfile.write(unary(text))

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: object) -> None:
                """A killed redrive is not an error in this story."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


@contextmanager
def table() -> Iterator[str]:
    """Run moto's server in a child process during the block, and yield its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "stress.letters", "table"], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None  # noqa: S101 - the process was started with a pipe
            yield child.stdout.readline().strip()
        finally:
            child.kill()


def serve_table() -> None:
    """Run moto's server. It processes one request after the other, because real DynamoDB checks a condition and changes
    an item atomically.
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()

    def one_at_a_time(environ: Any, start_response: Any) -> Any:
        with lock:
            return [b"".join(app(environ, start_response))]

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


def redrive(store: str, url: str) -> None:
    """Run one redrive."""
    queue = DeadLetterQueue(store)
    with BedrockClient(MODEL, endpoint_url=url, region_name="us-east-1", quota=Quota(rpm=6e6)) as client:
        queue.redrive(client, lease=LEASE, concurrency=IN_FLIGHT, wait=True)


def told(store: str) -> tuple[int, str]:
    endpoint, queue = Endpoint(), DeadLetterQueue(store)
    queue.create()
    for number in range(LETTERS):
        queue.store_failed_request({"prompt": f"letter {number}"}, SLOW)
    started = time.monotonic()
    command = [sys.executable, "-m", "stress.letters", store, endpoint.url]
    redrives = [subprocess.Popen(command) for _ in range(REDRIVES)]
    doomed = {str(each.pid) for each in redrives[:KILLED]}
    while sum(endpoint.came.values()) < LETTERS // 4 or not doomed <= working(queue):
        time.sleep(0.05)
    for each in redrives[:KILLED]:
        each.kill()
    codes = [each.wait() for each in redrives][KILLED:]
    seconds = time.monotonic() - started
    marked = {letter.request["prompt"] for letter in queue.letters(state="redriven") if letter.summary.sent_twice}
    states = queue.stats().states
    queue.close()
    twice = {text for text, number in endpoint.came.items() if number > 1}
    wrong = (
        abs(states.get("redriven", 0) - LETTERS)
        + sum(number > 2 for number in endpoint.came.values())
        + len(twice - marked)
        + (not marked)
        + len(endpoint.at_once)
        + max(0, len(marked) - KILLED * IN_FLIGHT)
        + sum(code != 0 for code in codes)
    )
    return wrong, f"{len(twice)} sent twice of {len(marked)} marked, {seconds:.0f} s"


def working(queue: DeadLetterQueue) -> set[str]:
    """Return the process ids of the redrives that hold letters now."""
    return {summary.owner.split(":")[1] for summary in queue.page_of_summaries(100, state="claimed").summaries}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        wrong, detail = told(f"sqlite://{directory}/dead.db")
    with table() as url:
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = url
        os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
        more, other = told("dynamodb://DeadLetters")
    detail = f"file: {detail}; table: {other}"
    print(json.dumps({"trials": 2 * LETTERS, "wrong": wrong + more, "detail": detail}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["table"]:
            serve_table()
        case [store, url]:
            redrive(store, url)
        case _:
            main()
