"""The endpoint on real sockets: both protocols, breaks that the kernel sees, and its own pages."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.simulated_account import NOVA

from aws_bedrock_inference.testing import ScenarioError, Simulator, simulator

BODY = {"messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]}
MODEL = NOVA.replace(":", "%3A")


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def http(request: Any, bedrock_simulator: Any) -> Any:
    http2 = request.param == "HTTP/2"
    with httpx.Client(base_url=bedrock_simulator.url, http1=not http2, http2=http2, trust_env=False) as client:
        yield client


def test_one_port_serves_http_1_1_and_http_2(http: Any, bedrock_simulator: Any) -> None:
    whole = http.post(f"/model/{MODEL}/converse", json=BODY)
    assert whole.status_code == 200
    assert whole.json()["output"]["message"]["content"][0]["text"]
    streamed = http.post(f"/model/{MODEL}/converse-stream", json=BODY)
    assert streamed.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert b"messageStop" in streamed.content
    assert bedrock_simulator.stats()["answered"] == 2


def test_a_reset_closes_the_connection_with_a_tcp_reset(http: Any, bedrock_simulator: Any) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "reset"}])
    with pytest.raises(httpx.TransportError):
        http.post(f"/model/{MODEL}/converse", json=BODY)
    bedrock_simulator.scenario(faults=[{"kind": "reset", "after": 3}])
    with pytest.raises(httpx.TransportError):
        http.post(f"/model/{MODEL}/converse-stream", json=BODY)


def test_a_stall_lasts_until_the_client_disconnects_and_the_quota_is_then_settled(bedrock_simulator: Any) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "stall", "after": 3, "first": 1}])
    with httpx.Client(base_url=bedrock_simulator.url, trust_env=False) as http:
        with http.stream("POST", f"/model/{MODEL}/converse-stream", json=BODY) as response:
            assert b"messageStart" in next(response.iter_raw())
        while not bedrock_simulator.stats()["tokens"]["charged"]:
            pass
        assert http.post(f"/model/{MODEL}/converse", json=BODY).status_code == 200
    assert bedrock_simulator.stats()["answered"] == 1


def test_an_answer_is_sent_in_one_write(bedrock_simulator: Any) -> None:
    url = urlsplit(bedrock_simulator.url)
    request = b'{"messages": [{"role": "user", "content": [{"text": "hello"}]}], "inferenceConfig": {"maxTokens": 9}}'
    with socket.create_connection((url.hostname, url.port)) as raw:
        head = f"POST /model/{MODEL}/converse HTTP/1.1\r\nHost: x\r\nContent-Length: {len(request)}\r\n\r\n"
        raw.sendall(head.encode() + request)
        first = raw.recv(65536)
    assert first.startswith(b"HTTP/1.1 200 ")
    assert b'"latencyMs"' in first


def test_an_oversized_body_is_refused_unread(bedrock_simulator: Any) -> None:
    url = urlsplit(bedrock_simulator.url)
    with socket.create_connection((url.hostname, url.port)) as raw:
        head = f"POST /model/{MODEL}/converse HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000000\r\n\r\n"
        raw.sendall(head.encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_the_scenario_can_be_replaced_at_run_time_and_an_invalid_one_changes_nothing(
    http: Any, bedrock_simulator: Any
) -> None:
    toml, in_json = {"content-type": "application/toml"}, {"content-type": "application/json"}
    tables = '[quota]\nrpm = 1\n[[faults]]\nkind = "throttle"\nfirst = 1'
    changed = http.post("/_simulator/scenario", content=tables, headers=toml)
    assert changed.status_code == 200
    assert [http.post(f"/model/{MODEL}/converse", json=BODY).status_code for _ in range(3)] == [429, 200, 429]
    for bad, kind in (("{", in_json), ("[quota]\nrmp = 1", toml), ('{"quota": {"rmp": 1}}', in_json)):
        refused = http.post("/_simulator/scenario", content=bad, headers=kind)
        assert refused.status_code == 400
    assert "allowed here: rpm, tpd, tpm" in refused.json()["message"]
    assert bedrock_simulator.stats()["arrived"] == 3
    assert http.get("/_simulator/nothing").status_code == 404


def test_the_statistics_have_counts_for_each_second(http: Any, bedrock_simulator: Any) -> None:
    for _ in range(3):
        http.post(f"/model/{MODEL}/converse", json=BODY)
    seconds = bedrock_simulator.stats()["seconds"]
    assert sum(second["arrived"] for second in seconds) == 3
    assert sum(second["tokens"] for second in seconds) == bedrock_simulator.stats()["tokens"]["charged"]


def connected(running: Simulator) -> bool:
    url = urlsplit(running.url)
    try:
        socket.create_connection((url.hostname, url.port)).close()
    except ConnectionError:
        return False
    return True


def test_connections_are_refused_while_the_span_lasts() -> None:
    with simulator() as running:
        running.scenario(faults=[{"kind": "refused", "until": 1e6}])
        while connected(running):
            pass


def test_connections_are_accepted_again_after_the_span() -> None:
    with simulator(faults=[{"kind": "refused", "until": 0.3}]) as running:
        while not connected(running):
            pass
        assert running.stats()["arrived"] == 0


def test_the_process_ends_with_the_block_and_reports_errors_at_the_start() -> None:
    with simulator() as running:
        assert connected(running)
    assert not connected(running)
    with pytest.raises(ScenarioError, match="has no setting 'rmp'"), simulator(quota={"rmp": 1}):
        pass


def test_the_process_ends_with_its_parent() -> None:
    script = (
        "import os, sys\nfrom aws_bedrock_inference.testing import simulator\n"
        "block = simulator()\nrunning = block.__enter__()\nprint(running.url, flush=True)\n"
        "sys.stdin.read()\nos._exit(9)"
    )
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        assert owner.stdin
        running = Simulator(owner.stdout.readline().strip())
        assert connected(running)
        owner.stdin.close()
    while connected(running):
        pass


def test_a_missing_extra_is_reported_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aws_bedrock_inference.testing.find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'aws-bedrock-inference\[simulator\]'"), simulator():
        pass
