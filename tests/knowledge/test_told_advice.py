"""Steps that depend on the text: the fault in a refused schema, the start of counting, the owner of a key or role."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from aws_bedrock_inference.cli.explain import explain as command
from aws_bedrock_inference.knowledge.commands import Asked, filled
from aws_bedrock_inference.knowledge.entries import Remedy, Step
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.services import part

RULE = "' failed to satisfy constraint: Member must have length greater than or equal to 1"
ALLOWED = "is not authorized to perform: sqs:ListQueues on resource: arn:aws:sqs:eu-west-1:111122223333:jobs because"
PASSES = "is not authorized to perform: iam:PassRole on resource: arn:aws:iam::111122223333:role/app"


def steps(text: str) -> list[str]:
    return [" ".join(remedy).strip() for remedy in explain(text).remedies]


@pytest.mark.parametrize(
    ("faults", "first", "hidden"),
    [
        (
            (
                '#: subject must not be valid against schema {"required":["messages"]}#: extraneous key [stream] is '
                "not permitted"
            ),
            "Remove stream from the body: this model's schema does not allow stream at that place.",
            "must have",
        ),
        (
            (
                "#: required key [prompt] not found#: required key [max_tokens_to_sample] not found#: extraneous key "
                "[Messages] is not permitted#: extraneous key [MaxTokens] is not permitted"
            ),
            (
                "Remove Messages and MaxTokens from the body: this model's schema does not allow Messages and "
                "MaxTokens at that place."
            ),
            "which this model requires",
        ),
        (
            (
                '#: subject must not be valid against schema {"required":["messages"]}#: required key [max_tokens] not '
                "found"
            ),
            "Add max_tokens, which this model requires.",
            "another model family",
        ),
        (
            (
                "#/messages/0/content/1: only 1 subschema matches out of 2#/messages/0/content/1: extraneous key "
                "[pages] is not permitted"
            ),
            "Remove pages from the body: this model's schema does not allow pages at that place.",
            "another model family",
        ),
    ],
)
def test_for_a_refused_schema_the_fault_is_named_and_not_the_rejected_branch(
    faults: str, first: str, hidden: str
) -> None:
    told = steps(f"ValidationException: Malformed input request: {faults}, please reformat your input and try again.")
    assert told[0].startswith(first)
    assert not [step for step in told if hidden in step]


def test_a_rejected_branch_is_reported_as_no_fault() -> None:
    told = steps(
        "Malformed input request: #: only 1 subschema matches out of 2#: extraneous key [top] is not permitted"
    )
    assert [step for step in told if "Errors about the other forms contain" in step]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        (
            (
                f"Value '' at 'toolConfig.tools.2.member.toolSpec.name{RULE}; "
                f"Value '' at 'toolConfig.tools.5.member.toolSpec.name{RULE}"
            ),
            "Give each tool a name that is not empty. The message names these tools, counted from 1: 2 and 5.",
        ),
        (
            (
                "Value '' at 'toolConfig.tools.4.member.toolSpec.name' failed to satisfy constraint: Member must "
                "satisfy regular expression pattern: [a-zA-Z0-9_-]+"
            ),
            "Give each tool a name that is not empty. The message names these tools, counted from 1: 4.",
        ),
        (
            (
                "Value 'Close Door' at 'toolConfig.tools.4.member.toolSpec.name' failed to satisfy constraint: Member "
                "must satisfy regular expression pattern: [a-zA-Z0-9_-]+"
            ),
            "Rename tool 4 (counted from 1)",
        ),
        (
            f"Value '' at 'toolConfig.tools.3.member.toolSpec.description{RULE}",
            "Write a description for tool 3 (counted from 1)",
        ),
        (
            f"Value at 'messages.2.member.content.1.member.toolUse.name{RULE}",
            "In message 2 (counted from 1), add the name of the tool that was called",
        ),
        (
            f"Value at 'messages.3.member.content.1.member.toolResult.toolUseId{RULE}",
            "Send the ID that the model gave to the tool call, unchanged",
        ),
        (
            "The text field in the ContentBlock object at messages.7.content.2 is blank. Add text to the text field.",
            "Remove the empty text at messages.7.content.2 (counted from 0)",
        ),
        (
            "The content field in the Message object at messages.6 is empty. Add a ContentBlock object to it.",
            "Add a text to the message at messages.6 (counted from 0)",
        ),
    ],
)
def test_positions_are_counted_as_in_the_message(text: str, first: str) -> None:
    assert steps(f"ValidationException: {text}")[0].startswith(first)


def test_dropping_a_blank_message_warns_of_two_messages_of_one_role() -> None:
    told = steps("ValidationException: messages: text content blocks must be non-empty")
    assert [step for step in told if "merge its neighbours of the same role" in step]


def test_a_plural_placeholder_is_filled_with_each_named_value_once() -> None:
    step = Step(Remedy("Take {keys} out."), when=r"key \[(?P<keys>\w+)\]")

    def told(*keys: str) -> str:
        (remedy,) = filled([step], Asked(" ".join(f"a key [{key}]" for key in keys)))
        return remedy.do

    assert told("a") == "Take a out."
    assert told("a", "b", "a") == "Take a and b out."
    assert told("a", "b", "c") == "Take a, b and c out."
    assert told(*"abcdefghij") == "Take a, b, c, d, e, f, g, h and others out."


@pytest.mark.parametrize(
    ("before", "service"),
    [
        ("API: cloudFormation ", "cloudformation"),
        ("AWS::Lambda::Function Worker CREATE_FAILED ", "lambda"),
        ("", "SERVICE"),
    ],
)
def test_the_service_that_uses_a_role_is_the_one_that_the_text_names(before: str, service: str) -> None:
    told = steps(f"{before}User: arn:aws:sts::111122223333:assumed-role/deploy/AWSCloudFormation {PASSES}")
    assert [step for step in told if f"ContextKeyValues={service}.amazonaws.com" in step]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (f"AccessDenied: User: arn:aws:iam::111122223333:user/ann {PASSES}", False),
        ("AccessDenied: not authorized to perform: iam:PassRole", True),
        ("AccessDenied: User: arn:aws:iam::111122223333:user/ann is not authorized to perform: sqs:ListQueues", False),
    ],
)
def test_the_caller_is_not_looked_up_if_the_message_names_it(text: str, *, asked: bool) -> None:
    assert any("get-caller-identity" in step for step in steps(text)) is asked


def test_attached_and_inline_policies_are_both_listed() -> None:
    told = " ".join(steps(f"AccessDenied: User: arn:aws:sts::111122223333:assumed-role/desk/me {ALLOWED}"))
    assert "list-attached-role-policies --role-name desk; aws iam list-role-policies --role-name desk" in told


@pytest.mark.parametrize(
    ("uri", "image"),
    [("desk:v2", "imageTag=v2"), (f"desk@sha256:{'ab' * 32}", f"imageDigest=sha256:{'ab' * 32}")],
)
def test_an_image_is_looked_up_by_its_tag_or_digest(uri: str, image: str) -> None:
    told = steps(
        "An error occurred (ValidationException) when calling the CreateAgentRuntime operation: Access denied while "
        f"validating ECR URI '111122223333.dkr.ecr.eu-west-1.amazonaws.com/{uri}'."
    )
    assert [step for step in told if f"--repository-name desk --image-ids {image} --region eu-west-1" in step]


@pytest.mark.parametrize("word", ["invalid", "expired"])
def test_for_bedrock_mantle_the_api_key_is_checked_first(word: str) -> None:
    text = f"401 The security token included in the request is {word}, url: https://bedrock-mantle.eu-west-1.api.aws/v1"
    assert "AWS_BEARER_TOKEN_BEDROCK" in steps(text)[0]
    assert "· bedrock-mantle ·" in CliRunner().invoke(command, ["-"], input=text).output


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("when calling the UpdateAgentRuntime operation", "bedrock-agentcore-control"),
        ("when calling the InvokeAgentRuntime operation", "bedrock-agentcore"),
        ("when calling the CreateKnowledgeBase operation", "bedrock-agents"),
    ],
)
def test_a_part_of_a_service_is_named_as_aws_names_it(text: str, name: str) -> None:
    assert part("bedrock-agents", text) == name


def test_no_wait_is_advised_for_an_index_with_the_wrong_engine() -> None:
    text = "ValidationException: The knowledge base storage configuration provided is invalid... "
    shown = CliRunner().invoke(command, ["-"], input=f"{text}The engine type of your vector index is invalid.").output
    assert "minutes" not in shown.split("Do this")[0]
    shown = CliRunner().invoke(command, ["-"], input=f"{text}Dependency error: no such index [desk]").output
    assert "unless the index was created in the last few minutes" in " ".join(shown.split())
    assert "Create the missing index" in shown


@pytest.mark.parametrize(
    ("text", "heals"),
    [
        ("MalformedPolicyDocument: Syntax errors in policy.", False),
        ('MalformedPolicyDocument: Invalid principal in policy: "AWS":"arn:aws:iam::111122223333:role/app"', True),
        ("MalformedPolicy: Policy has invalid resource", False),
        ("MalformedPolicy: Invalid principal in policy", True),
        (
            (
                "InvalidParameterValueException: The image manifest, config or layer media type for the source image "
                "111122223333.dkr.ecr.eu-west-1.amazonaws.com/desk:2 is not supported."
            ),
            False,
        ),
        ("InvalidParameterValueException: Lambda does not have permission to access the ECR image.", True),
    ],
)
def test_a_retry_after_minutes_is_advised_only_for_temporary_faults(text: str, *, heals: bool) -> None:
    shown = " ".join(CliRunner().invoke(command, ["-"], input=text).output.split())
    assert ("the same request fails again, unless" in shown) is heals, shown


@pytest.mark.parametrize(("operation", "deletes"), [("DeleteObjects", True), ("PutObject", False)])
def test_s3_s_slow_down_on_deletes_asks_for_fewer_keys(operation: str, *, deletes: bool) -> None:
    told = steps(
        f"An error occurred (SlowDown) when calling the {operation} operation: Please reduce your request rate."
    )
    assert any("each key of a DeleteObjects request counts" in step for step in told) is deletes
