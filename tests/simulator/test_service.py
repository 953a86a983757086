"""Quotas, faults and answers of the simulated service, on a clock that only tests advance."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from support.simulated_account import CLAUDE, HAIKU, NOVA, TITAN, Account, tokens

from aws_bedrock_inference.simulator.request import Request

LONG = {"answers": {"tokens": 500.0, "spread": 0.0}}


def test_the_same_prompt_and_seed_have_the_same_answer() -> None:
    first, again, other_seed = Account(seed=1), Account(seed=1), Account(seed=2)
    assert first.converse("a").body == again.converse("a").body
    assert first.converse("a").json["output"] != first.converse("b").json["output"]
    assert first.converse("a").json["output"] != other_seed.converse("a").json["output"]


def test_the_lengths_of_answers_are_spread_around_the_median() -> None:
    account = Account(answers={"tokens": 100.0, "spread": 0.5})
    lengths = sorted(account.converse(f"prompt {n}").json["usage"]["outputTokens"] for n in range(300))
    assert 85 <= lengths[150] <= 125
    assert lengths[15] < 60
    assert lengths[285] > 180


def test_an_answer_stops_at_its_maximum_and_at_stop_sequences() -> None:
    account = Account()
    cut = account.converse(**tokens(7)).json
    assert (cut["stopReason"], cut["usage"]["outputTokens"]) == ("max_tokens", 7)
    stopped = account.converse(inferenceConfig={"stopSequences": ["e"]}).json
    assert stopped["stopReason"] == "stop_sequence"
    assert "e" not in stopped["output"]["message"]["content"][0]["text"]


def test_a_forced_tool_is_used_with_an_input_that_matches_its_schema() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"toolSpec": {"name": "weather", "inputSchema": {"json": schema}}}
    config = {"tools": [tool], "toolChoice": {"tool": {"name": "weather"}}}
    got = Account().converse(toolConfig=config).json
    assert got["stopReason"] == "tool_use"
    use = got["output"]["message"]["content"][0]["toolUse"]
    assert (use["name"], list(use["input"])) == ("weather", ["city"])


def test_requests_beyond_the_quota_are_throttled_and_charge_nothing() -> None:
    account = Account(quota={"rpm": 3})
    assert [account.converse().status for _ in range(5)] == [200, 200, 200, 429, 429]
    assert account.converse().error == (
        429,
        "ThrottlingException",
        "Too many requests, please wait before trying again.",
    )
    account.clock.now += 20
    assert [account.converse().status for _ in range(2)] == [200, 429]
    assert account.stats()["throttled"] == {"requests": 4}


def test_a_request_reserves_max_tokens_and_is_settled_with_output_times_burndown() -> None:
    account = Account(quota={"tpm": 10_000}, **LONG)
    used = account.converse("x" * 400, model=HAIKU, **tokens(4000)).json["usage"]
    assert used["inputTokens"] == 100
    counted = account.stats()["tokens"]
    assert counted["reserved"] == 4100
    assert counted["charged"] == 100 + 5 * used["outputTokens"]
    left = 10_000 - counted["charged"]
    assert account.converse("x" * 400, model=HAIKU, **tokens(left - 99)).error[2].startswith("Too many tokens, please")
    assert account.converse("x" * 400, model=HAIKU, **tokens(left - 100)).status == 200


def test_without_max_tokens_the_maximum_of_the_model_is_reserved() -> None:
    account = Account(quota={"tpm": 64_000})
    assert account.converse(model=HAIKU).status == 429
    assert account.converse(model=HAIKU, **tokens(1000)).status == 200


def test_pools_of_one_model_are_separate_and_so_are_regions() -> None:
    account = Account(quota={"rpm": 1})
    for model in (NOVA, f"us.{NOVA}", f"global.{NOVA}"):
        assert [account.converse(model=model).status for _ in range(2)] == [200, 429]
    assert (
        account.post(
            f"/model/{NOVA}/converse",
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            authorization="AWS4-HMAC-SHA256 Credential=A/20261121/eu-west-1/bedrock/aws4_request, SignedHeaders=host",
        ).status
        == 200
    )


def test_a_rule_for_specific_pools_precedes_the_common_quota() -> None:
    account = Account(quota={"rpm": 1}, quotas=[{"model": "amazon.*", "pool": "global", "rpm": 2}])
    assert [account.converse(model=f"global.{NOVA}").status for _ in range(3)] == [200, 200, 429]
    assert [account.converse(model=NOVA).status for _ in range(2)] == [200, 429]


def test_tokens_per_day_are_a_separate_quota() -> None:
    account = Account(quota={"tpd": 2000})
    assert account.converse(**tokens(1900)).status == 200
    account.clock.now += 3600
    assert account.converse(**tokens(1900)).error[2] == "Too many tokens per day, please wait before trying again."
    account.clock.now += 86_400
    assert account.converse(**tokens(1900)).status == 200


def test_a_stream_reserves_until_its_end_and_is_settled_by_the_delivered_content() -> None:
    account = Account(quota={"tpm": 10_000}, **LONG)
    request = {"messages": [{"role": "user", "content": [{"text": "x" * 400}]}], **tokens(9000)}
    before = account.post(f"/model/{HAIKU}/converse-stream", request)
    assert before.events[-1][0] == "metadata"
    whole = account.stats()["tokens"]["charged"]

    abandoned = Account(quota={"tpm": 10_000}, latency={"tokens_per_second": 10.0}, **LONG)
    body = json.dumps(request).encode()
    plan = abandoned.service.handle(Request("POST", f"/model/{HAIKU}/converse-stream", "", {}, body))
    for _ in range(20):
        next(plan.steps)
    assert abandoned.converse(model=HAIKU, **tokens(4000)).status == 429
    plan.steps.close()
    charged = abandoned.stats()["tokens"]["charged"]
    assert 100 < charged < whole / 2
    assert abandoned.converse(model=HAIKU, **tokens(4000)).status == 200


def test_the_number_of_remembered_prompts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aws_bedrock_inference.simulator.service._MOST_CACHED", 2)
    account = Account()

    def read(letter: str) -> int:
        system = [{"text": letter * 4000}, {"cachePoint": {"type": "default"}}]
        found: int = account.converse(system=system).json["usage"]["cacheReadInputTokens"]
        return found

    assert [read(letter) for letter in "ababcab"] == [0, 0, 1000, 1000, 0, 0, 0]


def test_cached_tokens_are_reserved_and_not_charged() -> None:
    account = Account(**LONG)
    system = [{"text": "s" * 4000}, {"cachePoint": {"type": "default"}}]
    first = account.converse(system=system, **tokens(10)).json["usage"]
    second = account.converse(system=system, **tokens(10)).json["usage"]
    assert (first["cacheWriteInputTokens"], first["cacheReadInputTokens"]) == (1000, 0)
    assert (second["cacheWriteInputTokens"], second["cacheReadInputTokens"]) == (0, 1000)
    assert account.stats()["tokens"]["reserved"] == 2 * (1000 + 5 + 10)
    assert account.stats()["tokens"]["charged"] == 1000 + 5 + 10 + 5 + 10
    account.clock.now += 301
    assert account.converse(system=system).json["usage"]["cacheWriteInputTokens"] == 1000


def test_answers_have_the_configured_latency() -> None:
    account = Account(latency={"first_token": 2.0, "tokens_per_second": 50.0}, answers={"tokens": 100.0, "spread": 0.0})
    whole = account.converse()
    written = whole.json["usage"]["outputTokens"]
    assert sum(whole.waits) == pytest.approx(2 + written / 50)
    stream = account.converse(stream=True)
    assert stream.waits[0] == 2.0
    assert sum(stream.waits) == pytest.approx(2 + written / 50)
    assert max(stream.waits[1:]) < 0.2


ERRORS = {
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "ThrottlingException": 429,
    "ModelTimeoutException": 408,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
    "ValidationException": 400,
    "ModelNotReadyException": 429,
    "ModelErrorException": 424,
    "ServiceQuotaExceededException": 400,
    "overloaded_error": 529,
}


@pytest.mark.parametrize("code", ERRORS)
def test_each_error_has_the_status_headers_and_body_of_the_real_service(code: Any) -> None:
    account = Account(faults=[{"kind": "error", "code": code}])
    got = account.converse()
    assert got.error[:2] == (ERRORS[code], code)
    assert got.error[2]
    assert len(got.headers["x-amzn-requestid"]) == 36
    assert account.stats()["errors"] == {code: 1}


def test_an_error_may_have_a_custom_code_and_message() -> None:
    fault = {"kind": "error", "code": "Odd", "message": "odd", "status": 418, "retry_after": 1.5}
    got = Account(faults=[fault]).converse()
    assert got.error == (418, "Odd", "odd")
    assert got.headers["x-amz-retry-after"] == "1500"


def test_an_error_of_a_model_that_had_started_charges_the_input() -> None:
    account = Account(faults=[{"kind": "error", "code": "ModelErrorException"}], quota={"tpm": 5000})
    account.converse("x" * 400, **tokens(1000))
    assert account.stats()["tokens"]["charged"] == 100
    throttled = Account(faults=[{"kind": "throttle"}], quota={"tpm": 5000})
    throttled.converse("x" * 400, **tokens(1000))
    assert throttled.stats()["tokens"]["charged"] == 0


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("requests", "Too many requests, please wait before trying again."),
        ("tokens", "Too many tokens, please wait before trying again."),
        ("tokens-per-day", "Too many tokens per day, please wait before trying again."),
    ],
)
def test_each_kind_of_throttle_can_be_simulated(limit: Any, message: Any) -> None:
    account = Account(faults=[{"kind": "throttle", "limit": limit}])
    assert account.converse().error == (429, "ThrottlingException", message)
    assert account.stats()["throttled"] == {limit: 1}
    assert account.stats()["faults"] == {f"throttle:{limit}": 1}


def test_an_outage_applies_to_its_time_span_and_region() -> None:
    account = Account(faults=[{"kind": "outage", "region": "us-*", "from": 5, "until": 10}])
    assert account.converse().status == 200
    account.clock.now += 5
    assert account.converse().error[:2] == (503, "ServiceUnavailableException")
    account.clock.now += 5
    assert account.converse().status == 200


def test_faults_can_be_set_by_count_by_list_and_by_rate() -> None:
    first = Account(faults=[{"kind": "throttle", "first": 2}])
    assert [first.converse().status for _ in range(4)] == [429, 429, 200, 200]
    listed = Account(faults=[{"kind": "throttle", "requests": [2, 4]}])
    assert [listed.converse().status for _ in range(5)] == [200, 429, 200, 429, 200]
    often = [Account(seed=3, faults=[{"kind": "throttle", "rate": 0.25}]) for _ in range(2)]
    rounds = [[account.converse().status for _ in range(400)] for account in often]
    assert rounds[0] == rounds[1]
    assert 70 <= rounds[0].count(429) <= 130


def test_a_fault_may_apply_to_one_model_or_operation_only() -> None:
    account = Account(faults=[{"kind": "throttle", "model": "amazon.*", "operation": "ConverseStream"}])
    assert account.converse().status == 200
    assert account.converse(model=CLAUDE, stream=True).status == 200
    assert account.converse(stream=True).status == 429


def test_not_ready_and_access_pending_faults_end_after_their_time() -> None:
    account = Account(faults=[{"kind": "not-ready", "seconds": 30}])
    account.clock.now += 100
    assert account.converse().error[:2] == (429, "ModelNotReadyException")
    account.clock.now += 29
    assert account.converse().status == 429
    account.clock.now += 1
    assert account.converse().status == 200
    pending = Account(faults=[{"kind": "access-pending", "seconds": 30}]).converse()
    assert pending.error[:2] == (403, "AccessDeniedException")
    assert "subscription" in pending.error[2]


def test_filtered_and_blocked_answers_have_http_status_200() -> None:
    filtered = Account(faults=[{"kind": "content-filtered"}])
    assert filtered.converse().json["stopReason"] == "content_filtered"
    blocked = Account(faults=[{"kind": "guardrail"}])
    got = blocked.converse().json
    assert got["stopReason"] == "guardrail_intervened"
    assert got["output"]["message"]["content"] == [{"text": "Sorry, the model cannot answer this question."}]
    assert blocked.stats()["answered"] == 1


def test_streams_break_in_every_way() -> None:
    def events(**fault: Any) -> Any:
        account = Account(faults=[fault], **LONG)
        got = account.converse(stream=True)
        assert account.stats()["answered"] == (fault["kind"] == "stall")
        return got, [name for name, _ in got.events]

    assert events(kind="exception", code="ThrottlingException")[1] == ["throttlingException"]
    assert events(kind="exception", code="brandNewException", after=3)[1][3:] == ["brandNewException"]
    truncated, names = events(kind="truncate")
    assert "messageStop" not in names
    assert len(names) > 10
    assert not truncated.reset
    broken, names = events(kind="reset", after=4)
    assert broken.reset
    assert len(names) == 4
    stalled, names = events(kind="stall", after=4, seconds=30.0)
    assert stalled.waits == [0.0, 30.0]
    assert names[-1] == "metadata"


def test_a_break_after_more_events_than_exist_occurs_before_the_end() -> None:
    got = Account(faults=[{"kind": "truncate", "after": 10_000}]).converse(stream=True)
    names = [name for name, _ in got.events]
    assert names[-1] == "contentBlockStop"


def test_a_reset_and_a_stall_can_occur_before_the_first_byte() -> None:
    assert Account(faults=[{"kind": "reset"}]).converse().reset
    stalled = Account(faults=[{"kind": "stall", "seconds": 90.0}]).converse()
    assert stalled.waits[0] == 90.0
    assert stalled.status == 200


def test_malformed_json_can_occur_in_an_answer_and_in_a_frame() -> None:
    whole = Account(faults=[{"kind": "malformed"}]).converse()
    with pytest.raises(json.JSONDecodeError):
        _ = whole.json
    stream = Account(faults=[{"kind": "malformed"}]).converse(stream=True)
    with pytest.raises(json.JSONDecodeError):
        _ = stream.events


def test_spans_of_refused_connections_are_known_in_advance() -> None:
    account = Account(faults=[{"kind": "refused", "from": 5, "until": 8}])
    assert account.service.refusing() == (False, 5)
    account.clock.now += 6
    assert account.service.refusing() == (True, 2)
    account.clock.now += 2
    assert account.service.refusing() == (False, None)


NATIVE: Any = {
    CLAUDE: {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
    },
    NOVA: {"messages": [{"role": "user", "content": [{"text": "Why is the sky blue?"}]}]},
    TITAN: {"inputText": "Why is the sky blue?", "textGenerationConfig": {"maxTokenCount": 50}},
}
READ = {
    CLAUDE: lambda body: (body["content"][0]["text"], body["usage"]["input_tokens"]),
    NOVA: lambda body: (body["output"]["message"]["content"][0]["text"], body["usage"]["inputTokens"]),
    TITAN: lambda body: (body["results"][0]["outputText"], body["inputTextTokenCount"]),
}


@pytest.mark.parametrize("model", NATIVE)
def test_invoke_model_uses_the_native_dialect_of_the_model(model: Any) -> None:
    got = Account().post(f"/model/{model}/invoke", NATIVE[model])
    text, read = READ[model](got.json)
    assert text
    assert read == 5 == int(got.headers["x-amzn-bedrock-input-token-count"])


def test_count_tokens_counts_what_an_answer_would_report() -> None:
    account = Account(quota={"rpm": 0})
    path = f"/model/{HAIKU.removeprefix('us.')}/count-tokens"
    body = {"input": {"converse": {"messages": NATIVE[NOVA]["messages"]}}}
    assert account.post(path, body).json == {"inputTokens": 5}
    blob = b64encode(json.dumps(NATIVE[CLAUDE]).encode()).decode()
    assert account.post(path, {"input": {"invokeModel": {"body": blob}}}).json == {"inputTokens": 5}


@pytest.mark.parametrize(
    "model", [HAIKU, NOVA, TITAN, f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{HAIKU}"]
)
def test_count_tokens_knows_only_base_ids_of_some_models(model: Any) -> None:
    body = {"input": {"converse": {"messages": NATIVE[NOVA]["messages"]}}}
    refused = Account().post(f"/model/{model}/count-tokens", body).error
    assert refused == (400, "ValidationException", "The provided model doesn't support counting tokens.")


def test_loading_another_scenario_resets_the_service() -> None:
    account = Account(quota={"rpm": 1})
    account.converse()
    assert account.converse().status == 429
    account.service.load(account.service.scenario)
    assert account.stats()["arrived"] == 0
    assert account.converse().status == 200
