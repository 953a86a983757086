"""The cache in virtual time: what is kept, for how long, who asks for whom, and what a failure means."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest
from support.doubles import INTERNAL, INVALID, ROUTE, THROTTLE, failed

from aws_bedrock_inference import Cache, Deadline, Pipeline, Retry, standard
from aws_bedrock_inference.caches.memory import MemoryAnswers
from aws_bedrock_inference.call import Call, Outcome, Usage
from aws_bedrock_inference.drivers.asynchronous import AsyncDriver
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.events import AnswerCached, CacheStoreChanged
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.flow import Sleep, send
from aws_bedrock_inference.made import Made, Seam
from aws_bedrock_inference.policies.cache import LONGEST
from aws_bedrock_inference.policies.flights import LEADERS, Flights, Verdict
from aws_bedrock_inference.stores.request import Instant, StoreUnavailable

HERE = replace(ROUTE, account="111122223333", endpoint="e", principal="p")


def params(text: str = "Why?", **settings: Any) -> dict[str, Any]:
    return {
        "modelId": ROUTE.model,
        "messages": [{"role": "user", "content": [{"text": text}]}],
        "inferenceConfig": {"temperature": 0, **settings},
    }


def asked(text: str = "Why?", operation: str = "converse", route: Any = HERE, **fields: Any) -> Call:
    return Call(operation, params(text), route, **fields)


def response(text: str = "Because.", stop: str = "end_turn") -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": stop,
        "usage": {"inputTokens": 10, "outputTokens": 20, "totalTokens": 30},
        "ResponseMetadata": {"RequestId": "r", "HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0},
    }


class Desk:
    """A cache before a service whose answers a test decides; each takes a second, and all that happens is known."""

    def __init__(self, **options: Any) -> None:
        self.driver = VirtualDriver(self.answer)
        make = options.pop("store", lambda clock: MemoryAnswers(100, clock))
        self.store = make(self.driver.clock)
        self.cache = Cache(self.store, **options)
        self.step = self.cache.around(send, self.driver.clock)
        self.sent: list[Call] = []
        self.script: list[Any] = []
        self.events: list[Any] = []
        self.driver.listeners.add(self.events.append)

    def answer(self, call: Call, now: float) -> Any:
        self.sent.append(call)
        told = self.script.pop(0) if self.script else None
        outcome = told if isinstance(told, Outcome) else Outcome(response(told or f"answer {len(self.sent)}"))
        return 1.0, outcome._replace(usage=Usage(10, 20))

    def spawn(self, call: Call | None = None, after: float = 0.0) -> Any:
        return self.driver.spawn(self.step(call if call is not None else asked()), after=after)

    def get(self, call: Call | None = None) -> Outcome:
        task = self.spawn(call)
        self.driver.run()
        assert task.error is None
        outcome: Outcome = task.result
        return outcome

    def wait(self, seconds: float) -> None:
        self.driver.run(self.driver.now + seconds)


def text(outcome: Outcome) -> str:
    return str(outcome.value["output"]["message"]["content"][0]["text"])


def test_the_second_of_two_equal_calls_is_answered_from_the_cache() -> None:
    desk = Desk()
    first, second = desk.get(), desk.get()
    assert (text(first), first.usage, first.made.cached, first.attempts) == ("answer 1", Usage(10, 20), None, 1)
    assert (text(second), second.usage, second.made.cached, second.attempts) == ("answer 1", Usage(), 0.0, 0)
    assert len(desk.sent) == 1
    assert desk.events == [AnswerCached(HERE, 0.0)]


def test_an_answer_is_good_for_so_long_and_its_age_is_told() -> None:
    desk = Desk(ttl=60)
    desk.get()
    desk.wait(59.5)
    assert desk.get().made.cached == 59.5
    desk.wait(0.5)
    assert text(desk.get()) == "answer 2"


def test_each_caller_has_a_copy_of_its_own() -> None:
    desk = Desk()
    for outcome in (desk.get(), desk.get(), desk.get()):
        assert text(outcome) == "answer 1"
        outcome.value["output"]["message"]["content"][0]["text"] = "scribbled"
        outcome.value.clear()


@pytest.mark.parametrize("stop", ["max_tokens", "guardrail_intervened", "content_filtered", "refusal", "odd", "", None])
def test_an_answer_that_is_cut_filtered_or_odd_is_given_and_not_kept(stop: Any) -> None:
    desk = Desk()
    desk.script = [Outcome(response("cut", stop)), Outcome(response("cut", stop))]
    tasks = [desk.spawn() for _ in range(3)]
    desk.driver.run()
    assert [text(task.result) for task in tasks] == ["cut"] * 3
    assert len(desk.sent) == 1
    assert text(desk.get()) == "cut"
    assert len(desk.sent) == 2


UNVERIFIED = Seam(3, "turn", verified=False, fault=INTERNAL, usage=Usage())
VERIFIED = replace(UNVERIFIED, verified=True)


@pytest.mark.parametrize(
    "made", [Made(seams=(VERIFIED, UNVERIFIED)), Made(degraded_by=INTERNAL), Made(replaced=True)], ids=str
)
def test_an_answer_that_is_not_the_models_own_is_neither_kept_nor_given_to_others(made: Made) -> None:
    desk = Desk()
    desk.script = [Outcome(response("odd"), made=made)]
    tasks = [desk.spawn() for _ in range(3)]
    desk.driver.run()
    assert [text(task.result) for task in tasks] == ["odd", "answer 2", "answer 3"]
    assert text(desk.get()) == "answer 3"


def test_an_answer_with_verified_seams_is_kept_and_one_of_another_cache_is_not() -> None:
    desk = Desk()
    desk.script = [Outcome(response("joined"), made=Made(seams=(VERIFIED,)))]
    assert [text(desk.get()), text(desk.get())] == ["joined", "joined"]
    desk = Desk()
    desk.script = [Outcome(response("old"), made=Made(cached=7.0))]
    assert [text(desk.get()), text(desk.get())] == ["old", "answer 2"]


@pytest.mark.parametrize(
    "request_params",
    [
        params(temperature=None),
        params(temperature=0.1),
        {**params(), "additionalModelRequestFields": {"inferenceConfig": {"temperature": 1}}},
        {**params(), "toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}},
        {name: value for name, value in params().items() if name != "inferenceConfig"},
    ],
)
def test_what_leaves_something_to_chance_is_kept_only_where_the_cache_is_told(request_params: Any) -> None:
    for sampled in (False, True):
        desk = Desk(sampled=sampled)
        desk.get(Call("converse", request_params, HERE))
        assert (desk.get(Call("converse", request_params, HERE)).made.cached is not None) is sampled


def test_the_first_request_that_is_left_out_is_said_in_the_log(caplog: Any) -> None:
    caplog.set_level("INFO", "aws_bedrock_inference")
    desk = Desk()
    for _ in range(3):
        desk.get(Call("converse", params(temperature=1), HERE))
    (line,) = caplog.records
    assert "Cache(sampled=True)" in line.getMessage()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ([response("cut", "max_tokens")] * 3, "max_tokens or a filter truncated"),
        ([response("cut", "guardrail_intervened")] * 3, "max_tokens or a filter truncated"),
        ([response("x" * 1_000_001)] * 3, "larger than 1 MB"),
    ],
)
def test_the_first_answer_that_is_not_kept_is_said_in_the_log(script: Any, said: str, caplog: Any) -> None:
    caplog.set_level("INFO", "aws_bedrock_inference")
    desk = Desk()
    desk.script = [Outcome(told) for told in script]
    for _ in script:
        assert desk.get().made.cached is None
    (line,) = caplog.records
    assert said in line.getMessage()
    assert "sent and charged again" in line.getMessage()
    assert line.levelname == "INFO"


def test_nothing_is_said_of_answers_that_are_kept_or_are_older_ones(caplog: Any) -> None:
    caplog.set_level("INFO", "aws_bedrock_inference")
    desk = Desk()
    desk.script = [Outcome(response("old"), made=Made(cached=7.0)), Outcome(response("new"))]
    assert [text(desk.get()) for _ in range(3)] == ["old", "new", "new"]
    assert caplog.records == []


@pytest.mark.parametrize("operation", ["count_tokens", "apply_guardrail", "start_async_invoke", "invoke_flow"])
def test_other_operations_pass(operation: str) -> None:
    desk = Desk(sampled=True)
    desk.get(asked(operation=operation))
    assert desk.get(asked(operation=operation)).made.cached is None


def test_two_who_ask_never_see_each_others_answers_unless_they_are_shared() -> None:
    other = replace(HERE, principal="another")
    desk = Desk()
    tasks = [desk.spawn(asked(route=route)) for route in (HERE, other, HERE, other)]
    desk.driver.run()
    assert [text(task.result) for task in tasks] == ["answer 1", "answer 2", "answer 1", "answer 2"]
    assert text(desk.get(asked(route=other))) == "answer 2"
    shared = Desk(shared=True)
    assert [text(shared.get(asked(route=route))) for route in (HERE, other)] == ["answer 1", "answer 1"]


def test_two_tenants_never_see_each_others_answers_unless_they_are_shared() -> None:
    desk, shared = Desk(), Desk(shared=True)
    tenants = ("acme", "other", "", "acme", "other", "")
    tasks = [desk.spawn(asked()._replace(tenant=tenant)) for tenant in tenants]
    desk.driver.run()
    assert [text(task.result) for task in tasks] == [f"answer {number}" for number in (1, 2, 3, 1, 2, 3)]
    assert text(desk.get(asked()._replace(tenant="other"))) == "answer 2"
    assert {text(shared.get(asked()._replace(tenant=tenant))) for tenant in tenants} == {"answer 1"}


# Calls made at the same time


def test_a_hundred_equal_calls_make_one_request() -> None:
    desk = Desk()
    tasks = [desk.spawn(after=number / 200) for number in range(100)]
    desk.driver.run()
    assert {text(task.result) for task in tasks} == {"answer 1"}
    assert len(desk.sent) == 1
    assert [task.result.usage for task in tasks] == [Usage(10, 20)] + [Usage()] * 99
    assert not desk.cache._flights._flights


def test_a_failed_leader_does_not_fail_the_others() -> None:
    desk = Desk()
    desk.script = [failed(INTERNAL)]
    tasks = [desk.spawn() for _ in range(10)]
    desk.driver.run()
    assert [task.result.fault for task in tasks] == [INTERNAL] + [None] * 9
    assert len(desk.sent) == 2


def test_after_a_few_failed_leaders_each_asks_for_itself() -> None:
    desk = Desk()
    desk.script = [failed(INTERNAL)] * LEADERS
    tasks = [desk.spawn() for _ in range(10)]
    desk.driver.run()
    assert [task.result.fault for task in tasks] == [INTERNAL] * LEADERS + [None] * (10 - LEADERS)
    assert len(desk.sent) == 10
    assert desk.driver.now == LEADERS + 1.0
    assert text(desk.get()).startswith("answer")
    assert not desk.cache._flights._flights


def test_an_invalid_request_is_refused_once_for_all_who_wait() -> None:
    desk = Desk()
    desk.script = [failed(INVALID)]
    tasks = [desk.spawn() for _ in range(10)]
    desk.driver.run()
    assert {task.result.fault for task in tasks} == {INVALID}
    assert len(desk.sent) == 1
    assert text(desk.get()) == "answer 2"


def test_the_followers_of_an_interrupted_leader_are_served() -> None:
    desk = Desk()
    tasks = [desk.spawn() for _ in range(10)]
    desk.driver.run(0.5)
    for task in tasks[:7]:  # the leader, and whoever leads after it
        desk.driver.interrupt(task, KeyboardInterrupt())
    desk.driver.run()
    assert [type(task.error) for task in tasks[:7]] == [KeyboardInterrupt] * 7
    assert {text(task.result) for task in tasks[7:]} == {"answer 2"}
    assert not desk.cache._flights._flights


def test_a_follower_that_was_told_to_lead_and_is_gone_hands_on() -> None:
    desk = Desk()
    tasks = [desk.spawn() for _ in range(3)]
    desk.driver.run(0.5)
    desk.driver.interrupt(tasks[0], KeyboardInterrupt())  # now the second one is to lead, and has not heard of it
    desk.driver.interrupt(tasks[1], KeyboardInterrupt())
    desk.driver.run()
    assert text(tasks[2].result) == "answer 2"


def test_a_follower_has_a_deadline_of_its_own() -> None:
    desk = Desk()
    leader, follower = desk.spawn(), desk.spawn(asked(deadline=0.25))
    desk.driver.run(0.3)
    assert follower.result.fault.code == "DeadlineTooClose"
    desk.driver.run()
    assert text(leader.result) == "answer 1"


def test_the_deadline_of_a_leader_is_not_that_of_its_followers() -> None:
    desk = Desk()
    desk.step = Pipeline(desk.cache, Deadline(), Retry(chance=lambda: 1.0)).around(send, desk.driver.clock)
    desk.script = [failed(INTERNAL)] * 2
    leader, follower = desk.spawn(asked(deadline=1.01)), desk.spawn()
    desk.driver.run()
    assert leader.result.fault == INTERNAL
    assert follower.result.fault is None


def test_nobody_waits_for_ever_for_a_leader_in_a_loop_that_stands() -> None:
    desk = Desk()
    gone = desk.step(asked())
    next(gone)  # it has the lead, and nobody will ever resume it
    tasks = [desk.spawn(), desk.spawn(after=LONGEST - 1), desk.spawn(after=LONGEST + 5)]
    desk.driver.run()
    assert [text(task.result) for task in tasks] == ["answer 1"] * 3
    assert tasks[2].result.made.cached == pytest.approx(4.0)
    assert not desk.cache._flights._flights
    gone.close()


# Answers that have expired


def test_an_expired_answer_takes_the_place_of_a_failure_for_a_while() -> None:
    desk = Desk(ttl=60, stale_if_error=100)
    desk.get()
    desk.wait(120)
    desk.script = [failed(THROTTLE)]
    tasks = [desk.spawn() for _ in range(3)]
    desk.driver.run()
    assert {(text(task.result), task.result.made.cached) for task in tasks} == {("answer 1", 121.0)}
    assert [task.result.attempts for task in tasks] == [1, 0, 0]
    assert desk.events == [AnswerCached(HERE, 121.0, THROTTLE)] * 3
    assert len(desk.sent) == 2
    assert text(desk.get()) == "answer 3"


@pytest.mark.parametrize("fault", [INVALID, replace(INVALID, kind=Kind.DENIED)])
def test_it_does_not_hide_a_failure_that_no_time_heals(fault: Any) -> None:
    desk = Desk(ttl=60, stale_if_error=100)
    desk.get()
    desk.wait(120)
    desk.script = [failed(fault)]
    assert desk.get().fault == fault


def test_an_answer_that_is_too_old_is_gone() -> None:
    desk = Desk(ttl=60, stale_if_error=100)
    desk.get()
    desk.wait(160.001)
    desk.script = [failed(THROTTLE)]
    assert desk.get().fault == THROTTLE


# The store


class Shaky(MemoryAnswers):
    """A store that is gone between two times, and counts what it is asked."""

    def __init__(self, clock: Any, gone: tuple[float, float], error: Exception | None = None) -> None:
        super().__init__(100, clock)
        self.gone = gone
        self.asked: list[float] = []
        self.error = error or StoreUnavailable("store.example refused the connection")

    def get(self, key: str) -> Instant[bytes | None]:
        self.asked.append(self.clock())
        return Instant(self.fail) if self.gone[0] <= self.clock() < self.gone[1] else super().get(key)

    def put(self, key: str, content: bytes, seconds: float) -> Instant[None]:
        return Instant(self.fail) if self.gone[0] <= self.clock() < self.gone[1] else super().put(key, content, seconds)

    def fail(self) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [None, RuntimeError("the prompt")])
def test_a_store_that_is_down_fails_no_call_and_is_tried_again_later(error: Any) -> None:
    desk = Desk(store=lambda clock: Shaky(clock, (10.0, 40.0), error))
    store = desk.store

    def one_a_second() -> Any:
        for number in range(60):
            outcome = yield from desk.step(asked(f"question {number % 2}"))
            assert outcome.fault is None
            if outcome.made.cached is not None:
                yield Sleep(1.0)

    task = desk.driver.spawn(one_a_second())
    desk.driver.run()
    assert task.error is None
    changes = [event for event in desk.events if isinstance(event, CacheStoreChanged)]
    assert [change.available for change in changes] == [False, True]
    assert "the prompt" not in changes[0].message
    assert len([at for at in store.asked if 10 <= at < 40]) <= 6
    assert len([at for at in store.asked if at >= 45]) > 5


def test_a_seal_is_what_the_store_sees_and_what_cannot_be_opened_is_asked_again() -> None:
    def flip(content: bytes) -> bytes:
        return bytes(byte ^ 0x55 for byte in content)

    def refuse(content: bytes) -> bytes:
        raise ValueError("another key")

    desk = Desk(seal=(flip, flip))
    desk.get(asked("secret question"))
    assert text(desk.get(asked("secret question"))) == "answer 1"
    (content,) = [value[0] for value in desk.store._kept.values()]
    assert b"answer" in flip(content)
    assert b"answer" not in content
    other = Desk(store=lambda _: desk.store, seal=(flip, refuse))
    assert text(other.get(asked("secret question"))) == "answer 1"
    assert len(other.sent) == 1


@pytest.mark.parametrize("wrong", [lambda _: 1 / 0, lambda content: content.hex()])
def test_an_answer_that_cannot_be_sealed_is_not_kept_and_that_is_said_once(wrong: Any, caplog: Any) -> None:
    desk = Desk(seal=(wrong, bytes))
    for _ in range(3):
        assert desk.get().made.cached is None
    assert len(desk.store) == 0
    (line,) = caplog.records
    assert "seal=(encrypt, decrypt)" in line.getMessage()


def test_what_is_kept_under_another_key_or_garbled_is_not_given() -> None:
    desk = Desk()
    desk.get()
    ((key, (content, _)),) = desk.store._kept.items()
    for garbled in (b"", b"0", b"0{}", content[:-1], content.replace(key.encode(), b"0" * 64), b"\xff", b"1" + content):
        desk.store._put(key, garbled, 1e6)
        assert desk.get().made.cached is None


def test_an_answer_from_a_clock_far_ahead_is_not_given() -> None:
    desk = Desk()
    desk.wait(1000)
    desk.get()
    desk.cache._kept.clock = lambda: desk.driver.now - 30
    assert desk.get().made.cached == 0.0
    desk.cache._kept.clock = lambda: desk.driver.now - 90
    assert desk.get().made.cached is None


# Its place and its options


def test_its_place_is_outside_of_the_deadline() -> None:
    cache = Cache()
    assert standard(cache=cache).policies[0] is cache
    assert len(standard().policies) == len(standard(cache=cache).policies) - 1
    with pytest.raises(ValueError, match=r"standard\(cache=<str>\): pass a Cache"):
        standard(cache="sqlite://answers.db")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"ttl": 0}, "ttl=0"),
        ({"ttl": float("inf")}, "ttl=inf"),
        ({"stale_if_error": -1}, "stale_if_error=-1"),
        ({"max_entries": 0}, "max_entries=0"),
        ({"max_entries": 1.5}, "max_entries=1.5"),
        ({"shared": "acme"}, "shared=<str>"),
        ({"sampled": 1}, "sampled=1"),
        ({"seal": (bytes,)}, "seal=<tuple>"),
        ({"seal": bytes}, "seal=<type>"),
        ({"url": 7}, r"Cache\(7\)"),
        ({"url": "mysql://x"}, "mysql://"),
        ({"url": "sqlite://"}, "no file name"),
    ],
)
def test_a_wrong_option_is_refused_by_name(options: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Cache(**options)


# Threads and tasks


def test_threads_share_one_request() -> None:
    gate, sent = threading.Event(), []

    def service(call: Call) -> Outcome:
        sent.append(call)
        gate.wait(60)
        return Outcome(response())

    driver = Driver(service)
    cache = Cache()
    step = cache.around(send, driver.clock)
    outcomes: list[Outcome] = []
    threads = [threading.Thread(target=lambda: outcomes.append(driver.run(step(asked())))) for _ in range(20)]
    for thread in threads:
        thread.start()
    while not (flights := cache._flights._flights) or len(next(iter(flights.values())).followers) < 19:
        threading.Event().wait(0.001)
    gate.set()
    for thread in threads:
        thread.join(60)
    assert [text(outcome) for outcome in outcomes] == ["Because."] * 20
    assert len(sent) == 1


@pytest.mark.parametrize("killed", [0, 1, 500])
def test_a_thousand_tasks_share_one_request_also_when_some_are_killed(killed: int) -> None:
    async def main() -> None:
        gate, sent = asyncio.Event(), []

        async def service(call: Call) -> Outcome:
            sent.append(call)
            await gate.wait()
            return Outcome(response())

        driver = AsyncDriver(service)
        step = Cache().around(send, driver.clock)
        tasks = [asyncio.create_task(driver.run(step(asked()))) for _ in range(1000 + killed)]
        await asyncio.sleep(0)
        for task in tasks[:killed]:
            task.cancel()
        await asyncio.sleep(0)
        gate.set()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes[:killed]] == [asyncio.CancelledError] * killed
        assert [text(outcome) for outcome in outcomes[killed:] if isinstance(outcome, Outcome)] == ["Because."] * 1000
        assert len(sent) == 1 + bool(killed)

    asyncio.run(main())


def test_the_followers_of_a_leader_whose_loop_is_gone_are_served() -> None:
    """Its task is destroyed with the loop, and another loop's task leads."""
    cache = Cache()

    async def never(call: Call) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    first = AsyncDriver(never)
    loop = asyncio.new_event_loop()
    led = loop.create_task(first.run(cache.around(send, first.clock)(asked())))
    loop.run_until_complete(asyncio.sleep(0))

    def leave() -> None:
        led.cancel()
        loop.run_until_complete(asyncio.gather(led, return_exceptions=True))
        loop.close()

    async def follow() -> Outcome:
        async def service(call: Call) -> Outcome:
            return Outcome(response("mine"))

        driver = AsyncDriver(service)
        task = asyncio.create_task(driver.run(cache.around(send, driver.clock)(asked())))
        await asyncio.sleep(0)
        await asyncio.to_thread(leave)
        return await task

    assert text(asyncio.run(follow())) == "mine"


def test_the_lead_passes_over_a_follower_that_cannot_be_woken() -> None:
    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    woken: list[int] = []
    flights = Flights()
    flight, _ = flights.join("k", 0.0)
    followers: list[Any] = [flights.join("k", 0.0)[1] for _ in range(3)]
    for number, follower in enumerate(followers):
        assert follower.attach(gone if number < 2 else lambda: woken.append(2))
    flights.hand_over(flight, failed=False)
    assert woken == [2]
    assert followers[2].verdict is Verdict.LEAD
    flights.hand_over(flight, failed=False)
    assert not flights._flights
