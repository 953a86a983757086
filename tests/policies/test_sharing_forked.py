"""A forked child is a separate member, and requests its share before its first call."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
import os, sys, warnings
warnings.simplefilter("ignore")
from aws_bedrock_inference import Call, Outcome, Quota, Route, Usage
from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.flow import send

quota = Quota(tpm=60_000, store="sqlite://" + sys.argv[1])
driver = Driver(lambda call: Outcome(usage=Usage(1, 1)))
step = quota.around(send, monotonic)


def ask():
    return driver.run(step(Call("converse", {}, Route("m", "us-east-1"), Estimate(1, 1), arrived=monotonic())))


assert ask().fault is None
child = os.fork()
if child:
    os.waitpid(child, 0)
    [view] = quota.store.look().run().values()
    print(len(view.members), sum(member.share for member in view.members) <= 1.0)
else:
    ask()
    os._exit(0)
"""


def test_a_forked_child_requests_its_own_share(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", SCRIPT, str(tmp_path / "shares.db")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["2", "True"]
