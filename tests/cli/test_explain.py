"""`bedrock explain` and `bedrock errors`, as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aws_bedrock_inference.cli import main
from aws_bedrock_inference.cli.errors import page
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.modelled import codes, modelled

DENIED = (
    "An error occurred (AccessDeniedException) when calling the InvokeModel operation: User: "
    "arn:aws:iam::123456789012:user/bob is not authorized to perform: bedrock:InvokeModel on resource: "
    "arn:aws:bedrock:us-east-1::foundation-model/x because no identity-based policy allows the bedrock:InvokeModel "
    "action"
)


def bedrock(*arguments: str, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=text)


@pytest.mark.parametrize("way", ["words", "one argument", "standard input", "dash", "file"])
def test_the_text_comes_from_an_argument_a_file_or_standard_input(way: str, tmp_path: Path) -> None:
    file = tmp_path / "error.txt"
    file.write_text(DENIED)
    result = {
        "words": lambda: bedrock("explain", *DENIED.split()),
        "one argument": lambda: bedrock("explain", DENIED),
        "standard input": lambda: bedrock("explain", text=DENIED),
        "dash": lambda: bedrock("explain", "-", text=DENIED),
        "file": lambda: bedrock("explain", str(file)),
    }[way]()
    assert result.exit_code == 0
    assert result.output.startswith("No policy of the caller allows the action\niam-denied-identity-policy · ")


def test_the_answer_shows_decision_remedies_proof_and_link_and_hides_account_ids() -> None:
    text = bedrock("explain", DENIED).output
    for part in (
        "FAIL: do not retry",
        "Do this\n  1. ",
        "     $ aws ",
        "confidence high",
        "action: bedrock:InvokeModel",
    ):
        assert part in text
    assert "More    https://docs.aws.amazon.com/" in text
    assert "123456789012" not in text
    assert "\x1b" not in text


def test_a_code_with_several_meanings_lists_them_by_service() -> None:
    result = bedrock("explain", "ResourceNotFoundException")
    assert result.exit_code == 0
    assert "select yours with --service" in result.output
    assert "lambda: FAIL" in result.output
    assert "dynamodb: FAIL" in result.output


def test_the_service_option_chooses_one_meaning() -> None:
    result = bedrock("explain", "ResourceNotFoundException", "--service", "lambda")
    assert result.output.splitlines()[1] == "lambda-function-missing · ResourceNotFoundException · lambda"


@pytest.mark.parametrize(
    "code", ["throttlingexception", "botocore.errorfactory.ThrottlingException", "ThrottlingException:"]
)
def test_a_code_is_known_in_every_spelling(code: str) -> None:
    result = bedrock("explain", code, "--service", "bedrock-runtime")
    assert "throttled-unspecified · ThrottlingException · bedrock-runtime" in result.output


def test_a_code_that_is_not_in_the_catalogue_is_explained_from_aws_s_models() -> None:
    code = next(code for code in codes() if code not in catalogue().by_code and modelled(code)[0].description)
    (facts, *_) = modelled(code)
    result = bedrock("explain", code, "--service", facts.service)
    assert result.exit_code == 0
    assert f"modelled · {code} · {facts.service}" in result.output
    assert facts.verdict.decision.value in result.output
    assert facts.description.split()[0] in result.output
    text = f"An error occurred ({code}) when calling the DoIt operation: no"
    assert json.loads(bedrock("explain", text, "--json").output)["decision"] == facts.verdict.decision.value


def test_an_unknown_code_gets_near_matches_and_exit_code_1() -> None:
    result = bedrock("explain", "ThrotlingExeption")
    assert result.exit_code == 1
    assert "Similar codes: ThrottlingException" in result.output
    assert json.loads(bedrock("explain", "ThrotlingExeption", "--json").output)["near"][0] == "ThrottlingException"


@pytest.mark.parametrize(
    "arguments", [("explain", " "), ("explain", "X", "--service", "nosuchservice"), ("errors", "nosuchservice")]
)
def test_bad_usage_is_exit_code_2(arguments: tuple[str, ...]) -> None:
    assert bedrock(*arguments).exit_code == 2


def test_the_short_form_is_one_line() -> None:
    (line,) = bedrock("explain", "--short", DENIED).output.splitlines()
    assert line.startswith("FAIL  iam-denied-identity-policy  No policy of the caller allows the action. ")


def test_json_has_one_line_for_each_meaning() -> None:
    lines = [json.loads(line) for line in bedrock("explain", "ResourceNotFoundException", "--json").output.splitlines()]
    assert len(lines) > 1
    (line,) = [json.loads(line) for line in bedrock("explain", DENIED, "--json").output.splitlines()]
    assert (line["cause"], line["decision"], line["category"]) == ("iam-denied-identity-policy", "FAIL", "permanent")
    assert line["fields"]["action"] == "bedrock:InvokeModel"


def test_a_long_text_is_read_at_both_ends_and_the_answer_points_to_scan(tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    file.write_text("calm line\n" * 200_000 + DENIED)
    result = bedrock("explain", str(file))
    assert "iam-denied-identity-policy" in result.output
    assert "bedrock scan" in result.output


def test_bytes_that_are_not_text_do_not_fail_the_command() -> None:
    assert bedrock("explain", text=b"\xff\xfe\x00\x80" + b"\xed\xa0\x80 \x00").exit_code == 1
    assert "iam-denied" in bedrock("explain", text=DENIED.encode("utf-16")).output


def test_errors_lists_code_decision_and_cause_of_a_service() -> None:
    result = bedrock("errors", "lambda")
    assert result.exit_code == 0
    assert "FAIL" in result.output
    assert "lambda-timeout" in result.output
    assert "Runtime.ImportModuleError" in result.output
    assert "dynamodb-" not in result.output


def test_errors_lists_iam_s_chapter_although_every_service_answers_with_it() -> None:
    text = bedrock("errors", "iam").output
    for code in (
        "AccessDenied",
        "UnauthorizedOperation",
        "InvalidUserID.NotFound",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "ExpiredToken",
    ):
        assert code in text
    assert "connect-timeout" not in text


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("bedrock-agent-runtime", "knowledge-base-not-found"),
        ("s3api", "s3-bucket-missing"),
        ("monitoring", "cloudwatch-metric-value"),
        ("ec2", "access-denied-unspecified"),
        ("ThrottlingException", "dynamodb-on-demand-warm-up-or-hot-key"),
        ("throttlingException", "throttled-tokens-per-minute"),
        ("lambda-timeout", "The function ran longer than its timeout"),
    ],
)
def test_errors_accepts_every_name_of_a_service_a_code_or_a_cause(name: str, cause: str) -> None:
    result = bedrock("errors", name)
    assert result.exit_code == 0
    assert cause in result.output


def test_errors_of_a_code_lists_its_meanings_and_points_to_the_remedies() -> None:
    text = bedrock("errors", "NoSuchBucket").output
    assert "s3-bucket-missing" in text
    assert "s3-key-missing" not in text
    assert "bedrock explain s3-bucket-missing" in text


def test_errors_of_a_code_with_many_meanings_shows_that_code_alone_and_points_to_the_rest() -> None:
    text = bedrock("errors", "ThrottlingException").output
    assert "TooManyRequestsException" not in text
    assert text.rstrip().endswith("bedrock explain ThrottlingException")


def test_errors_refuses_an_unknown_name() -> None:
    result = bedrock("errors", "NoSuchThing")
    assert result.exit_code == 2
    assert "'NoSuchThing' is not a service, an error code or a cause" in result.output


def test_practices_are_listed_of_all_services_or_of_one() -> None:
    text = bedrock("errors", "--practices").output
    for part in ("dead-letter queue", "partition keys", "versioning", "Monitor token usage", "Cache answers"):
        assert part in text
    bedrocks = bedrock("errors", "--practices", "bedrock").output
    for part in ("Validate", "AWS Health Dashboard", "AWS Support", "ListFoundationModels", "budget", "model error"):
        assert part in bedrocks
    assert "partition keys" not in bedrocks
    assert bedrock("errors", "--practices", "glue").exit_code == 2


@pytest.mark.parametrize("slug", ["throttled-tokens-per-minute", "lambda-timeout", "access-denied-unspecified"])
def test_the_name_of_a_cause_is_explained_as_that_cause(slug: str) -> None:
    result = bedrock("explain", "--short", slug)
    assert result.exit_code == 0
    assert f"  {slug}  " in result.output
    assert json.loads(bedrock("explain", "--json", slug).output)["cause"] == slug


def test_json_has_status_note_and_the_sentence_of_the_practice() -> None:
    known = json.loads(bedrock("explain", "--json", "ServiceUnavailable", "--service", "bedrock-runtime").output)
    assert known["status"] == 503
    assert "regular throttling" in known["note"]
    assert (known["practice"], known["prevent"][:22]) == ("two-regions", "Call models through a ")


def test_a_status_in_the_text_wins_over_the_usual_one_of_the_code() -> None:
    text = "ThrottlingException: slow down (Service: BedrockRuntime, Status Code: 400, Request ID: 0a1b)"
    assert "HTTP 400" in bedrock("explain", text).output
    assert "HTTP 429" in bedrock("explain", "ThrottlingException", "--service", "bedrock-runtime").output


def test_services_are_named_once() -> None:
    for code in ("AccessDenied", "ThrottlingException", "InternalError"):
        for line in bedrock("explain", code, "--service", "s3").output.splitlines():
            if line.startswith("Found") and "services:" in line:
                names = line.split(": ")[1].split(", ")
                assert len(names) == len(set(names))


def test_errors_lists_every_cause() -> None:
    text = bedrock("errors").output
    assert [slug for slug in _used() if slug not in text] == []


def test_the_documentation_page_has_every_cause_and_is_up_to_date() -> None:
    text = "\n".join(page()) + "\n"
    assert [slug for slug in _used() if f"### {slug}\n" not in text] == []
    assert (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8") == text, "run `make index`"


def _used() -> set[str]:
    entries = catalogue().entries
    return {each.cause.slug for entry in entries for each in entry.meanings()}


def test_a_long_file_is_read_at_its_beginning_and_end(tmp_path: Path) -> None:
    log = tmp_path / "long.log"
    with log.open("wb") as file:
        file.truncate(3 << 20)
        file.seek(0, 2)
        file.write(b"\nbotocore.exceptions.NoCredentialsError: Unable to locate credentials\n")
    for result in (bedrock("explain", "--short", str(log)), bedrock("explain", "--short", text=log.read_bytes())):
        assert "credentials-missing" in result.stdout
        assert "only its first and last 512 KiB were read" in result.stderr


def test_a_file_with_an_unknown_error_gets_the_same_answer_as_the_piped_text(tmp_path: Path) -> None:
    text = "com.amazonaws.services.quilt.model.QuiltZzqException: The thread is torn."
    file = tmp_path / "error.txt"
    file.write_text(text)
    named, piped = bedrock("explain", str(file)), bedrock("explain", text=text)
    assert (named.exit_code, named.output) == (1, piped.output)
