"""The advice of AWS's documents for each error is in the explanation of its code, in this project's words."""

# ruff: noqa: E501 - one line for each error of the documents
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from aws_bedrock_inference.knowledge.lookup import meanings, service_called

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.explain import Explanation

# For each error of the documents: the code, the service, and for each solution there, in its order, words of ours that
# say it. A `-` in front: the document is wrong or out of date there, and the note says so by these words.
ADVISED = """
Runtime.ImportModuleError | lambda | Install the dependencies into the package folder | spelling and path of the import | layer | pip install -r requirements.txt -t | built for its runtime version
Runtime.HandlerNotFound | lambda | Make the handler setting match the package | file path without extension | at the root | parameters that its runtime passes | If the handler setting is wrong, correct it
Runtime.ExitError | lambda | a stack trace | Check whether memory was the cause | function's timeout | calls that end the process | messages of the operating system
Runtime.Unknown | lambda | Read the whole log stream | still supports the runtime | compare the changes | a handler that does nothing | Support case
ResourceConflictException | lambda | Wait until the update has ended | changes the function at the same time | Let only one deployment change the function at a time | before the function is usable everywhere | increasing waits
ResourceNotFoundException | lambda | Look for the function in the Region | region and account | not yet deployed | lambda:GetFunction | Name, qualifier
InvalidParameterValueException | lambda | Correct the format | out of range | API reference | data type of the field | values that are known to work
AccessDenied | iam | Grant the caller the IAM | If the resource has its own policy | trust policy | condition that is not met | simulate-principal-policy
UnauthorizedOperation | iam | Grant the caller the IAM or STS action | the IAM or STS action | ARN patterns | what can override an Allow | explicit Deny
InvalidUserID.NotFound | iam | spelling of the name and path | the account in the ARN | in this account | assume a role in that account | whether the entity was deleted
SignatureDoesNotMatch | iam | Enter the secret key again | machine's clock | pip install --upgrade boto3 | which source provides the credentials | special character
TokenRefreshRequired | iam | sign in again | when the session expires | renews the credentials automatically | credentials are renewed automatically | maximum session duration
ExpiredToken | iam | sign in again | renew the session before that time | a role, whose credentials are renewed | when the session expires | in long jobs
NoSuchBucket | s3 | Check the name | Region of the bucket | List the buckets of the account | of another Region | deleted
NoSuchKey | s3 | Compare the key | including case | never written | bucket is versioned | was deleted
AccessDenied | s3 | the caller's policy: it must allow the action | check the bucket policy | the owner and the ACL | another account | SSE-KMS
InvalidBucketName | s3 | lowercase letters, digits, hyphens | a-z, 0-9 and hyphens | all accounts share | The bucket name is not valid | 3 to 63 characters
BucketAlreadyExists | s3 | Choose another name | a random part | account number | All accounts of a partition share | another of your accounts
ProvisionedThroughputExceededException | dynamodb | Raise the capacity | backoff and jitter | auto scaling | switch to on-demand | Query with a key instead of Scan
ThrottlingException | dynamodb | backoff and jitter | over more partition keys | small batches | Warm the table | cache data
RequestLimitExceeded | dynamodb | limit the rate | backoff | spread the load over time | batch calls | Check how many requests
ValidationException | dynamodb | that the message names | name and data type of each attribute | key has exactly | values of one type | one small item
ConditionalCheckFailedException | dynamodb | condition means what you want | read the item | write again with a new condition, or stop | optimistic locking | apply the change again
ItemCollectionSizeLimitExceededException | dynamodb | Choose partition keys | spread them over several keys | archive | add a suffix | create a new table
ResourceNotFoundException | events | the name of its bus | Region, account or event bus | The rule does not exist | bus belongs to another account | delete
LimitExceededException | events | 300 rules by default | pattern as narrow | on another bus | Request a higher quota | Merge similar rules
InvalidEventPatternException | events | A pattern is JSON | A filter is also inside an array | Test the pattern against an event | at most 2,048 characters | test-event-pattern
ManagedRuleException | events | aws events describe-rule | -its targets and logs | -its targets and logs | -failure of a run of the rule | -its targets and logs
ValidationException | bedrock-runtime | no text may be empty | within the model's ranges | this Region offers the model | differ between model families | smallest request that should work
ThrottlingException | bedrock-runtime | retry with backoff | spread them over time | a second model | Provisioned Throughput | Monitor how many calls of each model are throttled
ModelNotReadyException | bedrock-runtime | takes seconds to minutes | imported models of the Region | Provisioned Throughput is in service | more attempts than the SDK's default | to another model
ModelTimeoutException | bedrock-runtime | shorten the input | Split the work | read timeout | stream | smaller or faster model
ResourceNotFoundException | bedrock-agents | the ID, the Region and the account of the knowledge base | the Region and the account of the knowledge base | was created | Check that the caller is allowed to see the resource | not deleted
AccessDeniedException | bedrock-agents | Grant the caller the action on the knowledge base | If the resource has its own policy | both the caller's policy and the resource's policy must allow the action | service role of the knowledge base | simulate-principal-policy
ResourceNotFoundException | logs | Look for the log group in the Region | check that the log stream exists | at its first run | retention setting deletes only events | was deleted
InvalidParameterException | logs | Correct the parameter that the message names | times are in milliseconds | test the pattern on sample lines | names of log groups contain only | Start with a minimal call
DataAlreadyAcceptedException | logs | why the batch was sent twice | -ignored sequence tokens since 2023 | recognize a batch that it already sent | two writers on one stream | its own ID
InvalidParameterValue | cloudwatch | at most 30 dimensions | Timestamps are in UTC | values are finite numbers | names are ASCII | one minimal metric
AccessDeniedException | bedrock-runtime | Allow the action on the model | have not expired
BadCScoreException | bedrock-runtime | open a Support case
FTUFormNotFilled | bedrock-runtime | use-case form once
IncompleteSignature | bedrock-runtime | Use the SDK's signer | Enter the secret key again | sign requests yourself
InternalFailure | bedrock-runtime
InvalidAction | bedrock-runtime | spelling and letter case of the action | API reference must contain it | Update the SDK or the AWS CLI
InvalidClientTokenId | bedrock-runtime | check the access key, secret key | still exists and is active
AWS Marketplace Agreement Failed within 15 minutes | bedrock-runtime
AWS Marketplace Agreement Pending after 15 minutes | bedrock-runtime | retry every 15 minutes and open a Support case
MPAgreementBeingCreated | bedrock-runtime | 2 to 15 minutes
NotAuthorized | bedrock-runtime | Allow the action on the model | For a role, this is the trust policy | service control policy
RequestExpired | bedrock-runtime | Synchronize the clock with the network | use UTC
ServiceUnavailable | bedrock-runtime | backoff and jitter | another Region | cross-Region inference profile | provisioned throughput | retry | Health Dashboard
ThrottlingException | bedrock-runtime | Compare the quota of this account | backoff and jitter | Provisioned Throughput | account manager or AWS Support
ValidationError | bedrock-runtime | required parameters | allowed ranges and patterns | API reference
ResourceNotFound | bedrock-runtime | Check the ID, name or ARN in the call | as a fallback | aws bedrock list-foundation-models | ListFoundationModels still returns the models that you use
"""
ROWS = [[part.strip() for part in line.split(" | ")] for line in ADVISED.strip().splitlines()]

STATUS = {
    "AccessDeniedException": 403,
    "BadCScoreException": 403,
    "FTUFormNotFilled": 404,
    "IncompleteSignature": 400,
    "InternalFailure": 500,
    "InvalidAction": 400,
    "InvalidClientTokenId": 403,
    "AWS Marketplace Agreement Failed within 15 minutes": 403,
    "AWS Marketplace Agreement Pending after 15 minutes": 403,
    "MPAgreementBeingCreated": 403,
    "NotAuthorized": 400,
    "RequestExpired": 400,
    "ServiceUnavailable": 503,
    "ThrottlingException": 429,
    "ValidationError": 400,
    "ResourceNotFound": 404,
}


def answer(code: str, service: str) -> Explanation:
    (found,) = meanings(code, service_called(service))
    return found


def words(found: Explanation) -> str:
    remedies = [part for remedy in found.remedies for part in remedy]
    return "\n".join([found.decision.value, found.title, found.meaning, *remedies, found.prevent]).lower()


@pytest.mark.parametrize(("code", "service", "advised"), [(row[0], row[1], row[2:]) for row in ROWS])
def test_every_solution_of_the_documents_is_in_the_answer_for_the_code(
    code: str, service: str, advised: list[str]
) -> None:
    found = answer(code, service)
    text = words(found)
    missing = [one for one in advised if one.lower() not in text and one.removeprefix("-") not in found.note]
    assert missing == []


def test_the_documents_have_the_expected_number_of_errors_and_solutions() -> None:
    assert len(ROWS) == 54
    assert sum(len(row) - 2 for row in ROWS[:38]) == 190
    assert sum(len(row) - 2 for row in ROWS[38:]) == 36
    assert sum(part.startswith("-") for row in ROWS for part in row) == 5


@pytest.mark.parametrize(("code", "status"), STATUS.items())
def test_the_explanation_of_a_code_has_its_http_status(code: str, status: int) -> None:
    assert answer(code, "bedrock-runtime").status == status


@pytest.mark.parametrize(("code", "service"), [row[:2] for row in ROWS])
def test_an_explanation_is_short_enough_to_read(code: str, service: str) -> None:
    assert len(answer(code, service).remedies) <= 9
