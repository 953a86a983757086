"""The catalogue is complete and consistent, and each of its examples is explained by the cause that it belongs to."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.knowledge import build
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.evidence import Evidence, completed
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.judge import ranked

if TYPE_CHECKING:
    from pathlib import Path

FILES = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(build.SOURCES.glob("*.toml"))}


def examples() -> list[Any]:
    return [
        pytest.param(entry["example"], entry["cause"], id=f"{name}: {entry['example'][:70]}")
        for name, data in FILES.items()
        for fault in data.get("fault", ())
        for entry in (fault, *fault.get("message", ()))
        if "example" in entry
    ]


@pytest.mark.parametrize(("text", "cause"), examples())
def test_every_example_is_explained_by_its_cause(text: str, cause: str) -> None:
    found = explain(text)
    assert found.cause == cause, f"{found.cause}, by {found.decided_by!r}"


@pytest.mark.parametrize(("text", "cause"), examples())
def test_no_two_causes_match_the_same_text_with_equal_rank(text: str, cause: str) -> None:
    first, *others = ranked(completed(Evidence(text)))
    assert [other.template.cause for other in others if other.score == first.score] == []


def test_the_index_is_built_from_the_catalogue_files() -> None:
    assert build.INDEX.read_text(encoding="utf-8") == build.written(build.build()), "run `make index`"


def test_every_code_and_every_message_has_an_example() -> None:
    without = [
        f"{name}: {entry.get('codes') or entry.get('contains') or entry.get('all')}"
        for name, data in FILES.items()
        for fault in data.get("fault", ())
        for entry in (fault, *fault.get("message", ()))
        if "example" not in entry and (entry is not fault or fault.get("codes"))
    ]
    assert without == []


def test_every_cause_can_be_reached() -> None:
    known = catalogue()
    assert set(known.causes) == {each.cause.slug for entry in known.entries for each in entry.meanings()}


def test_every_remedy_is_a_full_sentence_and_every_practice_is_described() -> None:
    for slug, cause in catalogue().causes.items():
        assert cause.meaning.endswith((".", "?")), slug
        assert len(cause.title) <= 70, slug
        for remedy, *_ in cause.advice:
            assert remedy.do.endswith((".", "?", ":")), f"{slug}: {remedy.do}"
        if cause.practice:
            practices = [facts["practice"] for facts in catalogue().services.values()]
            assert any(cause.practice in practice for practice in practices), f"{slug}: {cause.practice}"


# The errors that the documents name: service, code, and the decision for the same request.
DOCUMENTED = """
lambda Runtime.ImportModuleError FAIL
lambda Runtime.HandlerNotFound FAIL
lambda Runtime.ExitError FAIL
lambda Runtime.Unknown RETRY_LIMITED
lambda ResourceConflictException RETRY
lambda ResourceNotFoundException FAIL
lambda InvalidParameterValueException FAIL
iam AccessDenied FAIL
iam UnauthorizedOperation FAIL
iam InvalidUserID.NotFound FAIL
iam SignatureDoesNotMatch FAIL
iam TokenRefreshRequired FAIL
iam ExpiredToken FAIL
s3 NoSuchBucket FAIL
s3 NoSuchKey FAIL
s3 AccessDenied FAIL
s3 InvalidBucketName FAIL
s3 BucketAlreadyExists FAIL
dynamodb ProvisionedThroughputExceededException RETRY
dynamodb ThrottlingException RETRY
dynamodb RequestLimitExceeded RETRY
dynamodb ValidationException FAIL
dynamodb ConditionalCheckFailedException FAIL
dynamodb ItemCollectionSizeLimitExceededException FAIL
events ResourceNotFoundException FAIL
events LimitExceededException FAIL
events InvalidEventPatternException FAIL
events ManagedRuleException FAIL
bedrock-runtime ValidationException FAIL
bedrock-runtime ThrottlingException RETRY
bedrock-runtime ModelNotReadyException RETRY
bedrock-runtime ModelTimeoutException RETRY
bedrock-agents ResourceNotFoundException FAIL
bedrock-agents AccessDeniedException FAIL
logs ResourceNotFoundException FAIL
logs InvalidParameterException FAIL
logs DataAlreadyAcceptedException FAIL
cloudwatch InvalidParameterValue FAIL
bedrock-runtime AccessDeniedException FAIL
bedrock-runtime ResourceNotFoundException FAIL
bedrock-runtime ServiceUnavailableException RETRY
bedrock-runtime InternalServerException RETRY
bedrock-runtime ModelStreamErrorException RETRY_LIMITED
bedrock-runtime ModelErrorException RETRY_LIMITED
bedrock-runtime ConnectionError RETRY
bedrock-runtime BadCScoreException FAIL
bedrock-runtime FTUFormNotFilled FAIL
bedrock-runtime IncompleteSignature FAIL
bedrock-runtime InternalFailure RETRY
bedrock-runtime InvalidAction FAIL
bedrock-runtime InvalidClientTokenId FAIL
bedrock-runtime MPAgreementBeingCreated RETRY
bedrock-runtime NotAuthorized FAIL
bedrock-runtime RequestExpired FAIL
bedrock-runtime ServiceUnavailable RETRY
bedrock-runtime ValidationError FAIL
bedrock-runtime ResourceNotFound FAIL
"""


@pytest.mark.parametrize("line", DOCUMENTED.strip().splitlines())
def test_every_error_of_aws_s_documents_has_an_entry_with_decision_cause_and_remedy(line: str) -> None:
    service, code, decision = line.split()
    known = catalogue()
    fault = classify({"Error": {"Code": code, "Message": ""}}, service=service)
    cause = known.causes[fault.cause]
    assert cause.decision is Decision(decision)
    assert cause.meaning
    assert cause.remedies(service)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("AWS Marketplace Agreement Failed within 15 minutes", "marketplace-subscription-missing"),
        ("AWS Marketplace Agreement Pending after 15 minutes", "marketplace-agreement-pending"),
    ],
)
def test_errors_of_aws_s_documents_without_a_code_are_explained(text: str, cause: str) -> None:
    assert explain(text).cause == cause


BAD = {
    "fault = [{cause = 'x'}]": "bad: service is missing",
    "service = 's'\ntitle = 't'\n[[fault]]\ncodes = ['X']\ncause = 'nowhere'": "but no file defines this cause",
    "service = 's'\ntitle = 't'\n[cause.x]\ntitle = 'x'": "bad: cause x: group is missing",
    "service = 's'\ntitle = 't'\nnmaes = []": "bad: the key 'nmaes' is not allowed; use only service, title, names,",
}


@pytest.mark.parametrize("text", BAD)
def test_an_incomplete_entry_is_refused_with_its_place(text: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(build.CatalogueError) as refused:
        build.build(tmp_path)
    assert BAD[text] in str(refused.value)
