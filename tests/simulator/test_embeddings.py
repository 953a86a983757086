"""Embeddings and rankings, requested with boto3 over a real socket."""

from __future__ import annotations

import json
from math import isclose
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.doubles import session
from support.simulated_account import Account


@pytest.fixture
def runtime(bedrock_simulator: Any) -> Any:
    client = session().client("bedrock-runtime", endpoint_url=bedrock_simulator.url)
    yield client
    client.close()


def ask(runtime: Any, model: str, body: dict[str, Any]) -> Any:
    return json.loads(runtime.invoke_model(modelId=model, body=json.dumps(body))["body"].read())


def titan(text: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "amazon.titan-embed-text-v2:0", {"inputText": text, **more}


def cohere(*texts: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "cohere.embed-english-v3", {"texts": list(texts), "input_type": "search_query", **more}


def nova(text: str, **more: Any) -> tuple[str, dict[str, Any]]:
    params = {"embeddingPurpose": "GENERIC_INDEX", "text": {"value": text, "truncationMode": "NONE"}, **more}
    return "amazon.nova-2-multimodal-embeddings-v1:0", {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_titan_returns_one_vector(runtime: Any) -> None:
    answered = ask(runtime, *titan("Hello, world!"))
    assert len(answered["embedding"]) == 1024
    assert answered["embeddingsByType"] == {"float": answered["embedding"]}
    assert answered["inputTextTokenCount"] == 4
    assert isclose(likeness(answered["embedding"], answered["embedding"]), 1, rel_tol=1e-5)
    assert len(ask(runtime, *titan("Hello", dimensions=256))["embedding"]) == 256
    assert set(ask(runtime, *titan("Hello", embeddingTypes=["binary"]))["embeddingsByType"]["binary"]) == {0, 1}
    assert ask(runtime, "amazon.titan-embed-text-v1", {"inputText": "Hello"}).keys() == {
        "embedding",
        "inputTextTokenCount",
    }


def test_cohere_returns_a_vector_for_each_text(runtime: Any) -> None:
    answered = ask(runtime, *cohere("one", "two"))
    assert [len(vector) for vector in answered["embeddings"]] == [1024, 1024]
    assert (answered["response_type"], answered["texts"]) == ("embeddings_floats", ["one", "two"])
    typed = ask(runtime, *cohere("one", embedding_types=["int8", "ubinary"]))
    assert typed["response_type"] == "embeddings_by_type"
    assert [len(typed["embeddings"][kind][0]) for kind in ("int8", "ubinary")] == [1024, 128]
    newer = ask(runtime, "us.cohere.embed-v4:0", cohere("one")[1])
    assert len(newer["embeddings"]["float"][0]) == 1536
    assert len(ask(runtime, "cohere.embed-v4:0", cohere("a", output_dimension=256)[1])["embeddings"]["float"][0]) == 256


def test_nova_returns_a_vector_with_its_type(runtime: Any) -> None:
    (made,) = ask(runtime, *nova("one"))["embeddings"]
    assert (len(made["embedding"]), made["embeddingType"]) == (3072, "TEXT")
    (shorter,) = ask(runtime, *nova("one", embeddingDimension=384))["embeddings"]
    assert len(shorter["embedding"]) == 384


def test_texts_with_common_words_are_close_and_equal_texts_have_equal_vectors(runtime: Any) -> None:
    def vector(text: str) -> list[float]:
        made: list[float] = ask(runtime, *titan(text))["embedding"]
        return made

    question = vector("Which quota limits tokens per minute?")
    assert vector("Which quota limits tokens per minute?") == question
    near, far = vector("The quota limits tokens for each minute."), vector("Bread needs flour, water and salt.")
    assert likeness(question, near) > 0.4 > likeness(question, far)


def test_an_arn_without_a_model_name_embeds_a_body_in_an_embedding_format(runtime: Any) -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
    assert len(ask(runtime, arn, {"inputText": "Hello", "normalize": True})["embedding"]) == 1024


def test_the_ranking_puts_the_most_similar_document_first(runtime: Any) -> None:
    documents = ["Bread needs salt.", "The capital of Denmark is Copenhagen.", "Copenhagen is wet."]
    body = {"query": "What is the capital of Denmark?", "documents": documents, "top_n": 2, "api_version": 2}
    results = ask(runtime, "cohere.rerank-v3-5:0", body)["results"]
    assert [result["index"] for result in results] == [1, 2]
    assert 1 >= results[0]["relevance_score"] > results[1]["relevance_score"] >= 0


def test_an_embedding_costs_its_input_and_reserves_no_answer() -> None:
    account = Account(quota={"tpm": 4})
    model, body = titan("Hello, world!")
    got = account.post(f"/model/{model}/invoke", body)
    assert "x-amzn-bedrock-output-token-count" not in got.headers
    assert got.headers["x-amzn-bedrock-input-token-count"] == "4"
    tokens = account.stats()["tokens"]
    assert (tokens["reserved"], tokens["charged"]) == (4, 4)
    assert account.post(f"/model/{model}/invoke", body).error[1] == "ThrottlingException"


REFUSED: dict[str, tuple[tuple[str, dict[str, Any]], str]] = {
    "no text": (titan(""), "expected minLength: 1, actual: 0"),
    "text too long": (titan("a" * 50_001), "expected maxLength: 50000, actual: 50001"),
    "a length that it has not": (titan("a", dimensions=300), "300 is not a valid enum value"),
    "no type of input": (("cohere.embed-english-v3", {"texts": ["a"]}), "required key [input_type] not found"),
    "a text too long": (cohere("a", "b" * 2049), "#/texts/1: expected maxLength: 2048, actual: 2049"),
    "too many texts": (cohere(*["a"] * 97), "#/texts: expected maximum item count: 96, found: 97"),
    "an odd type": (cohere("a", embedding_types=["float64"]), "'float64' is not a valid enum value"),
    "two inputs": (nova("a", image={}), "2 inputs found, 1 expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_invalid_input_is_refused(runtime: Any, case: str) -> None:
    request, message = REFUSED[case]
    with pytest.raises(ClientError) as refused:
        ask(runtime, *request)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert message in refused.value.response["Error"]["Message"]


def test_a_long_text_is_truncated_on_request(runtime: Any) -> None:
    assert ask(runtime, *cohere("a" * 3000, truncate="END"))["embeddings"]


@pytest.mark.parametrize("operation", ["converse", "invoke-with-response-stream"])
def test_an_embedding_model_does_not_converse_or_stream(operation: str) -> None:
    model, body = titan("a")
    request = {"messages": [{"role": "user", "content": [{"text": "a"}]}]} if operation == "converse" else body
    assert Account().post(f"/model/{model}/{operation}", request).error[:2] == (400, "ValidationException")
