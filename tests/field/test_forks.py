"""A process forks while a client works: the child uses, awaits and ends nothing that belongs to the parent."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from support.answers import FRAMES
from support.wire import Wire, stream

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 60

COMMON = """
import faulthandler, gc, os, sys, threading
faulthandler.dump_traceback_later(50, exit=True)
import boto3
from aws_bedrock_inference import BedrockClient, Breaker, Outcome, Quota, Retry, Route, StreamBroken, Usage
from aws_bedrock_inference.call import Call, Estimate
from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import Pipeline, send
from aws_bedrock_inference.streaming import stream

MODEL = "amazon.nova-lite-v1:0"
ROUTE = Route(MODEL, "us-east-1")


def open_client(**options):
    session = boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")
    return BedrockClient(MODEL, session=session, endpoint_url=sys.argv[1], **options)


def in_child(work):
    # Fork, and return what `work` prints in the child.
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = str(work())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said
"""


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-W", "ignore", "-c", COMMON + script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Echo(BaseHTTPRequestHandler):
    """A server that answers with the prompt, and records the first word of each request on a connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    said: ClassVar[dict[Any, set[str]]] = {}

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": asked["messages"][0]["content"]}
        answer = {
            "output": {"message": message},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
            "metrics": {"latencyMs": 1},
        }
        content = json.dumps(answer).encode()
        self.said.setdefault(self.client_address, set()).add(message["content"][0]["text"].split()[0])
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Answer nothing."""


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


WORKERS = """
client = open_client()


def wrong(who):
    prompts = [f"{who} {number}" for number in range(15)]
    return sum(client.invoke(prompt).text != prompt for prompt in prompts)


print(wrong("parent"))
for worker in range(4):
    print(in_child(lambda: wrong(f"worker{worker}")))
print(wrong("parent"))
"""


def test_forked_workers_get_the_answers_to_their_own_prompts(echo: str) -> None:
    Echo.said.clear()
    assert run(WORKERS, echo).split() == ["0"] * 6
    assert all(len(processes) == 1 for processes in Echo.said.values())  # each has connections of its own


HELD_LOCKS = """
from aws_bedrock_inference import sessions
from aws_bedrock_inference.tokens import max_tokens_warning

quota, breaker, retry = Quota(rpm=600, tpm=600_000), Breaker(), Retry()
client = open_client(pipeline=Pipeline(retry, breaker, quota))
client.invoke("warm")
route = client._route(MODEL)
owners = [quota._ledgers, breaker._circuits, retry.budget, quota.ledger(route, monotonic()), breaker.circuit(route)]
owners += [client._gauge, max_tokens_warning.PROCESS]
locks = [owner._lock for owner in owners] + [sessions._making._lock]
held, release = threading.Event(), threading.Event()


def hold():
    for lock in locks:
        lock.acquire()
    held.set()
    release.wait()


threading.Thread(target=hold, daemon=True).start()
held.wait()


def work():
    fresh = open_client(pipeline=client.pipeline)
    return fresh.invoke("in the child").text


print(in_child(work))
"""


def test_a_child_does_not_wait_for_a_lock_held_at_the_fork(echo: str) -> None:
    assert run(HELD_LOCKS, echo) == "in the child"


IN_FLIGHT = """
quota, breaker = Quota(concurrency=1), Breaker(failures=1, recovery=0.001, probes=1)
step = Pipeline(breaker, quota).around(send, monotonic)
sent, release = threading.Event(), threading.Event()


def slow(call):
    sent.set()
    release.wait()
    return Outcome(usage=Usage(1, 1))


def ask(driver):
    return driver.run(step(Call("converse", {}, ROUTE, Estimate(1, 1), arrived=monotonic(), deadline=monotonic() + 40)))


circuit = breaker.circuit(ROUTE)
if sys.argv[1] == "probe":
    circuit._open(-1.0)
holder = threading.Thread(target=ask, args=[Driver(slow)])
waiter = threading.Thread(target=ask, args=[Driver(lambda call: Outcome(usage=Usage(1, 1)))])
holder.start()
sent.wait()
if sys.argv[1] == "queue":
    queued = threading.Event()
    driver = Driver(lambda call: Outcome(usage=Usage(1, 1)))
    driver.listeners.add(lambda event: queued.set())
    threading.Thread(target=ask, args=[driver]).start()
    queued.wait()


def work():
    fault = ask(Driver(lambda call: Outcome(usage=Usage(1, 1)))).fault
    state = quota.ledger(ROUTE, monotonic()).snapshot(monotonic())
    return fault, state.outstanding, quota.waiting()


print(in_child(work))
release.set()
holder.join()
print(ask(Driver(lambda call: Outcome(usage=Usage(1, 1)))).fault)
"""


@pytest.mark.parametrize("what", ["slot", "queue", "probe"])
def test_calls_of_the_parent_occupy_no_slot_in_the_child(what: str) -> None:
    assert run(IN_FLIGHT, what).splitlines() == ["(None, 0.0, 0)", "None"]


STREAM = """
client = open_client(quota=Quota(rpm=600, tpm=600_000))
answer = client.invoke_stream("Why?", max_tokens=9)
first = next(answer)


def work():
    try:
        return "read " + "".join(answer)
    except StreamBroken as error:
        return error.code


def drop():
    global answer
    kept = [answer]
    kept.append(kept)
    del kept, answer
    gc.collect()
    from aws_bedrock_inference.drivers.abandoned import reaper
    reaper.drain()
    return "dropped"


print(in_child(work))
print(in_child(drop))
print(first + "".join(answer))
"""


def test_a_child_does_not_end_a_stream_of_its_parent() -> None:
    with Wire(stream(*FRAMES)) as wire:
        assert run(STREAM, wire.url).splitlines() == ["StreamInherited", "dropped", "Because of Rayleigh."]


CHILD_DROPS = """
class Endless:
    response = {"ResponseMetadata": {}}
    closed = threading.Event()

    def next(self):
        return {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hello"}}}

    def close(self):
        self.closed.set()


quota = Quota(concurrency=1)
driver = Driver(lambda call: Outcome(Endless()))


def read_and_drop():
    step = quota.around(stream, monotonic)
    reading = driver.stream(step(Call("converse_stream", {}, ROUTE, Estimate(1, 1), arrived=monotonic())))
    next(reading), next(reading)
    kept = [reading]
    kept.append(kept)


def work():
    Endless.closed = threading.Event()
    read_and_drop()
    gc.collect()
    closed = Endless.closed.wait(40)
    return closed, driver.run(
        quota.around(send, monotonic)(Call("converse", {}, ROUTE, Estimate(1, 1), arrived=monotonic()))
    ).fault


read_and_drop()
gc.collect()
assert Endless.closed.wait(40)
print(in_child(work))
"""


def test_a_child_ends_its_own_dropped_streams() -> None:
    assert run(CHILD_DROPS) == "(True, None)"
