"""Send calls from threads, on urllib3 and sockets. `asynchronous` contains the same transport for asyncio, with its
functions in the same order.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.accounts.replaced import is_refusal, with_other_credentials
from aws_bedrock_inference.background import background
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.knowledge.classify import unidentified
from aws_bedrock_inference.transports.answers import ERROR, outcome
from aws_bedrock_inference.transports.dial import Dialler
from aws_bedrock_inference.transports.eventstream import OpenAnswer
from aws_bedrock_inference.transports.failures import Failed, MalformedAnswer, is_late, peer_vanished
from aws_bedrock_inference.transports.operations import operation
from aws_bedrock_inference.transports.prepare import Outgoing, UnsendableHeader, unsendable
from aws_bedrock_inference.transports.timeouts import CREDENTIALS, Exchange
from aws_bedrock_inference.transports.wires import Wires

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.place import Place
    from aws_bedrock_inference.transports.endpoint import Endpoint
    from aws_bedrock_inference.transports.http1 import Answer
    from aws_bedrock_inference.transports.wires import Wire

_BROKEN = (Failed, MalformedAnswer, OSError)


class BlockingTransport:
    """Sends calls to one endpoint over persistent connections. If a call names another place (endpoint and signing
    identity), the call is sent to that place. Threads can share this transport, and a forked child can use it.
    """

    def __init__(self, endpoint: Endpoint, *, clock: Clock = clocks.monotonic, wall: Clock = clocks.wall) -> None:
        self._endpoint = endpoint
        self._others: dict[Place, BlockingTransport] = {}
        self._signer = endpoint.signer
        self._outgoing = Outgoing(endpoint)
        self._clock = clock
        self._wall = wall
        self._wires = Wires(Dialler(endpoint).dial, clock)

    def send(self, call: Call) -> Outcome:  # noqa: PLR0911 - a return for each stage at which it can end
        """Send `call` once. The value of the returned outcome is boto3's response, or a `Source` for a streaming
        operation.
        """
        if call.place is not None and call.place is not self._endpoint:
            return self._beside(call.place).send(call)
        plan = operation(call.operation)
        exchange = Exchange(call, self._outgoing.host, self._clock)
        try:
            identity = self._renewed(exchange) if self._signer.due() else self._signer.identity()
        except Exception as error:  # noqa: BLE001 - botocore's errors, and those of the credentials' source
            return Outcome(fault=exchange.late() if is_late(error) else unidentified(error))
        try:
            request = self._outgoing.write(plan.request(call.params, plain=call.plain), identity, self._wall())
        except UnsendableHeader as error:
            return Outcome(fault=unsendable(error))
        first = "first_content" if plan.stream else "first_byte"
        wire = None
        try:
            wire = self._wires.take(exchange)
            exchange.begin(first)
            answer = wire.ask(self._outgoing.encoded(request), exchange)
        except BaseException as error:
            if wire is not None:
                wire.close()
            if not isinstance(error, _BROKEN):
                raise
            return Outcome(fault=self._fault(error, exchange, "ConnectionClosedError", wire))
        body = _Body(self._wires, wire, answer, exchange)
        if plan.stream and answer.status < ERROR:
            return Outcome(Source(plan, plan.response(answer.status, answer.headers, b""), body, exchange))
        try:
            content = body.whole(first)
        except _BROKEN as error:
            return Outcome(fault=fault_of(error, exchange, "IncompleteReadError"))
        ended = outcome(plan, answer.status, answer.headers, content, wall=self._wall())
        if ended.fault is not None and is_refusal(ended.fault) and self._replaced(identity, exchange):
            return Outcome(fault=with_other_credentials(ended.fault))
        return ended

    def close(self) -> None:
        """Close the idle connections. A connection in use is closed when its call ends."""
        self._wires.close()
        for other in list(self._others.values()):
            other.close()

    def _beside(self, place: Place) -> BlockingTransport:
        """Return the transport for another place (endpoint and signing identity). It is created on first use."""
        found = self._others.get(place)
        if found is None:
            made = BlockingTransport(cast("Endpoint", place), clock=self._clock, wall=self._wall)
            found = self._others.setdefault(place, made)  # if two threads create one at the same time, one is used
        return found

    def _renewed(self, exchange: Exchange) -> Any:
        """Return the identity that signs the call, and start its renewal.

        A background thread renews the identity, because the renewal can last longer than the call. The call waits for
        the renewal only if the current identity may expire too soon. The call stops waiting when the attempt or the
        call must end.
        """
        renewal = background.start(("identity", id(self._signer.source)), self._signer.renewed)
        exchange.begin(CREDENTIALS)
        return self._signer.current() or renewal.result(exchange.left())

    def _replaced(self, identity: Any, exchange: Exchange) -> bool:
        """Read the credentials again after the service refused `identity`, and return whether they have changed.

        A background thread reads the credentials. The call waits for this thread at most until the attempt or the call
        ends. If the credentials cannot be read, the result is False.
        """
        try:
            reading = background.start(
                ("replaced", id(self._signer.source), identity), partial(self._signer.replaced, identity)
            )
            exchange.begin(CREDENTIALS)
            return bool(reading.result(exchange.left()))
        except Exception:  # noqa: BLE001 - botocore's errors: the refusal of the service is the more useful fault
            return False

    def _fault(self, error: Exception, exchange: Exchange, broken: str, wire: Wire | None) -> Fault:
        if wire is not None and not wire.fresh and peer_vanished(error):
            self._wires.forget()  # the other idle connections have probably failed
        return fault_of(error, exchange, broken)


class Source(OpenAnswer["_Body"]):
    """The open stream of an answer. The calling thread reads its events."""

    def next(self) -> dict[str, Any] | Fault | None:
        """Return the next event, or the fault that broke the stream. Return None at the end of the body."""
        event: dict[str, Any] | Fault | None = None
        try:
            while not self._ended:
                event = self._decoder.next()
                if event is not None:
                    break
                data = self._body.read(self._limit)
                self._decoder.feed(data)
                if not data:
                    event = self._decoder.end()
                    self.close()
        except _BROKEN as error:
            event = fault_of(error, self._exchange, "StreamBroken")
        if isinstance(event, Fault):
            self.close()
        return event


class _Body:
    """The body of an answer, which is read while it arrives. If the reading is interrupted, the connection is
    closed.
    """

    def __init__(self, wires: Wires, wire: Wire, answer: Answer, exchange: Exchange) -> None:
        self._wires = wires
        self._wire: Wire | None = wire
        self._answer = answer
        self._exchange = exchange

    def read(self, limit: str) -> bytes:
        """Return the bytes that have arrived. If no bytes have arrived, wait for the next ones. `limit` is the name of
        the time limit of this wait. Return empty bytes at the end of the body.
        """
        data = self._answer.take()
        if not data:
            self._exchange.begin(limit)
            while not data and self._more():
                data = self._answer.take()
        return data

    def whole(self, limit: str) -> bytes:
        """Return the complete body, and wait for it if needed. `limit` is the name of the time limit of this wait."""
        self._exchange.begin(limit)
        while self._more():
            pass
        return self._answer.take()

    def close(self) -> None:
        """Release the connection for other calls. If the answer has unread bytes, close the connection instead."""
        wire, self._wire = self._wire, None
        if wire is None:
            return
        if self._answer.complete and self._answer.reusable:
            self._wires.keep(wire)
        else:
            wire.close()

    def _more(self) -> bool:
        """Wait for more bytes of the body, and return True. At the end of the body, release the connection and return
        False.
        """
        wire = self._wire
        if wire is None or self._answer.complete:
            self.close()
            return False
        try:
            wire.more(self._answer, self._exchange)
        except BaseException:
            self.close()
            raise
        return True


def fault_of(error: Exception, exchange: Exchange, broken: str) -> Fault:
    """Return the fault for an error of the network. `broken` is the code of the fault if the connection was lost."""
    if isinstance(error, Failed):
        return exchange.failed(error.code, error.error)
    if is_late(error):
        return exchange.late()
    return exchange.failed("MalformedResponse" if isinstance(error, MalformedAnswer) else broken, error)
