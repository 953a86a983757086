"""Each example runs as it is, and behaves under faults as its text says."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sqlite3
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.testing import Simulator

    Run = Callable[..., tuple[int, str, str]]

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py"))
FAILS = {"kind": "error", "code": "InternalServerException"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_example_is_short_listed_in_the_readme_and_tested(name: str) -> None:
    assert 20 <= len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) <= 80
    assert f"[{name}]({name})" in (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert any(f'"{name}"' in tests.read_text(encoding="utf-8") for tests in Path(__file__).parent.glob("test_*.py"))


def test_the_sync_example_prints_an_answer_that_needed_two_attempts(run: Run, bedrock_simulator: Simulator) -> None:
    bedrock_simulator.scenario(faults=[{**FAILS, "first": 1}])
    code, out, err = run("sync.py", "Why is grass green?")
    assert code == 0
    assert len(out) > 100
    assert "attempts: 2" in err


def test_the_sync_example_says_why_there_is_no_answer(run: Run, bedrock_simulator: Simulator) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "error", "code": "AccessDeniedException"}])
    code, out, err = run("sync.py")
    assert (code, out) == (1, "")
    assert "AccessDeniedException" in err
    assert "Traceback" not in err
    assert run("sync.py", " ")[0] == 2


def test_the_streaming_example_continues_a_broken_stream(run: Run, bedrock_simulator: Simulator) -> None:
    undisturbed = run("streaming.py")[1]
    bedrock_simulator.scenario(faults=[{"kind": "truncate", "after": 6, "first": 1}])
    code, out, err = run("streaming.py")
    assert (code, out) == (0, undisturbed)
    assert "joined at character 100, verified; StreamIncomplete" in err


def test_the_streaming_example_reports_an_incomplete_answer(run: Run, bedrock_simulator: Simulator) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "truncate", "after": 6}])
    code, out, err = run("streaming.py")
    assert code == 1
    assert len(out) > 50
    assert "incomplete after" in err


def test_the_lambda_example_returns_a_status(run: Run, bedrock_simulator: Simulator) -> None:
    answer = json.loads(run("lambda_handler.py")[1])
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["stop_reason"] == "end_turn"
    # This code allows fewer attempts than open a circuit, so the last attempt always has it.
    bedrock_simulator.scenario(faults=[{"kind": "error", "code": "ModelErrorException"}])
    log, body = run("lambda_handler.py")[1].split("\n", 1)
    assert {*json.loads(log)["codes"]} == {"ModelErrorException"}
    assert json.loads(body)["statusCode"] == 503
    assert json.loads(run("lambda_handler.py", " ")[1])["statusCode"] == 400


def test_the_batch_example_repeats_only_failed_records(run: Run, bedrock_simulator: Simulator) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "error", "code": "ValidationException", "requests": [3]}])
    code, out, err = run("batch.py")
    assert code == 1
    assert "19 of 20 answered; 0 had an answer" in out
    assert "ValidationException" in err
    assert "1 of 1 answered; 19 had an answer" in run("batch.py")[1]
    assert bedrock_simulator.stats()["arrived"] == 21


def test_processes_that_share_a_quota_are_not_throttled(run: Run, bedrock_simulator: Simulator, tmp_path: Path) -> None:
    bedrock_simulator.scenario(discipline="tight", quota={"rpm": 2_000, "tpm": 2_000_000})
    code, out, _ = run("shared_quota.py", STORE=f"sqlite://{tmp_path}/shares.db")
    assert code == 0
    assert {"service: 10 answers, 0 throttles", "nightly: 10 answers, 0 throttles"} <= {*out.splitlines()}
    assert bedrock_simulator.stats()["answered"] == 20
    with contextlib.closing(sqlite3.connect(tmp_path / "shares.db")) as store:
        written = "".join(store.iterdump())
    assert "amazon.nova-lite-v1:0" in written


def test_during_an_outage_the_cache_or_a_message_answers(run: Run, bedrock_simulator: Simulator) -> None:
    _, answer, source = run("cache_and_message.py", "Why is grass green?")
    assert "from the model" in source
    bedrock_simulator.scenario(faults=[FAILS])
    code, out, err = run("cache_and_message.py", "Why is grass green?")
    assert (code, out) == (0, answer)
    assert "from the cache" in err
    code, out, err = run("cache_and_message.py", "Why is the sky blue?")
    assert (code, out) == (0, "I can't answer right now. Please ask again in a few minutes.\n")
    assert "WARNING" in err
    assert "from the message, because of InternalServerException" in err


class Throttling:
    """moto, but each operation is throttled once."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.throttled: set[str] = set()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        operation = environ.get("HTTP_X_AMZ_TARGET", "")
        if not operation or operation in self.throttled:
            return self._app(environ, start_response)
        self.throttled.add(operation)
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.0")])
        return [b'{"__type": "ThrottlingException", "message": "Rate exceeded"}']


@pytest.fixture
def throttling(moto_url: str) -> Iterator[tuple[str, Throttling]]:
    from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - slow to import
        DomainDispatcherApplication,
        create_backend_app,
    )
    from werkzeug.serving import make_server  # noqa: PLC0415 - comes with moto

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = Throttling(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}", app
    server.shutdown()
    thread.join()
    server.server_close()


def test_any_boto3_client_survives_throttles(run: Run, throttling: tuple[str, Throttling]) -> None:
    url, service = throttling
    code, out, err = run("any_boto3_client.py", AWS_ENDPOINT_URL=url)
    assert (code, out.splitlines()) == (
        0,
        ["60 notes in the table", "11 bytes in the bucket", "as in boto3: NoSuchKey"],
    )
    assert len(service.throttled) >= 4
    assert err.count("retry after ThrottlingException") == len(service.throttled)


@contextlib.contextmanager
def serving(start: Callable[..., subprocess.Popen[str]]) -> Iterator[httpx.Client]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    retries = httpx.HTTPTransport(retries=20)  # of connections, until the server listens
    with (
        start("asgi_service.py", PORT=str(port)) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=retries, timeout=30) as browser,
    ):
        try:
            yield browser
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_web_service_example_streams_answers_and_has_a_status_for_each_failure(
    start: Callable[..., subprocess.Popen[str]], bedrock_simulator: Simulator
) -> None:
    with serving(start) as browser:
        with browser.stream("POST", "/", content="Why is the sky blue?", headers={"x-user": "ana"}) as answer:
            assert answer.status_code == 200
            assert len(list(answer.iter_raw())) > 1
        assert browser.post("/", content=" ").status_code == 400
        bedrock_simulator.scenario(faults=[{"kind": "error", "code": "AccessDeniedException"}])
        assert browser.post("/", content="Why?").status_code == 500
        bedrock_simulator.scenario(faults=[{"kind": "truncate", "after": 6}])
        with pytest.raises(httpx.RemoteProtocolError):
            browser.post("/", content="Why?")
        bedrock_simulator.scenario(faults=[{"kind": "throttle", "limit": "tokens-per-day"}])
        assert browser.post("/", content="Why?").status_code == 503


def test_the_fallback_example_tries_a_region_a_model_the_cache_and_a_message(
    run: Run, bedrock_simulator: Simulator
) -> None:
    down = {"kind": "outage"}
    code, out, err = run("fallback.py")
    assert (code, "answered by us.amazon.nova-lite-v1:0 in us-east-1 after 1 request(s)" in err) == (0, True)
    bedrock_simulator.scenario(faults=[{**down, "region": "us-east-1"}])
    assert "answered by us.amazon.nova-lite-v1:0 in us-west-2" in run("fallback.py", "Why is grass green?")[2]
    bedrock_simulator.scenario(
        faults=[{"kind": "error", "code": "ServiceUnavailableException", "model": "amazon.nova-lite*"}]
    )
    err = run("fallback.py", "--chat", "What is a prism?")[2]
    assert "left us.amazon.nova-lite-v1:0 in us-west-2: ServiceUnavailableException" in err
    assert "answered by us.amazon.nova-micro-v1:0" in err
    bedrock_simulator.scenario(faults=[down])
    assert run("fallback.py")[1] == out  # from the cache
    assert run("fallback.py", "Why do leaves fall?")[1].startswith("I can't answer right now.")
