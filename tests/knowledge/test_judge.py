"""One error has one cause and one decision, from `classify` and `explain` and in every form."""

from __future__ import annotations

import json
import re
import tomllib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference import BedrockClient, BedrockError, Decision, Fault, resilient
from aws_bedrock_inference.knowledge import build
from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.evidence import CODE, OPERATION, SERVICE, Evidence, completed
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.judge import judge
from aws_bedrock_inference.knowledge.services import places, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.testing import Simulator

SESSION = boto3.Session("AKIDEXAMPLE", "made-up", region_name="us-east-1")
STATED = re.compile(
    r"an error occurred \(([\w.:-]+)\)(?: \([^)]*\))? when calling the (\w+) operation(?: \([^)]*\))?:?\s*(.*)",
    re.IGNORECASE | re.DOTALL,
)
# An operation for the examples that name none.
OPERATIONS = {
    ANY: "GetRole",
    "bedrock": "CreateModelInvocationJob",
    "bedrock-agents": "InvokeAgent",
    "bedrock-runtime": "InvokeModel",
    "cloudwatch": "PutMetricData",
    "dynamodb": "GetItem",
    "events": "PutRule",
    "kinesis": "PutRecord",
    "lambda": "Invoke",
    "logs": "PutLogEvents",
    "s3": "GetObject",
    "sns": "Publish",
    "sqs": "SendMessage",
    "stepfunctions": "StartExecution",
}


class Example(NamedTuple):
    service: str
    cause: str
    code: str
    operation: str
    message: str
    status: int

    def forms(self) -> dict[str, Any]:
        error = {"Code": self.code, "Message": self.message}
        response: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": self.status}}
        body = json.dumps({"message": self.message}).encode()
        return {
            "exception": ClientError(response, self.operation),
            "dictionary": response,
            "HTTP": SimpleNamespace(status_code=self.status, headers={"x-amzn-ErrorType": self.code}, content=body),
            "text": f"An error occurred ({self.code}) when calling the {self.operation} operation: {self.message}",
        }


def examples() -> Iterator[Example]:
    for path in sorted(build.SOURCES.glob("*.toml")):
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        for fault in data.get("fault", ()):
            for entry in (fault, *fault.get("message", ())):
                if fault.get("codes") and "example" in entry:
                    yield example(data["service"], fault, entry)


def example(service: str, fault: dict[str, Any], entry: dict[str, Any]) -> Example:
    text, status = entry["example"], (fault.get("statuses") or [400])[0]
    stated = STATED.search(text)
    if stated:
        return Example(service, entry["cause"], stated[1], stated[2], stated[3], status)
    code = next((code for code in fault["codes"] if code in text), fault["codes"][0])
    return Example(service, entry["cause"], code, OPERATIONS[service], text, status)


EXAMPLES = list(examples())


@pytest.mark.parametrize("form", ["exception", "dictionary", "HTTP", "text"])
@pytest.mark.parametrize("labelled", [True, False])
def test_classify_and_explain_agree_on_every_example_in_every_form(form: str, *, labelled: bool) -> None:
    assert len(EXAMPLES) > 700
    differing = []
    for each in EXAMPLES:
        error, service = each.forms()[form], each.service if labelled and each.service != ANY else None
        fault, told = classify(error, service=service), explain(error, service=service)
        if (fault.cause, fault.decision, fault.category) != (told.cause, told.decision, told.category):
            differing.append((each, fault.cause, told.cause))
    assert differing == []


def test_an_exception_means_what_its_own_text_means() -> None:
    """Nearly all mean the cause of the entry too; those that do not lack a service that their message would need."""
    differing, wrong = [], []
    for each in EXAMPLES:
        forms = each.forms()
        as_exception, as_text = classify(forms["exception"]), classify(forms["text"])
        if (as_exception.cause, as_exception.decision) != (as_text.cause, as_text.decision):
            differing.append((each, as_exception.cause, as_text.cause))
        if as_exception.cause != each.cause:
            wrong.append((each.code, each.operation, each.cause, as_exception.cause))
    assert [each for each in differing if not each[0].code.isdigit()] == []
    assert len(wrong) <= 2, wrong


@given(st.sampled_from(EXAMPLES), st.sampled_from(EXAMPLES), st.sampled_from([None, *catalogue().services, "iam", "x"]))
def test_classify_and_explain_agree_on_mixtures(one: Example, other: Example, service: str | None) -> None:
    for form, error in one._replace(operation=other.operation, message=other.message).forms().items():
        fault, told = classify(error, service=service), explain(error, service=service)
        assert (fault.cause, fault.decision) == (told.cause, told.decision), form


def client_error(code: str, operation: str, message: str = "", status: int = 400) -> ClientError:
    metadata: Any = {"HTTPStatusCode": status}
    return ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, operation)


@pytest.mark.parametrize(
    ("status", "cause"), [(403, "access-denied-unspecified"), (404, "resource-not-found"), (405, "request-invalid")]
)
def test_a_status_without_a_code_is_not_attributed_to_s3(status: int, cause: str) -> None:
    bare = client_error(str(status), "Converse", "", status)
    answer = SimpleNamespace(status_code=status, headers={}, content=b"")
    for error in (bare, bare.response, answer, client_error(str(status), "GetRole", "", status)):
        assert (classify(error).cause, explain(error).cause) == (cause, cause)
    assert classify(bare, service="bedrock-runtime").cause == cause
    assert classify(client_error(str(status), "HeadObject", "", status)).cause.startswith("s3-")
    client = SESSION.client("bedrock-runtime")
    with Stubber(client) as stub:
        stub.add_client_error("converse", str(status), "", status)
        with pytest.raises(ClientError) as raised:
            resilient(client).converse(modelId="m", messages=[])
    fault: Any = raised.value
    assert fault.fault.cause == explain(raised.value).cause == cause


@pytest.mark.parametrize("message", ["", ": Access Denied", ": s3 bucket policy: access denied"])
def test_an_operation_of_an_unlisted_service_is_not_attributed_to_another(message: str) -> None:
    text = f"An error occurred (AccessDenied) when calling the GetRole operation{message}"
    found = explain(text)
    assert (found.cause, found.service, found.operation) == ("access-denied-unspecified", "iam", "GetRole")
    assert found.confidence != "high"
    assert classify(text).cause == classify(client_error("AccessDenied", "GetRole", message)).cause == found.cause


def test_a_code_without_a_service_is_not_attributed_because_its_message_repeats_it() -> None:
    for error in ("AccessDenied: Access Denied", {"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}):
        assert explain(error).cause == classify(error).cause == "access-denied-unspecified"


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("bedrock-agent-runtime", "bedrock-agents"),
        ("Bedrock Agent Runtime", "bedrock-agents"),
        ("bedrock", "bedrock"),
        ("monitoring", "cloudwatch"),
        ("streams.dynamodb", "dynamodb"),
        ("eventbridge", "events"),
        ("aoss", "bedrock-agents"),
        ("SNS", "sns"),
        ("firehose", "kinesis"),
        ("states", "stepfunctions"),
        ("iam", "iam"),
        ("nosuchservice", ""),
    ],
)
def test_a_service_has_many_names(name: str, service: str) -> None:
    assert resolve(name) == service


def test_model_errors_inside_agent_calls_have_the_causes_of_models() -> None:
    error = client_error("ValidationException", "InvokeAgent", "The provided model identifier is invalid.")
    assert classify(error).cause == explain(error).cause == "invalid-model-identifier"


def test_every_boto3_service_name_is_known_and_leads_to_its_catalogue_service() -> None:
    session = botocore.session.get_session()
    known = catalogue()
    assert [name for name in session.get_available_services() if not resolve(name)] == []
    assert set(known.homes) <= set(session.get_available_services())
    assert {resolve(name) for name in known.homes} == set(known.services) - {ANY}
    for name, service in known.homes.items():
        model = session.get_service_model(name)
        assert resolve(str(model.service_id)) == service
        assert resolve(name.upper()) == service


def test_an_unknown_or_alternative_service_name_does_not_change_a_decision() -> None:
    text = "An error occurred (DependencyFailedException) when calling the InvokeAgent operation: no"
    for name in ("bedrock-agent-runtime", "bedrock-agents", "nosuchservice", None):
        for error in (text, client_error("DependencyFailedException", "InvokeAgent", "no")):
            assert classify(error, service=name).decision is Decision.FAIL
            assert explain(error, service=name).cause == "agent-dependency-failed"


def test_a_certain_service_takes_precedence_over_one_in_the_message() -> None:
    message = "An error occurred (NoSuchKey) when calling the GetObject operation: s3://bucket, Amazon S3"
    fault = classify(client_error("ResourceNotFoundException", "GetItem", message), service="dynamodb")
    assert fault.cause == "dynamodb-table-missing"
    bucket = "The specified bucket does not exist"
    for operation, service in (("GetRole", None), ("TagRole", "ec2")):
        error = client_error("ValidationError", operation, bucket)
        assert classify(error, service=service).cause == explain(error, service=service).cause == "resource-not-found"
    seen = completed(Evidence("amazon s3", ("ValidationException",), (), "GetItem", None, frozenset({CODE, OPERATION})))
    assert SERVICE in seen.certain
    assert seen.services == ("dynamodb",)


def test_an_operation_of_several_services_does_not_identify_one() -> None:
    assert places("GetRole") == (("iam",), True)
    assert places("Converse") == (("bedrock-runtime",), True)
    assert places("GetObject") == (("s3",), False)
    assert set(places("GetRecords")[0]) == {"dynamodb", "kinesis"}
    assert places("NoSuchOperation") == ((), False)
    shared = client_error("ProvisionedThroughputExceededException", "GetRecords", "Rate exceeded for shard shardId-0")
    assert explain(shared).cause == classify(shared).cause == "kinesis-shard-throughput"


def test_the_operation_of_an_exception_is_preserved() -> None:
    error: Any = EndpointConnectionError(endpoint_url="https://x")
    error.operation_name = "InvokeModel"
    wrapped = RuntimeError("failed")
    wrapped.__cause__ = client_error("ThrottlingException", "Converse", "Too many tokens, please wait.", 429)
    assert explain(error).operation == "InvokeModel"
    assert explain(wrapped).operation == "Converse"
    unnamed: Any = ValueError("nobody knows this")
    unnamed.operation_name = "Converse"
    assert explain(unnamed).operation == "Converse"


def test_an_exception_that_was_already_classified_keeps_its_result(bedrock_simulator: Simulator) -> None:
    bedrock_simulator.scenario(faults=[{"kind": "error", "code": "AccessDeniedException"}])
    client = BedrockClient("amazon.nova-lite-v1:0", session=SESSION, endpoint_url=bedrock_simulator.url)
    with client, pytest.raises(BedrockError) as raised:
        client.converse(messages=[{"role": "user", "content": [{"text": "Why?"}]}])
    found = explain(raised.value)
    assert (found.cause, found.decision, found.operation) == (raised.value.cause, raised.value.decision, "Converse")
    refused = Fault(code="CircuitOpen", message="the model keeps failing", cause="circuit-open", advice="Wait.")
    assert (explain(refused).cause, explain(refused).remedies[0].do) == ("circuit-open", "Wait.")


def test_an_error_known_only_from_a_service_model_is_explained_as_it_is_classified() -> None:
    for error, service in (
        (client_error("InvalidClusterStateFault", "DeleteCluster"), "dax"),
        (client_error("NoSuchHostedZone", "GetHostedZone", "", 404), None),
        ("An error occurred (NoSuchHostedZone) when calling the GetHostedZone operation: no", None),
    ):
        fault, found = classify(error, service=service), explain(error, service=service)
        assert (fault.cause, fault.decision) == (found.cause, found.decision)
        assert found.cause == "modelled"


def test_a_result_is_cached_without_its_clues() -> None:
    certain = Evidence("Rate exceeded", ("ThrottlingException",), ("lambda",), "", 429, frozenset({CODE, SERVICE}))
    assert judge(certain) is judge(certain._replace())
    assert judge(certain).evidence.words is None
    assert judge(Evidence("Rate exceeded")) is not judge(Evidence("Rate exceeded"))


def test_no_meaning_of_another_service_is_offered_if_the_text_names_the_service() -> None:
    queue = "Aws::SQS::Errors::AccessDenied: Access to the resource https://sqs.us-west-2.amazonaws.com/ is denied."
    assert explain(queue).alternatives == ()
    assert "s3-access-denied" not in explain("AccessDenied: no", service="sqs").alternatives
