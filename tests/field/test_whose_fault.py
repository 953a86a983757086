"""A fault is attributed to the part that failed: the model's service, a credential source, the network, or this
machine."""

from __future__ import annotations

import errno
import socket
import traceback
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.credentials import DeferredRefreshableCredentials
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    MetadataRetrievalError,
    NoCredentialsError,
    ReadTimeoutError,
    UnauthorizedSSOTokenError,
)
from support.answers import REPLY, THROTTLED
from support.client_faces import Asyncio, Blocking, Streaming, at_once
from support.doubles import ROUTE, UNAVAILABLE, World, call
from support.wire import Wire

from aws_bedrock_inference import (
    Breaker,
    Deadline,
    InvalidRequest,
    Pipeline,
    Quota,
    Retry,
    Throttled,
    classify,
    resilient,
)
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.clients.base import with_attempts
from aws_bedrock_inference.clients.reply import reply_of
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.events import ThrottleReceived
from aws_bedrock_inference.fault import Decision, Fault, Origin
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.classify import answered, unanswered, unidentified
from aws_bedrock_inference.policies.refusals import invalid_request

if TYPE_CHECKING:
    from collections.abc import Iterator


def refused(code: str, operation: str, message: str = "Rate exceeded", status: int = 400) -> ClientError:
    facts: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(facts, operation)


def under(error: Exception, root: BaseException) -> Exception:
    error.__cause__ = root
    return error


STS = "https://sts.us-east-1.amazonaws.com/"
IDENTITY = {
    "STS throttles": refused("Throttling", "AssumeRole"),
    "STS throttles web identity": refused("Throttling", "AssumeRoleWithWebIdentity"),
    "STS fails": refused("InternalFailure", "AssumeRole", "internal", 500),
    "STS is unavailable": refused("ServiceUnavailable", "AssumeRole", "", 503),
    "STS is silent": ReadTimeoutError(endpoint_url=STS, error="timed out"),
    "STS takes no connection": ConnectTimeoutError(endpoint_url=STS),
    "STS cannot be reached": EndpointConnectionError(endpoint_url=STS),
    "SSO": refused("TooManyRequestsException", "GetRoleCredentials", "slow down", 429),
    "the SSO login has expired": UnauthorizedSSOTokenError(),
    "IMDS is silent": MetadataRetrievalError(error_msg="timed out"),
    "a process gives nothing": CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
    "no credentials": NoCredentialsError(),
    "still expired": RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
    "a provider of one's own": KeyError("vault"),
}


@pytest.fixture(params=[Blocking, Streaming, Asyncio])
def face(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    yield made
    made.end()


@pytest.fixture
def session() -> Any:
    return boto3.Session("AKIDEXAMPLE", "secret", region_name="us-east-1")


def failing_identity(session: Any, error: Exception) -> Any:
    def renew() -> Any:
        raise error

    session._session._credentials = DeferredRefreshableCredentials(renew, "assume-role")
    return session


def booked(fault: Fault, times: int = 5, seconds: float = 0.1) -> tuple[float, float, bool]:
    """Let `fault` end that many calls of a 600 rpm quota; return the estimated limit, the tokens used, and whether the
    circuit refuses the next call.
    """
    quota, breaker = Quota(rpm=600, tpm=1_000_000), Breaker()
    throttles: list[object] = []
    driver = VirtualDriver(lambda _, now: (0.01, Outcome(fault=fault)))
    driver.listeners.add(lambda event: throttles.append(event) if isinstance(event, ThrottleReceived) else None)
    step = Pipeline(breaker, quota).around(send, driver.clock)
    for number in range(times):
        driver.spawn(step(call()), after=number * seconds)
    driver.run()
    taken = quota.ledger(ROUTE, driver.now).snapshot(driver.now)
    last = driver.spawn(step(call()))
    driver.run()
    assert (not throttles) == (taken.estimates["requests"] == 600)
    return taken.estimates["requests"], taken.used["tokens"], last.result.fault.code == "CircuitOpen"


@pytest.mark.parametrize("name", IDENTITY)
def test_credentials_that_cannot_be_renewed_are_not_blamed_on_the_model(name: str) -> None:
    fault = unidentified(IDENTITY[name])
    assert fault.origin is Origin.IDENTITY
    assert booked(fault) == (600, 0, False)


NETWORK = {
    "DNS": socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    "DNS for a moment": socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
    "no way": OSError(errno.ENETUNREACH, "Network is unreachable"),
    "no route": OSError(errno.EHOSTUNREACH, "No route to host"),
}
MACHINE = {
    "descriptors": OSError(errno.EMFILE, "Too many open files"),
    "of the system": OSError(errno.ENFILE, "Too many open files in system"),
    "memory": OSError(errno.ENOMEM, "Cannot allocate memory"),
    "ports": OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
    "buffers": OSError(errno.ENOBUFS, "No buffer space available"),
    "threads": RuntimeError("can't start new thread"),
    "Python's memory": MemoryError(),
}


@pytest.mark.parametrize(
    ("error", "origin"),
    [(error, Origin.NETWORK) for error in NETWORK.values()] + [(error, Origin.MACHINE) for error in MACHINE.values()],
    ids=[*NETWORK, *MACHINE],
)
def test_a_connection_that_this_machine_could_not_open_is_not_blamed_on_the_model(error: Any, origin: Origin) -> None:
    lost = under(OSError("Failed to establish a new connection"), error)
    fault = unanswered(lost, code="EndpointConnectionError", message="no connection to bedrock-runtime")
    assert fault.origin is origin
    assert booked(fault) == (600, 0, False)
    assert (
        classify(under(EndpointConnectionError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com"), error)).origin
        is origin
    )


@pytest.mark.parametrize("code", ["ProxyConnectionError", "SSLError"])
def test_proxies_and_certificates_are_not_blamed_on_the_model(code: str) -> None:
    fault = unanswered(OSError("x"), code=code, message="Tunnel connection failed: 503")
    assert fault.origin is Origin.NETWORK
    assert booked(fault) == (600, 0, False)


def test_an_endpoint_that_accepts_no_connection_opens_the_circuit_without_a_charge() -> None:
    lost = under(OSError("Failed to establish a new connection"), ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    fault = unanswered(lost, code="EndpointConnectionError", message="no connection to bedrock-runtime")
    assert fault.origin is Origin.NETWORK
    assert booked(fault) == (600, 0, True)


def test_a_failure_of_the_service_counts_for_its_health_and_quota() -> None:
    assert booked(UNAVAILABLE)[2]
    throttle = answered("ThrottlingException", "Too many requests, please wait before trying again.", status=429)
    assert throttle.origin is Origin.SERVICE
    assert booked(throttle, times=20, seconds=0.5)[0] < 600


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("KMSThrottlingException", "Rate exceeded"),
        ("ThrottlingException", "Rate exceeded (Service: AWSKMS; Status Code: 400; Error Code: ThrottlingException)"),
        ("ThrottlingException", "Rate exceeded (Service: Kms, Status Code: 400, Request ID: 1)"),
    ],
)
def test_a_throttle_by_kms_does_not_lower_the_quota_of_the_model(code: str, message: str) -> None:
    fault = answered(code, message, status=400)
    assert fault.origin is Origin.DEPENDENCY
    assert booked(fault) == (600, 0, False)


def test_the_exception_says_that_sts_throttled(face: Any, session: Any) -> None:
    quota = Quota(rpm=600)
    with Wire(THROTTLED) as wire:
        client = face.open(wire.url, pipeline=at_once(quota))
        failing = failing_identity(session, refused("Throttling", "AssumeRole"))
        client._transport._signer.source = failing.get_credentials()
        with pytest.raises(
            Throttled, match="STS throttled AssumeRole while credentials were renewed: Rate exceeded"
        ) as e:
            face.get(client.invoke("hi"))
    assert e.value.origin is Origin.IDENTITY
    assert wire.received == []
    ledger = quota.ledger(client._route(client.model_id), client._clock())
    assert ledger.snapshot(client._clock()).estimates["requests"] == 600


def test_a_throttle_by_sts_inside_another_service_s_call_is_attributed_to_sts(session: Any) -> None:
    world, quota = World(), Quota(rpm=600)
    failing = failing_identity(session, refused("Throttling", "AssumeRole"))
    client = resilient(failing.client("dynamodb"), quota=quota, timeout=120, clock=world.clock, sleep=world.sleep)
    with pytest.raises(ClientError) as raised:
        client.list_tables()
    fault: Fault = vars(raised.value)["fault"]
    assert (fault.origin, fault.reached) == (Origin.IDENTITY, False)
    route = client._calls._route
    assert quota.ledger(route, world.now).snapshot(world.now).estimates["requests"] == 600


def test_an_sts_error_that_was_handled_is_not_the_cause() -> None:
    throttle = refused("ThrottlingException", "Converse", "Too many requests, please wait before trying again.", 429)
    throttle.__context__ = refused("Throttling", "AssumeRole")
    assert classify(throttle).origin is Origin.SERVICE
    lost = ReadTimeoutError(endpoint_url="https://bedrock-runtime.us-east-1.amazonaws.com/", error="timed out")
    lost.__context__ = ReadTimeoutError(endpoint_url=STS, error="timed out")
    assert classify(lost).origin is Origin.SERVICE
    answered_late = refused("InternalServerException", "Converse", "oops", 500)
    answered_late.__context__ = OSError(errno.EMFILE, "Too many open files")
    assert (classify(answered_late).origin, classify(answered_late).unhealthy) == (Origin.SERVICE, True)


def test_an_exception_that_wraps_an_sts_error_is_attributed_to_sts() -> None:
    try:
        try:
            raise refused("Throttling", "AssumeRole")
        except ClientError as error:
            raise RuntimeError("the chain failed") from error
    except RuntimeError as wrapped:
        fault = classify(wrapped)
    assert (fault.origin, fault.reached) == (Origin.IDENTITY, False)


def test_an_answer_of_a_proxy_is_not_blamed_on_the_model() -> None:
    fault = answered("", "", status=407)
    assert (fault.origin, fault.cause) == (Origin.NETWORK, "proxy-refused")
    assert booked(fault) == (600, 0, False)


def test_a_damaged_login_file_asks_for_a_new_login() -> None:
    fault = unidentified(KeyError("a0f1490a20d0211c997b44bc357e1972deab8ae3"))
    assert (fault.cause, fault.origin, fault.reached) == ("sso-token-expired", Origin.IDENTITY, False)
    assert "~/.aws/sso/cache is empty or damaged" in fault.message
    assert fault.advice.startswith("Log in again")
    assert fault.decision is Decision.RETRY_LIMITED  # another process may be writing the file


def test_the_message_of_a_custom_credential_provider_is_masked() -> None:
    fault = unidentified(RuntimeError("vault refused AKIAIOSFODNN7EXAMPLE"))
    assert "AKIAIOSFODNN7EXAMPLE" not in str(fault)


def test_refused_credentials_are_the_caller_s_fault_and_the_request_counts() -> None:
    fault = answered("ExpiredTokenException", "The security token included in the request is expired", status=403)
    assert (fault.origin, fault.reached) == (Origin.IDENTITY, True)
    assert booked(fault) == (600, 0, False)


def test_the_message_of_an_invalid_request_has_its_code_once() -> None:
    error = InvalidRequest(Outcome(fault=invalid_request("max_tokens=0: give 1 or more")), "converse", ROUTE)
    assert str(error).startswith("max_tokens=0: give 1 or more [converse on")
    assert "".join(traceback.format_exception_only(error)).count("InvalidRequest") == 1


def test_a_throttle_of_a_direct_call_to_sts_is_attributed_to_the_service() -> None:
    fault = classify(refused("Throttling", "AssumeRole"), service="sts")
    assert (fault.origin, fault.message) == (Origin.SERVICE, "Rate exceeded")


def test_only_requests_that_were_sent_count_as_attempts() -> None:
    """A circuit that one failure opens refuses until it has recovered; those refusals are no requests."""
    sent: list[float] = []

    def service(_: object, now: float) -> tuple[float, Outcome]:
        sent.append(now)
        return 0.01, Outcome(fault=UNAVAILABLE) if len(sent) == 1 else Outcome(REPLY, usage=Usage(3, 5))

    driver = VirtualDriver(service)
    events: list[Any] = []
    driver.listeners.add(events.append)
    pipeline = Pipeline(Deadline(60), Retry(chance=lambda: 0.0), Breaker(failures=1, probes=1))
    task = driver.spawn(pipeline.around(send, driver.clock)(call()))
    driver.run()
    driver.listeners.call_ended(call(), task.result, driver.now)
    reply = reply_of(task.result, ROUTE)
    assert "CircuitOpen" in {attempt.fault.code for attempt in reply.earlier}
    assert (reply.attempts, task.result.attempts, events[-1].attempts, len(sent)) == (2, 2, 2, 2)
    answered_as_boto3 = with_attempts({"ResponseMetadata": {}}, task.result)
    assert answered_as_boto3["ResponseMetadata"]["RetryAttempts"] == 1
