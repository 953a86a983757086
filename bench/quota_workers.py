"""Run one client of bench/quota.py in a separate process. Many threads make calls, and the time of each call is
recorded, from its start to its end with all waits.

The task is one line of JSON on standard input. The process writes `ready` when the client is created. The next line on
standard input contains the monotonic time of the start.

The result is one line of JSON with a list for each call: its start, its duration (null while unfinished), the seconds
that the model took (or null), its class, and its error (or null). Times are in seconds from the start of the run.
"""

from __future__ import annotations

import inspect
import json
import os
import random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[[str, str], float | None]
    """Sends a prompt of a class. Returns the seconds that the model took, if the client reports them."""

REGION = "us-east-1"
MODEL = "amazon.nova-lite-v1:0"  # burndown 1
MAX_TOKENS = 300
# Prompts in tokens: log-normal, clipped. Mean about 470.
MEDIAN, SPREAD, SHORTEST, LONGEST = 360, 0.75, 100, 3_000
CHARACTERS_PER_TOKEN = 4
FILLER = "the quota of a model is shared by all who call it and is never said "
PAUSE_AFTER_FAILURE = 1.0  # seconds to log an error; without them, fast failures would flood the service
MOST_AT_ONCE = 400  # for calls at random times


def ours(task: dict[str, Any], **options: Any) -> Ask:
    from aws_bedrock_inference import BedrockClient, Quota

    client = BedrockClient(MODEL, endpoint_url=task["url"], quota=Quota(**options))
    classes = "priority" in inspect.signature(client.invoke).parameters
    if task["rate"] and not classes:
        print("BedrockClient.invoke has no priority yet, so all calls have the same priority", file=sys.stderr)

    def ask(prompt: str, kind: str) -> float | None:
        extra: dict[str, Any] = {"priority": kind} if classes and task["rate"] else {}
        return latency(client.invoke(prompt, max_tokens=MAX_TOKENS, **extra))

    return ask


def told(task: dict[str, Any]) -> Ask:
    shared = {"store": task["store"]} if task["store"] else {}
    return ours(task, tpm=task["tpm"], **shared)


def boto3_with(task: dict[str, Any], **retries: Any) -> Ask:
    import boto3
    from botocore.config import Config

    config = Config(max_pool_connections=MOST_AT_ONCE, retries=retries)  # type: ignore[arg-type]
    client: Any = boto3.client("bedrock-runtime", endpoint_url=task["url"], config=config)

    def ask(prompt: str, _: str) -> float | None:
        messages = [{"role": "user", "content": [{"text": prompt}]}]
        return latency(
            client.converse(modelId=MODEL, messages=messages, inferenceConfig={"maxTokens": MAX_TOKENS}),
        )

    return ask


def tenacity_around_boto3(task: dict[str, Any]) -> Ask:
    import tenacity

    def throttled(error: BaseException) -> bool:
        return code(error) == "ThrottlingException"

    retry = tenacity.retry(
        retry=tenacity.retry_if_exception(throttled),
        wait=tenacity.wait_random_exponential(min=1, max=60),
        stop=tenacity.stop_after_attempt(10),
        reraise=True,
    )
    return retry(boto3_with(task, total_max_attempts=1))


def litellm_router(task: dict[str, Any]) -> Ask:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise it fetches a list of prices
    import litellm

    litellm.suppress_debug_info = True
    deployment = {
        "model_name": "nova",
        "litellm_params": {
            "model": f"bedrock/converse/{MODEL}",
            "api_base": task["url"],
            "tpm": task["tpm"],
        },
    }
    router: Any = litellm.Router(
        model_list=[deployment], num_retries=10, optional_pre_call_checks=["enforce_model_rate_limits"]
    )

    def ask(prompt: str, _: str) -> None:
        router.completion(model="nova", messages=[{"role": "user", "content": prompt}], max_tokens=MAX_TOKENS)

    return ask


CLIENTS: dict[str, Callable[[dict[str, Any]], Ask]] = {
    "ours": told,
    "ours-untold": ours,
    "boto3-standard": lambda task: boto3_with(task, mode="standard"),
    "boto3-adaptive": lambda task: boto3_with(task, mode="adaptive"),
    "boto3-standard10": lambda task: boto3_with(task, mode="standard", total_max_attempts=10),
    "boto3-adaptive10": lambda task: boto3_with(task, mode="adaptive", total_max_attempts=10),
    "tenacity": tenacity_around_boto3,
    "litellm": litellm_router,
}


def code(error: BaseException) -> str:
    response = getattr(error, "response", None)  # LiteLLM's response is a response of httpx
    told = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(told or type(error).__name__)


def latency(answer: Any) -> float:
    return float(answer["metrics"]["latencyMs"]) / 1000


class Crowd:
    """Threads that make calls until the end, and the results of their calls."""

    def __init__(self, task: dict[str, Any], ask: Ask, start: float) -> None:
        self.calls: list[list[Any]] = []
        self._ask = ask
        self._start = start
        self._end = start + task["seconds"]
        self._seed = task["seed"]
        self._lock = threading.Lock()

    def closed_loop(self, worker: int) -> None:
        """Make the next call as soon as the previous call has an answer."""
        chance = random.Random(f"{self._seed} {worker}")  # noqa: S311 - a workload
        while time.monotonic() < self._end:
            if not self._call(prompt(chance), "batch"):
                time.sleep(PAUSE_AFTER_FAILURE)

    def open_loop(self, rate: float) -> None:
        """Make `rate` calls per second at random times, whether or not earlier calls have answers."""
        chance = random.Random(f"{self._seed} arrivals")  # noqa: S311 - a workload
        free = threading.Semaphore(MOST_AT_ONCE)
        due = self._start
        while (due := due + chance.expovariate(rate)) < self._end:
            time.sleep(max(0.0, due - time.monotonic()))
            if free.acquire(blocking=False):
                text = prompt(chance)
                threading.Thread(target=self._one, args=(text, free), daemon=True).start()
            else:
                self._note([due - self._start, 0.0, None, "interactive", "TooManyAtOnce"])

    def _one(self, text: str, free: threading.Semaphore) -> None:
        self._call(text, "interactive")
        free.release()

    def _call(self, text: str, kind: str) -> bool:
        """Make one call, and return whether it had an answer."""
        began = time.monotonic()
        call: list[Any] = [began - self._start, None, None, kind, None]
        self._note(call)
        try:
            call[2] = self._ask(text, kind)
        except Exception as error:  # noqa: BLE001 - the errors of all clients are counted
            call[4] = code(error)
        call[1] = time.monotonic() - began
        return not call[4]

    def _note(self, call: list[Any]) -> None:
        with self._lock:
            self.calls.append(call)


def prompt(chance: random.Random) -> str:
    """Return a text that is different in each call, so that the answers have different lengths."""
    tokens = min(LONGEST, max(SHORTEST, round(MEDIAN * chance.lognormvariate(0, SPREAD))))
    text = f"{chance.getrandbits(64):016x} " + FILLER * (tokens * CHARACTERS_PER_TOKEN // len(FILLER))
    return text[: tokens * CHARACTERS_PER_TOKEN].ljust(tokens * CHARACTERS_PER_TOKEN, ".")


def main() -> None:
    task = json.loads(sys.stdin.readline())
    os.environ |= {
        "AWS_ACCESS_KEY_ID": task["key"],
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_NEW_RETRIES_2026": "true",  # what botocore 1.44 always does
    }
    try:
        ask = CLIENTS[task["client"]](task)
    except (ImportError, TypeError) as error:  # not installed, or an option that does not exist yet
        print(f"{type(error).__name__}: {error}", flush=True)
        return
    print("ready", flush=True)
    go = sys.stdin.readline()
    if not go:
        return
    start = float(go)
    time.sleep(max(0.0, start - time.monotonic()))
    crowd = Crowd(task, ask, start)
    for worker in range(task["workers"]):
        threading.Thread(target=crowd.closed_loop, args=(worker,), daemon=True).start()
    if task["rate"]:
        threading.Thread(target=crowd.open_loop, args=(task["rate"],), daemon=True).start()
    time.sleep(max(0.0, start + task["seconds"] - time.monotonic()))
    print(json.dumps(crowd.calls), flush=True)
    os._exit(0)  # calls that still wait are no longer of interest


if __name__ == "__main__":
    main()
