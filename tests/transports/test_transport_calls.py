"""One call over a real socket, through both transports, compared with what boto3 sends and returns."""

from __future__ import annotations

import asyncio
import socket
import threading
from io import BytesIO
from math import inf
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from support.doubles import session
from support.judge import assert_same_requests, plain
from support.transport_faces import Blocking
from support.wire import Wire, answer, eventually, head

from aws_bedrock_inference import clock
from aws_bedrock_inference.call import Call, Outcome, Route, Timeout, Usage
from aws_bedrock_inference.fault import Decision, Kind
from aws_bedrock_inference.transports.asynchronous import AiohttpTransport
from aws_bedrock_inference.transports.endpoint import Endpoint, find_endpoint
from aws_bedrock_inference.transports.fast.signing import SigV4

ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc:0"
MESSAGES = [{"role": "user", "content": [{"text": "Why is the sky blüe?"}]}]
REPLY = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"redactedContent": "AAEC/w=="}},
                {"toolUse": {"toolUseId": "t", "name": "n", "input": {"bytes": "AAEC", "nothing": None, "n": 1.5}}},
                {"image": {"format": "png", "source": {"bytes": "iVBORw=="}}},
                {"text": "Because."},
                {"inventedLater": {"x": 1}},
            ],
        }
    },
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8, "cacheReadInputTokens": 2},
    "metrics": {"latencyMs": 7},
    "trace": None,
    "inventedLater": True,
}
REQUESTS: list[tuple[str, dict[str, Any], Any]] = [
    ("converse", {"modelId": ARN, "messages": MESSAGES}, REPLY),
    (
        "converse",
        {
            "modelId": "us.anthropic.claude-3-sonnet-20240229-v1:0",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"image": {"format": "png", "source": {"bytes": b"\x00\xff"}}},
                        {"document": {"format": "pdf", "name": "d", "source": {"bytes": bytearray(b"%PDF")}}},
                        {"toolResult": {"toolUseId": "t", "content": [{"json": {"bytes": "AAEC", "n": None}}]}},
                    ],
                }
            ],
            "system": ({"text": "Be brief"},),
            "inferenceConfig": {"maxTokens": 9, "temperature": 0.25, "stopSequences": ["x"]},
            "additionalModelRequestFields": {"top_k": 4},
            "requestMetadata": {"team": "sky"},
        },
        REPLY,
    ),
    ("count_tokens", {"modelId": ARN, "input": {"invokeModel": {"body": b'{"a": 1}'}}}, {"inputTokens": 12}),
    ("invoke_model", {"modelId": ARN, "body": b'{"prompt": "x"}'}, {"completion": "y"}),
    (
        "invoke_model",
        {
            "modelId": "a/b c:0",
            "body": '{"prompt": "ü"}',
            "contentType": "application/json",
            "accept": "application/json",
            "trace": "ENABLED",
            "guardrailIdentifier": "g",
            "guardrailVersion": "1",
        },
        {"completion": "y"},
    ),
    ("list_async_invokes", {"maxResults": 3, "statusEquals": "Failed"}, {"asyncInvokeSummaries": []}),
    (
        "get_async_invoke",
        {"invocationArn": "arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl"},
        {"invocationArn": "a", "modelArn": "m", "status": "Failed", "submitTime": "2026-11-20T20:00:00Z"},
    ),
]


def call(operation: str = "converse", params: Any = None, **fields: Any) -> Call:
    return Call(operation, params or {"modelId": ARN, "messages": MESSAGES}, Route(ARN), **fields)


@pytest.mark.parametrize(("operation", "params", "reply"), REQUESTS)
def test_a_call_sends_and_returns_what_boto3_sends_and_returns(
    face: Any, oracle: Any, operation: str, params: Any, reply: Any
) -> None:
    with Wire(answer(reply)) as wire:
        theirs = getattr(oracle(wire.url), operation)(**params)
        ours = face.send(face.open(wire.url), call(operation, params))

        assert ours.fault is None
        assert plain(ours.value) == plain(theirs)
        expected, sent = wire.received
        assert_same_requests(wire)
        assert sent.headers["accept-encoding"] == "identity"
        assert "aws-bedrock-inference/" in sent.headers["user-agent"]
        signed = expected.headers["authorization"].split("SignedHeaders=")[1].split(",")[0]
        assert f"SignedHeaders={signed}," in sent.headers["authorization"]


def test_temporary_credentials_send_their_session_token(face: Any) -> None:
    temporary = boto3.Session("AK", "SK", "token", region_name="us-east-1")
    with Wire(answer(REPLY)) as wire:
        face.send(face.open(find_endpoint(temporary, endpoint_url=wire.url)), call())
        assert wire.received[0].headers["x-amz-security-token"] == "token"
        assert "x-amz-security-token" in wire.received[0].headers["authorization"]


def test_an_endpoint_url_with_a_path_keeps_it(face: Any, oracle: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        oracle(wire.url + "/gateway/").converse(modelId="m", messages=MESSAGES)
        face.send(face.open(wire.url + "/gateway/"), call(params={"modelId": "m", "messages": MESSAGES}))
        assert wire.received[0].target == wire.received[1].target == "/gateway/model/m/converse"


def test_a_file_is_sent_from_its_current_position_in_each_attempt(face: Any) -> None:
    with Wire(answer({})) as wire:
        body = BytesIO(b'skipped{"a": 1}')
        body.seek(7)
        transport = face.open(wire.url)
        for _ in range(2):
            face.send(transport, call("invoke_model", {"modelId": "m", "body": body}))
        assert [sent.body for sent in wire.received] == [b'{"a": 1}'] * 2


@pytest.mark.parametrize(
    ("body", "headers", "usage"),
    [
        ({"usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 5}}, {}, Usage(3, 4, 5, 0)),
        ({"usage": {"inputTokens": 3, "outputTokens": 4}}, {}, Usage(3, 4)),
        ({"inputTextTokenCount": 3, "results": [{"tokenCount": 4}, {"tokenCount": 1}]}, {}, Usage(3, 5)),
        ({"generation": "text"}, {}, None),
        ([1.5, 2.5], {}, None),
        (
            {"generation": "text"},
            {"X_Amzn_Bedrock_Input_Token_Count": "7", "X_Amzn_Bedrock_Output_Token_Count": "9"},
            Usage(7, 9),
        ),
    ],
)
def test_usage_is_read_from_a_native_answer(face: Any, body: Any, headers: dict[str, Any], usage: Usage | None) -> None:
    with Wire(answer(body, **headers)) as wire:
        outcome = face.send(face.open(wire.url), call("invoke_model", {"modelId": "m", "body": b"{}"}))
        assert outcome.usage == usage


def test_usage_is_read_from_converse(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        assert face.send(face.open(wire.url), call()).usage == Usage(3, 5, 2, 0)


def test_connections_are_reused_unless_the_server_closes_them(face: Any) -> None:
    with Wire(answer(REPLY), answer(REPLY, close=True), answer(REPLY)) as wire:
        transport = face.open(wire.url)
        for _ in range(3):
            assert face.send(transport, call()).fault is None
        assert [sent.connection for sent in wire.received] == [0, 0, 1]


def test_closing_closes_the_connections(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        face.send(face.open(wire.url), call())
        face.end()
        face.__init__()
        assert wire.gone.wait(10)


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        ("429 Too Many Requests", {"message": "Too many tokens"}, {"x_amzn_ErrorType": "ThrottlingException:http://x"}),
        ("424 Failed", {"message": "m", "originalStatusCode": 500}, {"x_amzn_ErrorType": "ModelErrorException"}),
        ("400 Bad", {"__type": "com.amazon#ValidationException", "Message": "no"}, {}),
        ("403 Forbidden", {"Message": "User is not authorized"}, {}),
        ("503 Busy", b"<html><body>busy</body></html>", {"Content_Type": "text/html"}),
        ("500 Oh", b"", {}),
        ("302 Found", b"", {"Location": "http://127.0.0.1:9/"}),
    ],
)
def test_an_error_answer_equals_boto3_s(
    face: Any, oracle: Any, status: str, body: Any, headers: dict[str, Any]
) -> None:
    with Wire(answer(body, status=status, **headers)) as wire:
        with pytest.raises(ClientError) as theirs:
            oracle(wire.url).converse(modelId="m", messages=MESSAGES)
        fault = face.send(face.open(wire.url), call()).fault
        # boto3 drops the request id of an answer it takes for a load balancer's; support wants it.
        theirs.value.response["ResponseMetadata"]["RequestId"] = "request-1"
        assert plain(fault.response) == plain(dict(theirs.value.response))
        assert (fault.status, fault.request_id) == (int(status[:3]), "request-1")


def test_an_unreadable_error_answer_has_its_status(face: Any) -> None:
    with Wire(answer(b"[1]", status="429 Slow")) as wire:
        fault = face.send(face.open(wire.url), call()).fault
        assert (fault.code, fault.status, fault.kind) == ("HTTP 429", 429, Kind.THROTTLED)


@pytest.mark.parametrize(
    ("headers", "retry_after", "suggested"),
    [
        ({"Retry_After": "7"}, 7.0, None),
        ({"x_amz_retry_after": "1500"}, None, 1.5),
        ({"Retry_After": "Fri, 01 Jan 1999 00:00:00 GMT"}, 0.0, None),
        ({"Retry_After": "soon", "x_amz_retry_after": "-1"}, None, None),
    ],
)
def test_the_retry_after_of_the_server_is_on_the_fault(
    face: Any, headers: dict[str, Any], retry_after: float | None, suggested: float | None
) -> None:
    with Wire(answer({"message": "m"}, status="429 Slow", **headers)) as wire:
        fault = face.send(face.open(wire.url), call()).fault
        assert (fault.retry_after, fault.suggested_wait) == (retry_after, suggested)


CUT = answer(REPLY)[:-5]
STALLED = Timeout(first_byte=0.05)


@pytest.mark.parametrize(
    ("act", "timeout", "code"),
    [
        (("reset", b""), Timeout(), "ConnectionClosedError"),
        (("cut", b""), Timeout(), "ConnectionClosedError"),
        (("cut", CUT), Timeout(), "IncompleteReadError"),
        (("reset", CUT), Timeout(), "IncompleteReadError"),
        (("stall", b""), STALLED, "ReadTimeoutError"),
        (("stall", CUT), STALLED, "ReadTimeoutError"),
        (("stall", b""), Timeout(total=0.05), "AttemptTimeout"),
        (answer(b'{"output": {"mess'), Timeout(), "MalformedResponse"),
        (answer(b"<html>hello</html>"), Timeout(), "MalformedResponse"),
        (answer(b""), Timeout(), "MalformedResponse"),
        (answer({"output": []}), Timeout(), "MalformedResponse"),
        (answer({"output": {"message": {}, "other": {}}, "stopReason": None}), Timeout(), "MalformedResponse"),
        (answer([]), Timeout(), "MalformedResponse"),
        (("cut", b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), Timeout(), "MalformedResponse"),
    ],
)
def test_each_network_failure_becomes_a_fault(face: Any, act: Any, timeout: Timeout, code: str) -> None:
    with Wire(act) as wire:
        outcome = face.send(face.open(wire.url), call(timeout=timeout))
        assert outcome.value is None
        assert outcome.fault.code == code
        assert str(wire.port) in outcome.fault.message or code == "MalformedResponse"


def test_a_truncated_native_answer_is_malformed(face: Any) -> None:
    with Wire(answer(b'{"completion": "and th')) as wire:
        outcome = face.send(face.open(wire.url), call("invoke_model", {"modelId": "m", "body": b"{}"}))
        assert outcome.fault.code == "MalformedResponse"


def test_a_call_waits_at_most_until_its_deadline(face: Any) -> None:
    with Wire(("stall", b"")) as wire:
        transport = face.open(wire.url)
        fault = face.send(transport, call(deadline=clock.monotonic() + 0.05)).fault
        assert fault.code == "AttemptTimeout"
        assert "deadline" in fault.message


def test_infinite_timeouts_are_accepted(face: Any) -> None:
    timeout = Timeout(connect=inf, first_byte=inf, first_content=inf, idle=inf)
    with Wire(answer(REPLY)) as wire:
        assert face.send(face.open(wire.url), call(timeout=timeout)).fault is None


def test_a_refused_connection_is_marked_as_not_arrived(face: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    fault = face.send(face.open(f"http://127.0.0.1:{port}"), call()).fault
    assert (fault.code, fault.reached, fault.decision) == ("EndpointConnectionError", False, Decision.RETRY)
    assert f"127.0.0.1:{port}" in fault.message


def test_an_unknown_host_name_is_a_fault(face: Any) -> None:
    fault = face.send(face.open("http://nobody.invalid:1"), call()).fault
    assert fault.code == "EndpointConnectionError"


def test_a_handshake_that_never_ends_is_a_connect_timeout(face: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        fault = face.send(face.open(url), call(timeout=Timeout(connect=0.05))).fault
        assert (fault.code, fault.reached) == ("ConnectTimeoutError", False)


def test_missing_credentials_are_a_fault(face: Any) -> None:
    with Wire(answer(REPLY)) as wire:
        endpoint = find_endpoint(boto3.Session(region_name="us-east-1"), endpoint_url=wire.url)
        fault = face.send(face.open(endpoint), call()).fault
        assert (fault.code, fault.kind) == ("NoCredentialsError", Kind.DENIED)
        assert wire.received == []


def test_credentials_that_cannot_be_fetched_are_a_fault(face: Any) -> None:
    class Expired:
        token = None

        def refresh_needed(self) -> bool:
            return True

        def get_frozen_credentials(self) -> Any:
            response: Any = {"Error": {"Code": "ExpiredTokenException", "Message": "sign in"}, "ResponseMetadata": {}}
            raise ClientError(response, "AssumeRole")

    endpoint = Endpoint("http://127.0.0.1:1", "us-east-1", "", SigV4(Expired(), "bedrock", "us-east-1"))
    fault = face.send(face.open(endpoint), call()).fault
    assert (fault.code, fault.cause) == ("ExpiredTokenException", "credentials-expired")


def test_a_proxy_gets_the_full_url_and_its_credentials(face: Any) -> None:
    with Wire(answer(REPLY)) as proxy:
        there = find_endpoint(session(), endpoint_url="http://bedrock.test")
        through = Endpoint(there.url, there.region, "", there.signer, proxy=f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        assert face.send(face.open(through), call(params={"modelId": "m", "messages": MESSAGES})).fault is None
        sent = proxy.received[0]
        assert sent.target == "http://bedrock.test/model/m/converse"
        assert sent.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
        assert sent.headers["host"] == "bedrock.test"


@pytest.mark.parametrize("act", [("cut", b""), answer(b"", status="407 Proxy Authentication Required")])
def test_a_proxy_that_refuses_every_request_is_a_fault(face: Any, act: Any) -> None:
    with Wire(act) as proxy:
        there = find_endpoint(session(), endpoint_url="https://bedrock.test")
        through = Endpoint(there.url, there.region, "", there.signer, proxy=f"http://127.0.0.1:{proxy.port}")
        fault = face.send(face.open(through), call()).fault
        assert fault.kind is Kind.UNREACHABLE
        assert proxy.received[0].method == "CONNECT"


def test_threads_share_a_transport_and_reuse_connections() -> None:
    face = Blocking()
    with Wire(answer(REPLY)) as wire:
        transport = face.open(wire.url)
        ready = threading.Barrier(8)
        outcomes: list[Outcome] = []

        def work() -> None:
            ready.wait()
            outcomes.extend(transport.send(call()) for _ in range(5))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [outcome.fault for outcome in outcomes] == [None] * 40
        assert wire.connections <= 8
        face.end()


def test_a_cancelled_task_raises_its_cancellation_and_closes_the_connection() -> None:
    with Wire(("stall", b"")) as wire:

        async def main() -> None:
            transport = AiohttpTransport(find_endpoint(session(), endpoint_url=wire.url))
            task = asyncio.create_task(transport.send(call()))
            await asyncio.to_thread(eventually, lambda: bool(wire.received))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(wire.gone.wait, 10)
            await transport.close()

        asyncio.run(main())


def test_one_asyncio_transport_serves_one_event_loop_after_another() -> None:
    with Wire(answer(REPLY)) as wire:
        transport = AiohttpTransport(find_endpoint(session(), endpoint_url=wire.url))

        async def main() -> Any:
            outcome = await transport.send(call())
            await transport.close()
            return outcome.fault

        assert [asyncio.run(main()), asyncio.run(main())] == [None, None]


def test_credentials_are_renewed_outside_of_the_event_loop() -> None:
    class Renewing:
        def refresh_needed(self) -> bool:
            return True

        def get_frozen_credentials(self) -> Any:
            renewed_in.append(threading.current_thread())
            return session().get_credentials().get_frozen_credentials()

    renewed_in: list[threading.Thread] = []
    with Wire(answer(REPLY)) as wire:
        endpoint = Endpoint(wire.url, "us-east-1", "", SigV4(Renewing(), "bedrock", "us-east-1"))

        async def main() -> None:
            transport = AiohttpTransport(endpoint)
            assert (await transport.send(call())).fault is None
            await transport.close()

        asyncio.run(main())
    assert renewed_in
    assert threading.main_thread() not in renewed_in


def test_secrets_are_in_no_repr() -> None:
    endpoint = find_endpoint(session(), endpoint_url="http://127.0.0.1:1")
    assert "secret" not in repr(endpoint) + repr(endpoint.signer) + repr(AiohttpTransport(endpoint))


def test_an_answer_with_only_a_status_line_is_read(face: Any) -> None:
    with Wire(head("500 Oh", {"Content-Length": "0"})) as wire:
        fault = face.send(face.open(wire.url), call()).fault
        assert (fault.code, fault.status, fault.request_id) == ("HTTP 500", 500, None)
