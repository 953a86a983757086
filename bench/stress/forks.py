"""Fork workers from a process with clients in use, while threads of the parent continue to make calls. Each call must
receive its own answer.
"""

from __future__ import annotations

import json
import os
import threading

from aws_bedrock_inference import BedrockClient, Quota
from stress.server import MODEL, server

ROUNDS, WORKERS, CALLS, THREADS = 10, 4, 50, 4


def opened(url: str) -> BedrockClient:
    return BedrockClient(MODEL, endpoint_url=url, region_name="us-east-1", quota=Quota(rpm=6e6))


def wrong(client: BedrockClient, name: str, calls: int) -> int:
    return sum(client.invoke(f"{name} {number}").text != f"{name} {number}" for number in range(calls))


def child(client: BedrockClient, name: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os._exit(min(255, wrong(client, name, CALLS)))
    except BaseException:  # noqa: BLE001 - the child ends here after any error
        os._exit(255)


def main() -> None:
    bad, stop = [0], threading.Event()
    with server() as url, opened(url) as client:
        wrong(client, "warm", 3)

        def go_on(name: str) -> None:
            while not stop.is_set():
                bad[0] += wrong(client, name, 1)

        threads = [threading.Thread(target=go_on, args=(f"thread {number}",)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for turn in range(ROUNDS):
            children = [child(client, f"child {turn} {number}") for number in range(WORKERS)]
            bad[0] += sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
        stop.set()
        for thread in threads:
            thread.join()
    detail = f"{ROUNDS * WORKERS} forks beside {THREADS} threads"
    print(json.dumps({"trials": ROUNDS * WORKERS * CALLS, "wrong": bad[0], "detail": detail}))


if __name__ == "__main__":
    main()
