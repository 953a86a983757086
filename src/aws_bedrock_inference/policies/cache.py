"""A policy that answers a request which was answered before, and asks once for requests that are made at once."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.caches.answer import LARGEST, Recording, response_of
from aws_bedrock_inference.caches.key import key_of, said
from aws_bedrock_inference.call import Attempt, Outcome, Usage
from aws_bedrock_inference.dialects.determinism import is_deterministic
from aws_bedrock_inference.dialects.stream import transcript_of
from aws_bedrock_inference.events import AnswerCached
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.flow import ABANDONED, Head, emit, give, passing, wait
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.made import Made
from aws_bedrock_inference.policies.flights import Flight, Flights, Told
from aws_bedrock_inference.policies.keeping import KEPT, for_all, is_sound, is_whole, may_heal
from aws_bedrock_inference.policies.refusals import too_close

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from aws_bedrock_inference.caches.answer import Answer
    from aws_bedrock_inference.caches.store import AnswerStore
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Effect, Flow, Step
    from aws_bedrock_inference.policies.flights import Follower

# A stream whose consumer pauses for so many seconds is not waited for, nor is it asked more often whether it does.
PAUSED = 1.0

# Nobody waits longer for a leader: it has gone without a word, with an event loop that stands and is not closed. A call
# ends within this time by default.
LONGEST = 900.0

_NOTHING = Usage()

_OF_CHANCE = (
    "the cache passes requests that leave something to chance, such as those without temperature=0; "
    "Cache(sampled=True) keeps their answers, too"
)
_CUT = (
    "the cache does not keep answers that max_tokens or a filter cut: the same request is sent and charged again; "
    "with a higher max_tokens the answer may be kept"
)
_LARGE = "the cache does not keep answers of more than 1 MB: the same request is sent and charged again"


class Cache:
    """A cache of complete answers, and one request for equal calls that are made at the same time.

    `url` names the store: nothing for this process's memory, `sqlite:///path` for the processes of a machine,
    `redis://host` for many machines; a store of one's own is taken as well. An answer is given for `ttl` 3600 seconds:
    long enough for repeated work, and a change of what a request refers to, such as a prompt or a guardrail in draft,
    shows within the hour. `stale_if_error` 0 is for how many seconds after that an answer still takes the place of a
    failure that time may heal. `max_entries` 10,000 bounds the answers in memory or in the file; a server bounds
    itself. With `shared` an answer is given to whoever asks; by default only to the same account, principal and tenant.
    With `sampled` answers are kept for requests that leave something to chance, too; by default only where the
    temperature is 0, top k is 1, or the model computes. `seal` is a pair of functions of bytes, (encrypt, decrypt), for
    what is stored.

    Refuses with `DeadlineTooClose` a call whose deadline passes while it waits for an equal one. Emits `AnswerCached`
    and `CacheStoreChanged`.

    Raises `StoreUnusable` for a file that cannot be used; a store that fails later is left alone, and calls go on.
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
            raise ValueError(f"Cache(ttl={shown(ttl)}): give the seconds for which an answer is good, above 0")
        if not is_number(stale_if_error, least=0):
            raise ValueError(f"Cache(stale_if_error={shown(stale_if_error)}): give a number of seconds, or 0 for never")
        if not is_number(max_entries, least=1, whole=True):
            raise ValueError(f"Cache(max_entries={shown(max_entries)}): give the number of answers to keep, 1 or more")
        for name, value in (("shared", shared), ("sampled", sampled)):
            if not isinstance(value, bool):
                raise ValueError(f"Cache({name}={shown(value)}): give True or False")  # noqa: TRY004 - as any option
        functions: Any = seal  # whatever it really is
        if seal is not None and not (isinstance(functions, tuple) and list(map(callable, functions)) == [True, True]):
            raise ValueError(f"Cache(seal={shown(seal)}): give two functions of bytes, (encrypt, decrypt)")
        from aws_bedrock_inference.caches.kept import Kept  # noqa: PLC0415 - it loads asyncio

        self.ttl = ttl
        self.stale_if_error = stale_if_error
        self.shared = shared
        self.sampled = sampled
        self._kept = Kept(url, max_entries, ttl + stale_if_error, seal)
        self._flights = Flights()
        self._said: set[str] = set()

    def around(self, step: Step, clock: Clock) -> Step:
        """Return `step` behind the cache."""

        def flow(call: Call) -> Flow:
            key = self._key(call)
            if key is None:
                return (yield from step(call))
            flight, follower = self._flights.join(key, clock())
            while follower is not None:
                told = yield from self._follow(flight, follower, call, clock)
                if isinstance(told, Fault):
                    return Outcome(fault=told)
                if isinstance(told, tuple):
                    answer, fault = told
                    return (yield from self._replay(answer, fault, call))
                follower = None
                if told is Told.AGAIN:
                    flight, follower = self._flights.join(key, clock())
                elif told is Told.ALONE:
                    flight = Flight(key, clock())  # nobody follows it
                else:
                    flight.led_since = clock()
            return (yield from self._lead(flight, step, call, clock))

        return flow

    def close(self) -> None:
        """Close the store's files and connections; a later call opens them again."""
        self._kept.store.close()

    def _key(self, call: Call) -> str | None:
        """Return the key under which the answer may be kept; None for a call that is not this policy's."""
        if call.operation not in KEPT:
            return None
        asked = said(call.params)
        if asked is None:
            return None
        if not self.sampled and not is_deterministic(asked.request, call.route.base):
            self._say_once(_OF_CHANCE)
            return None
        return key_of(call, asked, shared=self.shared)

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            LOGGER.info(line)

    def _follow(self, flight: Flight, follower: Follower, call: Call, clock: Clock) -> Generator[Effect, Any, Any]:
        """Wait for a verdict: an answer with the fault in whose place it stands, a fault, or what to do."""
        try:
            while follower.told is Told.WAIT:
                now = clock()
                gone = flight.led_since + LONGEST
                if now >= min(call.deadline, gone, flight.held_since + PAUSED):
                    if self._flights.leave(flight, follower) is not Told.WAIT:
                        break
                    if now >= call.deadline:
                        return _late()
                    if now < gone:
                        return Told.ALONE
                    self._flights.forget(flight)
                    return Told.AGAIN
                yield from wait(follower, min(call.deadline, gone, now + PAUSED if call.streams else inf))
        except BaseException:
            if self._flights.leave(flight, follower) is Told.LEAD:
                self._flights.hand_over(flight, failed=False)
            raise
        return follower.told

    def _lead(self, flight: Flight, step: Step, call: Call, clock: Clock) -> Flow:
        """Answer from the store, or ask; then tell the followers."""
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
        """Make the request, tell the followers, and keep the answer."""
        recording = Recording()
        outcome: Outcome | None = None
        told: Any = None
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
                told = (expired, outcome.fault)
            elif outcome.fault is not None:
                told = for_all(outcome.fault)
            else:
                told = Told.ALONE if answer is None else (answer, None)
        finally:
            self._tell(flight, told, outcome)
        if expired is not None:
            return (yield from self._replay(expired, outcome.fault, call, outcome))
        if answer is not None and outcome.made.cached is None:  # an older one is kept where it comes from
            if not is_whole(outcome, call, recording.body):
                self._say_once(_CUT)
            elif len(answer.content) > LARGEST:
                self._say_once(_LARGE)
            else:
                yield from self._kept.keep(flight.key, answer, clock())
        return outcome

    def _tell(self, flight: Flight, told: Any, outcome: Outcome | None) -> None:
        """Tell the followers; where there is nothing to tell, because the leader failed or left, one of them leads."""
        if told is not None:
            self._flights.land(flight, told)
        else:
            self._flights.hand_over(flight, failed=outcome is not None and outcome.fault is not ABANDONED)

    def _replay(self, answer: Answer, fault: Fault | None, call: Call, failed: Outcome | None = None) -> Flow:
        """Give a kept answer; `failed` is what came of this call's own request in whose place it stands."""
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
    """Return the function that records each item of a stream, and says to the followers how long its consumer keeps
    it.
    """

    def take(item: Any) -> Iterator[Any]:
        if type(item) is Head:
            recording.add(item.response)
        elif type(item) is dict:
            recording.add(item)
        else:
            recording.whole = False  # a stream that began anew, or what else only this consumer may know
        flight.held_since = clock()
        yield item
        flight.held_since = inf

    return take


def _aged(head: dict[str, Any], age: float) -> dict[str, Any]:
    """Mark a response as kept, as HTTP does: by the header `age`, in seconds."""
    metadata = head.get("ResponseMetadata")
    if isinstance(metadata, dict):
        metadata["RetryAttempts"] = 0
        metadata.setdefault("HTTPHeaders", {})["age"] = str(int(age))
    return head


def _late() -> Fault:
    return too_close("the call's deadline passed while it waited for an equal call")
