"""The lease of a local job, and its stored state: of several writers one wins, and the others notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from support.doubles import World, session

from aws_bedrock_inference.jobs import states
from aws_bedrock_inference.jobs.lease import BEAT, PAUSE, VALID, Lease
from aws_bedrock_inference.s3 import S3Location

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = S3Location("states", "a/state.json")
STATE = {"format": 1, "owner": "first", "beat": 0, "stop": False, "done": 0}


class S3:
    """A client of S3 whose next write can go wrong."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.error: Exception | None = None
        self.arrives = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **request: Any) -> Any:
        error, self.error = self.error, None
        answer = self._client.put_object(**request) if error is None or self.arrives else None
        if error is not None:
            raise error
        return answer


@pytest.fixture
def s3(moto_url: str, alone: None) -> Iterator[S3]:
    client = session().client("s3", endpoint_url=moto_url)
    client.create_bucket(Bucket=PLACE.bucket)
    yield S3(client)
    client.close()


@pytest.fixture
def lease(s3: S3, world: World) -> Lease:
    stored = states.create(s3, PLACE, STATE)
    assert stored is not None
    return Lease(s3, PLACE, stored, world.now, world.clock)


def holds(lease: Lease) -> bool:
    return lease.holds


def stored(s3: S3) -> states.Stored:
    found = states.read(s3, PLACE)
    assert found is not None
    return found


def other(s3: S3, **changes: Any) -> None:
    """Change the state as another process does."""
    now = stored(s3)
    assert states.replace(s3, PLACE, now, {**now.value, **changes}) is not None


def test_a_lease_is_valid_while_it_is_renewed(lease: Lease, world: World, s3: S3) -> None:
    assert lease.due == BEAT
    world.now += VALID - 1
    assert holds(lease)
    assert lease.due == 0
    assert lease.renew(done=5)
    world.now += VALID - 1
    assert holds(lease)
    world.now += 1
    assert not holds(lease)
    assert stored(s3).value == {**STATE, "beat": 1, "done": 5}


def test_a_lease_taken_by_another_process_is_lost_at_the_next_renewal(lease: Lease, s3: S3) -> None:
    other(s3, owner="second")
    assert holds(lease), "it cannot know yet"
    assert not lease.renew()
    assert lease.lost
    assert not holds(lease)
    assert stored(s3).value["beat"] == 0, "nothing was written"


def test_a_lease_without_stored_state_is_lost(lease: Lease, s3: S3) -> None:
    s3.delete_object(Bucket=PLACE.bucket, Key=PLACE.key)
    assert not lease.renew()
    assert lease.lost


def test_a_lease_with_state_of_a_newer_version_is_lost(lease: Lease, s3: S3) -> None:
    other(s3, format=2)
    assert not lease.renew()
    assert lease.lost


def test_a_cancellation_request_survives_a_renewal_and_is_seen(lease: Lease, s3: S3) -> None:
    other(s3, stop=True)
    assert lease.renew(done=3)
    assert lease.state == stored(s3).value == {**STATE, "stop": True, "beat": 1, "done": 3}


def test_a_failed_renewal_is_retried_soon(lease: Lease, world: World, s3: S3) -> None:
    world.now += BEAT
    s3.error = EndpointConnectionError(endpoint_url="https://s3.test")
    assert not lease.renew()
    assert holds(lease)
    assert lease.due == PAUSE
    assert lease.renew()
    assert lease.due == BEAT


def test_a_write_whose_answer_was_lost_counts_if_it_arrived(lease: Lease, s3: S3) -> None:
    """The SDK retries the write, and the retry is refused because the stored state is already the written one."""
    s3.error, s3.arrives = ClientError({"Error": {"Code": "PreconditionFailed", "Message": ""}}, "PutObject"), True
    assert lease.renew(done=1)
    assert stored(s3).value["done"] == 1


def test_existing_state_is_not_created_again(lease: Lease, s3: S3) -> None:
    assert states.create(s3, PLACE, {**STATE, "owner": "second"}) is None
    assert states.enforces(s3, PLACE, stored(s3))
    assert stored(s3).value["owner"] == "first"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"format": "1"}', b"\xff"])
def test_invalid_state_is_reported(s3: S3, body: bytes) -> None:
    s3.put_object(Bucket=PLACE.bucket, Key=PLACE.key, Body=body)
    with pytest.raises(ValueError, match=r"s3://states/a/state\.json is not the state of a job"):
        states.read(s3, PLACE)
