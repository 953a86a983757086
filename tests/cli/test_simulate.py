from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner
from support.batch_desk import BatchDesk, records

from aws_bedrock_inference import BedrockClient
from aws_bedrock_inference.cli import main
from aws_bedrock_inference.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = "amazon.nova-lite-v1:0"


class Simulated:
    """`bedrock simulate` as a process, and its output."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "aws_bedrock_inference.cli", "simulate", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603 - ours
        assert self.process.stdout is not None
        self.said = []
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if "Press Ctrl-C to stop" in line:
                break
        assert self.said, self.process.communicate()
        self.url = self.said[0].rpartition(" ")[2]

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def simulated() -> Iterator[Any]:
    started: list[Simulated] = []

    def start(*arguments: str) -> Simulated:
        started.append(Simulated(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def simulate(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["simulate", *arguments])


def ask(url: str) -> str:
    with BedrockClient(MODEL, endpoint_url=url) as client:
        return client.invoke("Why is the sky blue?", max_tokens=400).text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_simulator_serves_until_it_is_stopped_and_prints_its_statistics(
    simulated: Any, number: signal.Signals
) -> None:
    endpoint = simulated()
    assert ask(endpoint.url)
    code, out, err = endpoint.end(number)
    assert (code, err) == (0, "")
    assert out == "Stopped: 1 requests, 1 answered, 0 throttled, 0 with an injected fault.\n"


def test_the_printed_settings_can_be_pasted_into_a_shell(simulated: Any) -> None:
    endpoint = simulated()
    assert f"  AWS CLI, SDKs   export AWS_ENDPOINT_URL_BEDROCK_RUNTIME={endpoint.url}" in endpoint.said
    assert f"  statistics      {endpoint.url}/_simulator/stats" in endpoint.said
    assert Simulator(endpoint.url).stats()["arrived"] == 0
    assert not any("Warning" in line for line in endpoint.said)


def test_options_override_the_scenario(simulated: Any, oracle: Any, tmp_path: Path) -> None:
    scenario = tmp_path / "day.toml"
    scenario.write_text('seed = 1\ndiscipline = "bucket"\n[quota]\nrpm = 0\ntpm = 1_000\n')
    endpoint = simulated(str(scenario), "--rpm", "1", "--seed", "2", "--discipline", "fixed")
    client = oracle(endpoint.url)
    messages = [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]
    for tokens, limit in ((2_000, "tokens"), (400, ""), (400, "requests")):
        with contextlib.suppress(ClientError):
            client.converse(modelId=MODEL, messages=messages, inferenceConfig={"maxTokens": tokens})
        assert not limit or limit in Simulator(endpoint.url).stats()["throttled"]
    assert Simulator(endpoint.url).stats()["answered"] == 1


def test_a_different_seed_gives_different_answers(simulated: Any) -> None:
    first, same, other = (ask(simulated("--seed", seed).url) for seed in "112")
    assert first == same != other


@pytest.mark.newer_botocore  # older ones know no Converse jobs
def test_batch_jobs_use_the_given_s3_endpoint(simulated: Any, moto_url: str, alone: None) -> None:
    desk = BatchDesk(Simulator(simulated("--s3-endpoint", moto_url).url), moto_url)
    desk.put(records(100))
    assert desk.counts(desk.create()) == (100, 100, 100, 0)
    desk.close()


def test_a_stream_in_flight_does_not_delay_the_end(simulated: Any, tmp_path: Path) -> None:
    scenario = tmp_path / "day.toml"
    scenario.write_text('[[faults]]\nkind = "stall"\nafter = 2\n')
    endpoint = simulated(str(scenario))
    with BedrockClient(MODEL, endpoint_url=endpoint.url) as client:
        pieces = client.invoke_stream("Why is the sky blue?", max_tokens=400)
        next(iter(pieces))
        code, out, err = endpoint.end(signal.SIGINT)
        pieces.close()
    assert (code, err) == (0, "")
    assert out.startswith("Stopped: 1 requests, 0 answered")


def test_a_publicly_reachable_address_gives_a_warning(simulated: Any) -> None:
    endpoint = simulated("--host", "0.0.0.0")  # noqa: S104 - what the warning is for
    assert "Warning: other machines can reach 0.0.0.0" in endpoint.process.stdout.readline()


def test_a_port_in_use_is_reported() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = simulate("--port", str(port))
    assert result.exit_code == 2
    assert f"cannot listen on port {port} of 127.0.0.1: Address already in use. Pass another --port" in result.stderr


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (
            '[[faults]]\nkind = "error"\ncoed = "ThrottlingException"\n',
            "has no setting 'coed'; allowed here: after, code,",
        ),
        ("[quota]\nrqm = 3\n", "[quota] has no setting 'rqm'; allowed here: rpm, tpd, tpm"),
        ("seed = ", "is not valid TOML"),
    ],
)
def test_a_misspelt_key_of_a_scenario_is_refused_with_the_valid_keys(tmp_path: Path, written: str, says: str) -> None:
    (tmp_path / "day.toml").write_text(written)
    result = simulate(str(tmp_path / "day.toml"))
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_scenario_is_refused_with_the_available_names() -> None:
    result = simulate("bad-dya")
    assert result.exit_code == 2
    assert "one of: bad-day, calm" in result.stderr


@pytest.mark.parametrize("arguments", [["simulate"], ["demo"], ["run", "-", "-o", "answers.jsonl", "--simulate"]])
def test_a_missing_extra_is_reported_with_what_to_install(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aws_bedrock_inference.cli.simulated.find_spec", lambda name: None)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "pip install 'aws-bedrock-inference[simulator]'" in result.stderr
