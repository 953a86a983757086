"""Requests and answers by the service model: equal to botocore's, with refusals that say what to change."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import botocore
import pytest
from botocore.awsrequest import HeadersDict
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError, create_parser
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import session

from aws_bedrock_inference import BedrockClient, InvalidRequest
from aws_bedrock_inference.dialects.request import CONVERSE_MEMBERS
from aws_bedrock_inference.transports import operations
from aws_bedrock_inference.transports.fast.response import Structure
from aws_bedrock_inference.transports.operations import MalformedError, _service, operation

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGES = [{"role": "user", "content": [{"text": "secret prompt"}]}]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
UNKNOWN = st.just({"inventedLater": 1})
SCALARS = {
    "string": st.text(max_size=5),
    "integer": st.integers(-9, 9),
    "long": st.integers(-9, 9),
    "float": st.integers(-9, 9) | st.floats(-1, 1),
    "double": st.integers(-9, 9) | st.floats(-1, 1),
    "boolean": st.booleans() | st.sampled_from(["true", "false"]),
    "blob": st.binary(max_size=5).map(lambda blob: base64.b64encode(blob).decode()),
    "timestamp": st.sampled_from(["2026-11-20T20:00:00Z", 1_790_000_000, 1.5]),
}


def json_of(shape: Any, depth: int = 9) -> st.SearchStrategy[Any]:
    """Return JSON as the service may send it: members missing, null or unknown; documents of any form."""
    few = 2 if depth > 0 else 0
    if shape.type_name == "list":
        return st.lists(st.none() | json_of(shape.member, depth - 1), max_size=few)
    if shape.type_name == "map":
        return st.dictionaries(st.text(max_size=3), json_of(shape.value, depth - 1), max_size=few)
    if shape.type_name == "structure":
        return anything if shape.is_document_type else structures(shape, depth)
    return SCALARS[shape.type_name]


def later(shape: Any, depth: int) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: json_of(shape, depth))


def structures(shape: Any, depth: int) -> st.SearchStrategy[Any]:
    members: dict[str, st.SearchStrategy[Any]] = {}
    if depth > 0:
        members = {name: later(member, depth - 1) for name, member in shape.members.items()}
    if shape.is_tagged_union:
        return st.one_of(*(st.fixed_dictionaries({name: value}) for name, value in members.items()), UNKNOWN)
    return st.fixed_dictionaries(
        {}, optional={"inventedLater": anything, **{name: st.none() | value for name, value in members.items()}}
    )


def botocores(shape: Any, body: Any) -> Any:
    parser: Any = create_parser("rest-json")
    return parser._parse_shape(shape, body)


@pytest.mark.parametrize("name", ["Converse", "CountTokens", "ApplyGuardrail", "ListAsyncInvokes"])
@given(data=st.data())
def test_answers_are_read_as_botocore_reads_them(name: str, data: st.DataObject) -> None:
    shape: Any = _service().operation_model(name).output_shape
    body = data.draw(json_of(shape))
    theirs = botocores(shape, body)
    assert Structure(shape)(body) == theirs


@pytest.mark.parametrize(
    "union", [{}, {"text": "a", "toolUse": {}}, {"text": "a", "inventedLater": 1}, {"__type": "x"}]
)
def test_an_invalid_union_is_refused_as_by_botocore(union: dict[str, Any]) -> None:
    shape: Any = _service().shape_for("ContentBlock")
    with pytest.raises(ResponseParserError):
        botocores(shape, union)
    with pytest.raises(ValueError, match="exactly one member of ContentBlock"):
        Structure(shape)(union)


def test_a_malformed_answer_is_not_quoted() -> None:
    with pytest.raises(MalformedError) as raised:
        operation("converse").response(200, HeadersDict({}), b'{"output": {"message": "secret')
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "params", "problem"),
    [
        ("converse", {"modelId": "m"}, None),
        ("converse", {}, "converse: the request needs 'modelId'"),
        (
            "converse",
            {"modelId": "m", "max_tokens": 5},
            "converse: the request has no parameter 'max_tokens'; did you mean 'inferenceConfig.maxTokens'?",
        ),
        (
            "converse",
            {"modelId": "m", "inferenceConfig": {"maxToken": 5}},
            "converse: inferenceConfig has no parameter 'maxToken'; did you mean 'maxTokens'?",
        ),
        (
            "converse",
            {"modelId": "m", "inferenceConfig": {"x": 5}},
            (
                "converse: inferenceConfig has no parameter 'x'; its parameters are maxTokens, temperature, topP, "
                "stopSequences"
            ),
        ),
        (
            "converse",
            {"modelId": "m", "messages": [{"role": "user", "content": "secret prompt"}]},
            "converse: messages[0].content must be list or tuple, not str",
        ),
        (
            "converse",
            {"modelId": "m", "inferenceConfig": {"maxTokens": 0, "temperature": "hot"}},
            (
                "converse: inferenceConfig.maxTokens must be at least 1; "
                "inferenceConfig.temperature must be float or decimal.Decimal or int, not str"
            ),
        ),
        ("converse", {"modelId": ""}, "converse: modelId must have a length of at least 1"),
        ("count_tokens", {"modelId": "m", "input": {}}, "count_tokens: input needs one of invokeModel, converse"),
        (
            "count_tokens",
            {"modelId": "m", "input": {"invokeModel": {"body": b""}, "converse": {}}},
            "count_tokens: input may have only one of invokeModel, converse",
        ),
        (
            "converse",
            {"modelId": "m", "additionalModelRequestFields": {"a{b}": object()}},
            "converse: additionalModelRequestFields.a{b} must be a value that JSON can represent, not object",
        ),
    ],
)
def test_a_problem_is_described_in_a_sentence_without_the_value(name: str, params: Any, problem: str | None) -> None:
    assert operation(name).validate(params) == problem


def test_an_unknown_operation_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match=r"no operation 'conserve'.*converse_stream"):
        operation("conserve")


def test_an_unseekable_file_is_read_once() -> None:
    class Pipe:
        def read(self) -> str:
            return '{"a": "ü"}'

        def seekable(self) -> bool:
            return False

    request = operation("invoke_model").request({"modelId": "m", "body": Pipe()})
    assert request.body == '{"a": "ü"}'.encode()


CONVERSE = ("converse", "converse_stream")
NATIVE = ("invoke_model", "invoke_model_with_response_stream")


@pytest.fixture
def old_boto3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The models of an older release, which lack later additions."""
    model = Loader().load_service_model("bedrock-runtime", "service-2")
    newer = ("outputConfig", "projectIdentifier", "serviceTier", "audio", "toolAddition", "toolRemoval", "strict")
    for name in ("Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream"):
        for member in newer:
            model["shapes"][f"{name}Request"]["members"].pop(member, None)
    for member in newer:
        model["shapes"]["ContentBlock"]["members"].pop(member, None)
        model["shapes"]["ToolSpecification"]["members"].pop(member, None)
    model["operations"].pop("CountTokens", None)
    old = ServiceModel(model, "bedrock-runtime")
    monkeypatch.setattr(operations, "_service", lambda: old)
    monkeypatch.setattr(botocore, "__version__", "1.40.0")
    operation.cache_clear()
    yield
    operation.cache_clear()


def in_content(block: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": "t"}, block]}]}


@pytest.mark.parametrize(
    ("methods", "params", "where", "release"),
    [
        (
            CONVERSE,
            {"messages": MESSAGES, "outputConfig": {}},
            "the request has no parameter 'outputConfig'",
            "1.42.42",
        ),
        (CONVERSE, {"messages": MESSAGES, "projectIdentifier": "secret"}, "no parameter 'projectIdentifier'", "1.44.8"),
        (CONVERSE, {"messages": MESSAGES, "serviceTier": {}}, "no parameter 'serviceTier'", "1.40.76"),
        (CONVERSE, in_content({"audio": {}}), "messages[0].content[1] has no parameter 'audio'", "1.42.1"),
        (CONVERSE, in_content({"toolAddition": {}}), "content[1] has no parameter 'toolAddition'", "1.43.62"),
        (CONVERSE, in_content({"toolRemoval": {}}), "content[1] has no parameter 'toolRemoval'", "1.43.62"),
        (
            CONVERSE,
            {
                "messages": MESSAGES,
                "toolConfig": {"tools": [{"toolSpec": {"name": "n", "inputSchema": {}, "strict": True}}]},
            },
            "tools[0].toolSpec has no parameter 'strict'",
            "1.42.42",
        ),
        (NATIVE, {"body": b"{}", "projectIdentifier": "secret"}, "no parameter 'projectIdentifier'", "1.44.8"),
        (NATIVE, {"body": b"{}", "serviceTier": "secret"}, "no parameter 'serviceTier'", "1.40.76"),
    ],
)
def test_a_parameter_missing_in_the_installed_boto3_names_the_required_version(
    methods: tuple[str, ...], params: dict[str, Any], where: str, release: str, old_boto3: None
) -> None:
    with BedrockClient("amazon.nova-lite-v1:0", session=session()) as client:
        for method in methods:
            with pytest.raises(InvalidRequest) as raised:
                getattr(client, method)(**params)
            assert where in str(raised.value)
            assert f"the installed boto3 1.40.0 is too old for it: pip install 'boto3>={release}'" in str(raised.value)
            assert "secret" not in str(raised.value)


@pytest.mark.parametrize("stream", [False, True])
def test_invoke_names_the_required_boto3_version_too(old_boto3: None, *, stream: bool) -> None:
    with (
        BedrockClient("amazon.nova-lite-v1:0", session=session()) as client,
        pytest.raises(InvalidRequest, match=r"boto3>=1\.44\.8"),
    ):
        client.invoke("Why?", projectIdentifier="proj_0a1b2c3d4e5f", stream=stream)


def test_a_tier_needs_a_boto3_that_has_tiers(old_boto3: None) -> None:
    with (
        BedrockClient("amazon.nova-lite-v1:0", session=session()) as client,
        pytest.raises(InvalidRequest, match=r"boto3>=1\.40\.76"),
    ):
        client.invoke("Why?", tier="flex")


def test_the_members_of_converse_are_those_of_boto3() -> None:
    service = ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"), "bedrock-runtime")
    shape: Any = service.operation_model("Converse").input_shape
    assert {"modelId", *CONVERSE_MEMBERS} == set(shape.members)


def test_an_operation_missing_in_the_installed_boto3_names_the_required_version(old_boto3: None) -> None:
    params = {"input": {"converse": {"messages": MESSAGES}}}
    with BedrockClient("amazon.nova-lite-v1:0", session=session()) as client, pytest.raises(InvalidRequest) as raised:
        client.count_tokens(**params)
    assert "pip install 'boto3>=1.40.14'" in str(raised.value)


def test_an_unknown_parameter_is_refused_with_the_valid_names(old_boto3: None) -> None:
    assert "too old" not in str(operation("converse").validate({"modelId": "m", "inventedLater": 1}))
