"""The HTTP server of the simulator. It has no TLS. HTTP/1.1 and HTTP/2 (h2c, prior knowledge) share one port.

The server runs in granian.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - a server needs an event loop
import contextlib
import logging
import os
import socket
import sys
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

from granian.constants import Interfaces
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]
from granian.server.embed import Server

from aws_bedrock_inference import clock
from aws_bedrock_inference.simulator import control, plan, scenario, sockets
from aws_bedrock_inference.simulator.error_texts import ServiceError, invalid
from aws_bedrock_inference.simulator.plan import Break
from aws_bedrock_inference.simulator.request import Request, is_about_jobs
from aws_bedrock_inference.simulator.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from granian._granian import RSGIHTTPProtocol
    from granian.rsgi import Scope

    from aws_bedrock_inference.simulator.plan import Plan
    from aws_bedrock_inference.simulator.settings import Scenario

# The longest body that InvokeModel accepts: botocore 1.44.5, bedrock-runtime, shape Body. Longer bodies are not read.
_LONGEST_BODY = 25_000_000
_BACKLOG = 2048
_DRAIN_SECONDS = 1.0
_POLL_SECONDS = 0.01
_WORK_SECONDS = 5.0  # boto3's clients give up after 60 s


class Endpoint:
    """The application that granian runs. granian calls `__rsgi__` for each request."""

    def __init__(self, service: Service, bound: str) -> None:
        self.service = service
        self._bound = bound
        self.changed = asyncio.Event()
        self.changed_jobs = asyncio.Event()
        self._under_way: set[asyncio.Task[None] | None] = set()

    async def __rsgi__(self, scope: Scope, protocol: RSGIHTTPProtocol) -> None:
        """Answer one request."""
        self._under_way.add(task := asyncio.current_task())
        try:
            await self._answer(scope, protocol)
        finally:
            self._under_way.discard(task)

    def give_up(self) -> None:
        """Cancel the requests in flight. Without this, granian would not stop before all of them have ended."""
        for task in self._under_way:
            if task:
                task.cancel()

    async def _answer(self, scope: Scope, protocol: RSGIHTTPProtocol) -> None:
        try:
            todo = await self._plan(scope, protocol)
        except ProtocolClosed:
            return  # the client disconnected before it had sent the request
        except Exception:
            logging.getLogger(__name__).exception("the simulator has failed; this is a bug in the simulator")
            todo = plan.refusal(ServiceError("InternalServerException", "the simulator has failed; see its log"))
            todo.headers.append(("x-amzn-requestid", self.service.request_id()))
        await _carry_out(todo, scope, protocol)

    async def _plan(self, scope: Scope, protocol: RSGIHTTPProtocol) -> Plan:
        headers = dict(scope.headers.items())
        headers.setdefault("host", scope.authority or "")
        length = headers.get("content-length")
        body = await _body(protocol, None if length is None else int(length))
        if body is None:
            constraint = f"Member must have length less than or equal to {_LONGEST_BODY}"
            return plan.refusal(invalid("constraint", place="/body", constraint=constraint))
        request = Request(scope.method, scope.path, scope.query_string, headers, body)
        if request.path.startswith(control.PREFIX):
            return control.answer(request, self._bound, self)
        if not is_about_jobs(request):
            return self.service.handle(request)
        # The answer waits for the batch work that is due, but at most as long as a client waits.
        await asyncio.wait({asyncio.ensure_future(asyncio.to_thread(self.service.work))}, timeout=_WORK_SECONDS)
        answer = self.service.handle(request)
        self.changed_jobs.set()
        return answer

    def report(self) -> dict[str, Any]:
        """Return the statistics of the simulator."""
        return self.service.stats.report()

    def load(self, scenario: Scenario) -> None:
        """Start the simulation again with `scenario`."""
        self.service.load(scenario)
        self._changed()

    def skip(self, seconds: float) -> None:
        """Advance the clock of the simulator by `seconds`."""
        self.service.skip(seconds)
        self._changed()

    def _changed(self) -> None:
        self.changed.set()
        self.changed_jobs.set()


async def _body(protocol: RSGIHTTPProtocol, length: int | None) -> bytes | None:
    """Return the body of a request. Return None if the body is longer than the maximum; the server then stops reading
    it.
    """
    if length is not None:
        return await protocol() if length <= _LONGEST_BODY else None
    pieces, read = [], 0
    async for piece in protocol:
        pieces.append(piece)
        read += len(piece)
        if read > _LONGEST_BODY:
            return None
    return b"".join(pieces)


async def _carry_out(todo: Plan, scope: Scope, protocol: RSGIHTTPProtocol) -> None:
    stream = None
    with contextlib.closing(todo.steps), contextlib.suppress(ProtocolClosed):
        for step in todo.steps:
            if isinstance(step, float):
                if not await _waited(step, protocol):
                    return
            elif isinstance(step, bytes):
                if not todo.streamed:
                    protocol.response_bytes(todo.status, todo.headers, step)
                    continue
                if stream is None:
                    stream = protocol.response_stream(todo.status, todo.headers)
                await stream.send_bytes(step)
            elif step is Break.RESET:
                sockets.reset(scope.client)
                await protocol.client_disconnect()
        if todo.streamed and stream is None:
            protocol.response_bytes(todo.status, todo.headers, b"")


async def _waited(seconds: float, protocol: RSGIHTTPProtocol) -> bool:
    """Wait for `seconds`, and return whether the client is still connected."""
    if seconds <= 0:
        return True
    gone = asyncio.ensure_future(protocol.client_disconnect())
    done, _ = await asyncio.wait({gone}, timeout=None if seconds == inf else seconds)
    gone.cancel()
    return not done


async def serve(tables: dict[str, Any], host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the scenario until the task is cancelled.

    Port 0 selects a free port. After the start, `ready` is called once, with the URL of the server. A scenario can
    refuse connections for some time: new connections then fail, but requests in flight continue. Raises OSError if the
    address is not available.
    """
    service = Service(scenario.read(tables), clock=clock.monotonic, wall=clock.wall)
    endpoint = Endpoint(service, host)
    port = _port(host, port)
    working = asyncio.create_task(_work(endpoint))
    listener: Server | None = None
    serving: set[asyncio.Task[None]] = set()
    try:
        while True:
            refusing, change = service.refusing()
            if refusing and listener:
                listener.stop()  # type: ignore[no-untyped-call]
                listener = None
            elif not refusing and not listener:
                listener = _listener(endpoint, host, port)
                task = asyncio.create_task(listener.serve())
                serving.add(task)
                task.add_done_callback(serving.discard)
                await _accepting(host, port)
            ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
            ready = _already_reported
            endpoint.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(endpoint.changed.wait(), change)
    finally:
        working.cancel()
        service.close()
        if listener:
            listener.stop()  # type: ignore[no-untyped-call]
        if serving:
            _, slow = await asyncio.wait(serving, timeout=_DRAIN_SECONDS)
            if slow:
                endpoint.give_up()
                await asyncio.wait(slow, timeout=_DRAIN_SECONDS)


async def _work(endpoint: Endpoint) -> NoReturn:
    """Continue each batch job of the simulated account when the next step of the job is due."""
    while True:
        endpoint.changed_jobs.clear()
        await asyncio.to_thread(endpoint.service.work)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(endpoint.changed_jobs.wait(), endpoint.service.next_work())


def leave() -> NoReturn:
    """End the process immediately, because granian's threads outlive its event loop and would panic while the
    interpreter shuts down.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _already_reported(_: str) -> None:
    """Do nothing. In the first step of its loop, `serve` calls `ready` with the URL. In all later steps, `serve` calls
    this function instead, so that the URL is reported only once.
    """


def _listener(endpoint: Endpoint, host: str, port: int) -> Server:
    return Server(
        endpoint, host, port, interface=Interfaces.RSGI, backlog=_BACKLOG, websockets=False, log_enabled=False
    )


def _port(host: str, port: int) -> int:
    """Return `port`, or a free port for 0. Raises OSError if the port is in use; granian does not report this."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        bound: int = probe.getsockname()[1]
        return bound


async def _accepting(host: str, port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(_POLL_SECONDS)
        else:
            writer.close()
            return
