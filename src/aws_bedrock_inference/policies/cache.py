"""The cache policy. It answers repeated requests from a store, and when several equal requests arrive at the same
time, it sends only one of them. The call that sends this request is the leader, and the calls that wait for its
answer are its followers.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.caches.answer import LARGEST, Recording, response_of
from aws_bedrock_inference.caches.key import content_of, key_of
from aws_bedrock_inference.call import Attempt, Outcome, Usage
from aws_bedrock_inference.dialects.determinism import is_deterministic
from aws_bedrock_inference.dialects.stream import transcript_of
from aws_bedrock_inference.events import AnswerCached
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.flow import ABANDONED, Head, emit, give, passing, wait
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.made import Made
from aws_bedrock_inference.policies.flights import Flight, Flights, Verdict
from aws_bedrock_inference.policies.keeping import KEPT, for_all, is_sound, is_whole, may_heal
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.policies.refusals import too_close

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from aws_bedrock_inference.caches.answer import Answer
    from aws_bedrock_inference.caches.store import AnswerStore
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Effect, Flow, Step
    from aws_bedrock_inference.policies.flights import Follower

# The program that reads the leader's stream can pause. Followers wait for at most this many seconds of such a pause. A
# follower also checks for a pause only this often.
PAUSED = 1.0

# Seconds after which a follower no longer waits for its leader. By default a call ends within this time. A leader that
# takes longer no longer runs: its event loop may have been stopped without being closed.
LONGEST = 900.0

_NOTHING = Usage()

_OF_CHANCE = (
    "the cache does not store answers to requests with random sampling, such as requests without temperature=0; "
    "Cache(sampled=True) stores them, too"
)
_CUT = (
    "the cache does not store answers that max_tokens or a filter truncated: the same request is sent and charged "
    "again; raise max_tokens so that the answer can be complete"
)
_LARGE = "the cache does not store answers larger than 1 MB: the same request is sent and charged again"


class Cache(Ordered):
    """A cache of complete answers. Equal calls that are made at the same time share one request to the service.

    * `url`: the store. None stores answers in the memory of this process, `sqlite:///path` for all processes of one
      machine, and `redis://host` for many machines. An `AnswerStore` object is accepted, too.
    * `ttl`, default 3600: the seconds for which an answer is used. One hour is long enough for repeated work. It also
      limits the age of outdated answers: if somebody changes a managed prompt or a draft guardrail that a request
      uses, answers from before the change are used for at most one hour.
    * `stale_if_error`, default 0: the further seconds for which an expired answer can be used if the request fails
      with a temporary error.
    * `max_entries`, default 10,000: the maximum number of answers in memory or in the file. A Redis server ignores this
      option and has its own limit.
    * `shared`, default False: by default, an answer is used only for the same account, principal and tenant. With
      True, it is used for every caller.
    * `sampled`, default False: by default, the cache stores only answers without random sampling: answers to requests
      with temperature 0 or top k 1, and answers of models that do not sample, such as embeddings. With True, it also
      stores randomly sampled answers.
    * `seal`: a pair of functions on bytes, (encrypt, decrypt), that encrypt the stored data.

    If the deadline of a call passes while the call waits for an equal call, the call is refused with
    `DeadlineTooClose`. Emits `AnswerCached` and `CacheStoreChanged`.

    Raises `ValueError` for invalid options, and `StoreUnusable` for a file that cannot be used. If a store fails
    later, calls continue without it.
    """

    def __init__(
        self,
        url: str | AnswerStore | None = None,
        *,
        ttl: float = 3600.0,
        stale_if_error: float = 0.0,
        max_entries: int = 10_000,
        shared: bool = False,
        sampled: bool = False,
        seal: tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]] | None = None,
    ) -> None:
        if not is_number(ttl, above=0):
            raise ValueError(f"Cache(ttl={shown(ttl)}): pass the seconds for which to use a stored answer, above 0")
        if not is_number(stale_if_error, least=0):
            raise ValueError(
                f"Cache(stale_if_error={shown(stale_if_error)}): pass the seconds for which to use an answer after it "
                "expired, or 0"
            )
        if not is_number(max_entries, least=1, whole=True):
            raise ValueError(f"Cache(max_entries={shown(max_entries)}): pass the number of answers to store, 1 or more")
        for name, value in (("shared", shared), ("sampled", sampled)):
            if not isinstance(value, bool):
                raise ValueError(f"Cache({name}={shown(value)}): pass True or False")  # noqa: TRY004 - as any option
        functions: Any = seal  # it may have any type
        if seal is not None and not (isinstance(functions, tuple) and list(map(callable, functions)) == [True, True]):
            raise ValueError(f"Cache(seal={shown(seal)}): pass two functions, (encrypt, decrypt), from bytes to bytes")
        from aws_bedrock_inference.caches.kept import Kept  # noqa: PLC0415 - it loads asyncio

        self.ttl = ttl
        self.stale_if_error = stale_if_error
        self.shared = shared
        self.sampled = sampled
        self._kept = Kept(url, max_entries, ttl + stale_if_error, seal)
        self._flights = Flights()
        self._logged: set[str] = set()

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step that answers calls from the cache, or runs `step` (the rest of the pipeline)."""

        def flow(call: Call) -> Flow:
            key = self._key(call)
            if key is None:
                return (yield from step(call))
            flight, follower = self._flights.join(key, clock())
            while follower is not None:
                verdict = yield from self._follow(flight, follower, call, clock)
                if isinstance(verdict, Fault):
                    return Outcome(fault=verdict)
                if isinstance(verdict, tuple):
                    answer, fault = verdict
                    return (yield from self._replay(answer, fault, call))
                follower = None
                if verdict is Verdict.AGAIN:
                    flight, follower = self._flights.join(key, clock())
                elif verdict is Verdict.ALONE:
                    flight = Flight(key, clock())  # a shared request without followers
                else:
                    flight.led_since = clock()
            return (yield from self._lead(flight, step, call, clock))

        return flow

    def close(self) -> None:
        """Close the files and connections of the store. A later call opens them again."""
        self._kept.store.close()

    def _key(self, call: Call) -> str | None:
        if call.operation not in KEPT:
            return None
        content = content_of(call.params)
        if content is None:
            return None
        if not self.sampled and not is_deterministic(content.request, call.route.base):
            self._log_once(_OF_CHANCE)
            return None
        return key_of(call, content, shared=self.shared)

    def _log_once(self, line: str) -> None:
        if line not in self._logged:
            self._logged.add(line)
            LOGGER.info(line)

    def _follow(self, flight: Flight, follower: Follower, call: Call, clock: Clock) -> Generator[Effect, Any, Any]:
        """Wait until the leader (the equal call that sends the request) has a result. Then return one of the following.

        * the pair (answer, None): the leader received the answer;
        * the pair (expired answer, fault): the leader failed, and an expired answer from the store replaces the fault;
        * a fault: the leader failed, or the deadline of this call passed;
        * a `Verdict`: no answer is available. The verdict states what this call does next: for example, it sends its
          own request (`ALONE`).
        """
        try:
            while follower.verdict is Verdict.WAIT:
                now = clock()
                gone = flight.led_since + LONGEST
                if now >= min(call.deadline, gone, flight.held_since + PAUSED):
                    if self._flights.leave(flight, follower) is not Verdict.WAIT:
                        break
                    if now >= call.deadline:
                        return _late()
                    if now < gone:
                        return Verdict.ALONE
                    self._flights.forget(flight)
                    return Verdict.AGAIN
                yield from wait(follower, min(call.deadline, gone, now + PAUSED if call.streams else inf))
        except BaseException:
            if self._flights.leave(flight, follower) is Verdict.LEAD:
                self._flights.hand_over(flight, failed=False)
            raise
        return follower.verdict

    def _lead(self, flight: Flight, step: Step, call: Call, clock: Clock) -> Flow:
        """Answer the call from the store, or send its request. Then pass the result to the equal calls that wait."""
        found = None
        if not flight.looked:
            flight.looked = True
            try:
                found = yield from self._kept.find(flight.key, clock())
            except BaseException:
                self._flights.hand_over(flight, failed=False)
                raise
        if found is not None and self._kept.age(found) <= self.ttl:
            self._flights.land(flight, (found, None))
            return (yield from self._replay(found, None, call))
        flight.expired = found if found is not None else flight.expired
        return (yield from self._ask(flight, step, call, clock))

    def _ask(self, flight: Flight, step: Step, call: Call, clock: Clock) -> Flow:
        recording = Recording()
        outcome: Outcome | None = None
        verdict: Any = None
        try:
            if call.streams:
                outcome = yield from passing(step(call), _taken(recording, flight, clock))
            else:
                outcome = yield from step(call)
                if outcome.fault is None:
                    recording.add_response(outcome.value)
            expired = flight.expired if may_heal(outcome) else None
            answer = recording.answer(flight.key, float(self._kept.clock())) if is_sound(outcome) else None
            if expired is not None:
                verdict = (expired, outcome.fault)
            elif outcome.fault is not None:
                verdict = for_all(outcome.fault)
            else:
                verdict = Verdict.ALONE if answer is None else (answer, None)
        finally:
            self._notify(flight, verdict, outcome)
        if expired is not None:
            return (yield from self._replay(expired, outcome.fault, call, outcome))
        if answer is not None and outcome.made.cached is None:  # an answer from another cache is already stored
            if not is_whole(outcome, call, recording.body):
                self._log_once(_CUT)
            elif len(answer.content) > LARGEST:
                self._log_once(_LARGE)
            else:
                yield from self._kept.keep(flight.key, answer, clock())
        return outcome

    def _notify(self, flight: Flight, verdict: Any, outcome: Outcome | None) -> None:
        """Pass the result `verdict` to the calls that wait. If `verdict` is None, let one of them send the request."""
        if verdict is not None:
            self._flights.land(flight, verdict)
        else:
            self._flights.hand_over(flight, failed=outcome is not None and outcome.fault is not ABANDONED)

    def _replay(self, answer: Answer, fault: Fault | None, call: Call, failed: Outcome | None = None) -> Flow:
        """Deliver a stored answer. An expired answer is delivered only after a failed request for a new answer: `fault`
        is the fault of this request. `failed` is the outcome of the request, or None if another call sent the request.
        """
        age = self._kept.age(answer)
        yield from emit(AnswerCached(call.route, age, fault))
        earlier = () if failed is None or fault is None else (*failed.earlier, Attempt(fault, 0.0))
        made = Made(cached=age)
        items = answer.items()
        head = _aged(items[0], age)
        if not call.streams:
            return Outcome(response_of(head), None, _NOTHING, 0, earlier, "", made)
        transcript = transcript_of(call.operation)
        items[0] = Head(head)
        for number, item in enumerate(items):
            if number:
                transcript.add(item)
            if not (yield from give(item)):
                return Outcome(transcript, ABANDONED, _NOTHING, number + 1, earlier, "", made)
        return Outcome(transcript, None, _NOTHING, len(items), earlier, "", made)

    def __repr__(self) -> str:
        return f"Cache({self._kept.store.place!r}, ttl={self.ttl:g})"


def _taken(recording: Recording, flight: Flight, clock: Clock) -> Callable[[Any], Iterator[Any]]:
    """Return a function that records each item of a stream, and then delivers the item to the caller.

    The function also sets `flight.held_since` to the time at which the caller received its current item. If the caller
    processes one item for too long, the equal calls that wait for the answer send their own requests.
    """

    def take(item: Any) -> Iterator[Any]:
        if type(item) is Head:
            recording.add(item.response)
        elif type(item) is dict:
            recording.add(item)
        else:
            recording.whole = False  # an item only for this reader, such as the notice of a restart
        flight.held_since = clock()
        yield item
        flight.held_since = inf

    return take


def _aged(head: dict[str, Any], age: float) -> dict[str, Any]:
    """Mark a response as cached: add the HTTP header `age`, which is the age of the answer in seconds."""
    metadata = head.get("ResponseMetadata")
    if isinstance(metadata, dict):
        metadata["RetryAttempts"] = 0
        metadata.setdefault("HTTPHeaders", {})["age"] = str(int(age))
    return head


def _late() -> Fault:
    return too_close("the call's deadline passed while it waited for an equal call")
