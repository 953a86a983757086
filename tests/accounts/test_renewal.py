"""Role credentials are renewed before they expire, and a call with valid credentials never waits for the renewal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from support.client_faces import MODEL
from support.sts import ARN, signers

from aws_bedrock_inference import AssumedRole, AsyncBedrockClient, Denied, Pipeline
from aws_bedrock_inference.accounts import session_for
from aws_bedrock_inference.accounts.spans import PAUSE
from aws_bedrock_inference.background import background
from aws_bedrock_inference.fault import Origin

if TYPE_CHECKING:
    from pathlib import Path

    from support.sts import Sts, Wall
    from support.wire import Wire

DENIED = (403, "AccessDenied", "no")


@pytest.fixture
def session(sts: Sts, base: Any, wall: Wall) -> Any:
    return session_for(AssumedRole(ARN, session=base), wall=wall)


def end_of_renewal(session: Any) -> None:
    running = background._running.get(("identity", id(session.get_credentials())))
    if running is not None:
        running.exception(10)


def waiting(session: Any) -> list[Any]:
    """The threads that wait for the running renewal."""
    running = background._running.get(("identity", id(session.get_credentials())))
    return [] if running is None else vars(running)["_done_callbacks"]


def ask(face: Any, client: Any) -> None:
    face.get(client.invoke("Why?"))


def test_credentials_are_not_renewed_more_than_fifteen_minutes_before_they_expire(
    face: Any, sts: Sts, model: Wire, session: Any, wall: Wall
) -> None:
    client = face.open(model.url, session=session)
    ask(face, client)
    wall.now += 3600 - 901
    ask(face, client)
    end_of_renewal(session)
    assert len(sts.asked) == 1


@pytest.mark.parametrize("left", [899, 61])
def test_a_renewal_does_not_delay_calls(  # noqa: PLR0917 - fixtures
    face: Any, sts: Sts, model: Wire, session: Any, wall: Wall, left: int
) -> None:
    client = face.open(model.url, session=session)
    ask(face, client)
    assert sts.arrived.acquire(timeout=10)
    wall.now += 3600 - left
    sts.open.clear()
    ask(face, client)
    assert sts.arrived.acquire(timeout=10)
    ask(face, client)
    sts.open.set()
    end_of_renewal(session)
    ask(face, client)
    assert signers(model) == ["ASIATEST1"] * 3 + ["ASIATEST2"]
    assert len(sts.asked) == 2


def test_an_early_renewal_that_fails_breaks_no_call_and_is_retried_after_a_pause(  # noqa: PLR0917 - fixtures
    face: Any, sts: Sts, model: Wire, session: Any, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    client = face.open(model.url, session=session)
    ask(face, client)
    wall.now += 3600 - 890
    sts.refusals += [DENIED] * 2
    for _ in range(5):
        ask(face, client)
        end_of_renewal(session)
    assert len(sts.asked) == 2
    wall.now += PAUSE
    ask(face, client)
    end_of_renewal(session)
    assert len(sts.asked) == 3
    assert signers(model) == ["ASIATEST1"] * 7
    wall.now += PAUSE
    ask(face, client)
    end_of_renewal(session)
    ask(face, client)
    assert signers(model)[7:] == ["ASIATEST1", "ASIATEST4"]
    assert caplog.text.count("Calls still use the current credentials") == 2
    assert "Traceback" not in caplog.text


def test_a_call_fails_if_the_renewal_fails_in_the_last_minute(
    face: Any, sts: Sts, model: Wire, session: Any, wall: Wall
) -> None:
    client = face.open(model.url, session=session, pipeline=Pipeline())
    ask(face, client)
    wall.now += 3600 - 61
    sts.refusals += [DENIED] * 3
    ask(face, client)
    end_of_renewal(session)
    wall.now += 2
    for _ in range(2):
        with pytest.raises(Denied, match="could not assume") as raised:
            ask(face, client)
        assert raised.value.origin is Origin.IDENTITY
    ask(face, client)
    assert signers(model) == ["ASIATEST1", "ASIATEST1", "ASIATEST5"]


def test_a_session_of_fifteen_minutes_is_not_renewed_with_every_call(
    face: Any, sts: Sts, model: Wire, base: Any, wall: Wall
) -> None:
    session = session_for(AssumedRole(ARN, duration=900, session=base), wall=wall)
    client = face.open(model.url, session=session)
    for _ in range(3):
        ask(face, client)
        end_of_renewal(session)
        wall.now += 220
    assert len(sts.asked) == 1
    wall.now += 20
    ask(face, client)
    end_of_renewal(session)
    assert len(sts.asked) == 2


def test_plain_boto3_clients_renew_too(sts: Sts, session: Any, wall: Wall) -> None:
    credentials = session.get_credentials()
    assert credentials.get_frozen_credentials().access_key == "ASIATEST1"
    wall.now += 3600 - 890
    assert credentials.get_frozen_credentials().access_key == "ASIATEST2"
    assert credentials.account_id == "210987654321"


def test_clients_that_share_a_request_to_sts_share_its_failure(sts: Sts, model: Wire, base: Any) -> None:
    async def work() -> list[Any]:
        session = AssumedRole(ARN, session=base).session()
        clients = [
            AsyncBedrockClient(MODEL, session=session, endpoint_url=model.url, pipeline=Pipeline()) for _ in range(8)
        ]
        tasks = [asyncio.ensure_future(client.invoke("Why?")) for client in clients]
        while len(waiting(session)) < len(tasks):  # noqa: ASYNC110 - nobody tells that a task has begun to wait
            await asyncio.sleep(0)
        sts.open.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for client in clients:
            await client.aclose()
        return ended

    sts.open.clear()
    sts.refusals.append(DENIED)
    assert [type(error) for error in asyncio.run(work())] == [Denied] * 8
    assert len(sts.asked) == 1


FORKED = """
import faulthandler, os, sys, threading
faulthandler.dump_traceback_later(50, exit=True)
import boto3
from aws_bedrock_inference import AssumedRole, BedrockClient

hub = boto3.Session(profile_name="hub")
session = AssumedRole(sys.argv[3], session=hub).session()
client = BedrockClient(sys.argv[2], session=session, endpoint_url=sys.argv[1])
threading.Thread(target=client.invoke, args=("Why?",), daemon=True).start()
sys.stdin.readline()  # STS has the parent's request
child = os.fork()
if not child:
    try:
        print(client.invoke("Why?").text, flush=True)
    finally:
        os._exit(0)
os.waitpid(child, 0)
"""


HUB = """
[profile hub]
region = us-east-1
role_arn = arn:aws:iam::111122223333:role/hub
source_profile = base
[profile base]
aws_access_key_id = AKIDBASE
aws_secret_access_key = x
"""


def test_a_forked_child_does_not_wait_for_its_parent_s_renewal(sts: Sts, model: Wire, tmp_path: Path) -> None:
    """The parent's thread holds two locks: the role's lock, and the lock of botocore's own role that precedes it."""
    (tmp_path / "config").write_text(HUB)
    sts.open.clear()
    child = subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-W", "ignore", "-c", FORKED, model.url, MODEL, ARN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sts.arrived.acquire(timeout=30)
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
    assert sts.arrived.acquire(timeout=30), "the child asks on its own"
    sts.open.set()
    assert child.communicate(timeout=30)[0] == "Because of Rayleigh.\n"
