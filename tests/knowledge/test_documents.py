"""What AWS's documents advise for each error stands in the answer for the code alone, in our own words."""

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
Runtime.ImportModuleError | lambda | Pack the missing module | spelling of the import and its path | layer | pip install -r requirements.txt -t | made for its runtime version
Runtime.HandlerNotFound | lambda | handler setting and the package agree | file path without extension | at the root | parameters that its runtime passes | Correct the setting
Runtime.ExitError | lambda | a stack trace | Rule out memory | function's timeout | calls that end the process | errors of the system
Runtime.Unknown | lambda | Read the whole log stream | runtime is still supported | compare what changed | trivial handler | Support case
ResourceConflictException | lambda | Wait until the update is through | others who change the function at the same time | Let one deployment at a time | before its change is in force everywhere | growing pauses
ResourceNotFoundException | lambda | Look for it in the region | region and account | not deployed yet | lambda:GetFunction | Name, qualifier
InvalidParameterValueException | lambda | its format | its range | API reference | its data type | values that are known to work
AccessDenied | iam | Allow the caller the IAM | resource's own policy | trust policy | condition that does not hold | simulate-principal-policy
UnauthorizedOperation | iam | Allow the caller the IAM or STS action | the IAM or STS action | ARN patterns | what beats an Allow | explicit Deny
InvalidUserID.NotFound | iam | spelling of name and path | the account in the ARN | in this account | assume a role there by its full ARN | whether it was deleted
SignatureDoesNotMatch | iam | Enter the secret key again | machine's clock | pip install --upgrade boto3 | which source gives the credentials | special character
TokenRefreshRequired | iam | sign in again | when a session ends | renews them by itself | credentials refresh themselves | sessions last longer
ExpiredToken | iam | sign in again | renew before it | a role whose credentials refresh | when a session ends | note that time in long jobs
NoSuchBucket | s3 | Check the name | bucket's Region | List the buckets of the account | of another Region | deleted
NoSuchKey | s3 | Compare the key | letter case | never written | versioned bucket | was deleted
AccessDenied | s3 | the caller's policy for the action | bucket's policy | owner and ACL | another account | SSE-KMS
InvalidBucketName | s3 | lower-case letters, digits, hyphens | a-z, 0-9 and hyphens | shared by all accounts | The bucket name breaks the rules | 3 to 63 characters
BucketAlreadyExists | s3 | Choose another name | a random part | account number | shared by all accounts | your own in another account
ProvisionedThroughputExceededException | dynamodb | Raise capacity | back-off and jitter | auto scaling | change to on-demand | Query by key instead of Scan
ThrottlingException | dynamodb | back-off and jitter | over more partition keys | small batches | Warm the table | in a cache
RequestLimitExceeded | dynamodb | limit the rate | back-off | spread the load over time | batch calls | Watch how many requests
ValidationException | dynamodb | what the message names | attribute's name and data type | key has exactly | sets hold one type | sample item
ConditionalCheckFailedException | dynamodb | condition says what you mean | read the item | write anew or give up | optimistic locking | apply the change again
ItemCollectionSizeLimitExceededException | dynamodb | Choose partition keys | spread it over several keys | archive | add a suffix | the table must be made anew
ResourceNotFoundException | events | name its bus | region or account | There is no such rule | bus of another account | delete
LimitExceededException | events | 300 rules a bus | patterns as narrow | on another bus | Ask for more | Merge rules that look alike
InvalidEventPatternException | events | Patterns are JSON | filters such as prefix | Test it against an event | at most 2,048 characters | test-event-pattern
ManagedRuleException | events | aws events describe-rule | -its targets and logs | -its targets and logs | -failure while the rule ran | -its targets and logs
ValidationException | bedrock-runtime | no text may be empty | within the model's ranges | this Region offers the model | differ between model families | smallest request that should work
ThrottlingException | bedrock-runtime | retry with back-off | spread them over time | a second model | Provisioned Throughput | Monitor the rate of calls
ModelNotReadyException | bedrock-runtime | takes seconds to minutes | status and Region | provisioned throughput is complete | more attempts than the SDK's default | to another model
ModelTimeoutException | bedrock-runtime | shorten the input | Split the work | read timeout | stream | smaller or faster model
ResourceNotFoundException | bedrock-agents | ID of the knowledge base | its Region and account | was created | Check that the caller is allowed to see the resource | not deleted
AccessDeniedException | bedrock-agents | Allow the caller the action on the knowledge base | resource's own policy | Across accounts | service role of the knowledge base | simulate-principal-policy
ResourceNotFoundException | logs | Look for it in the region | look for the stream | at its first run | retention deletes old events | was deleted
InvalidParameterException | logs | Correct what the message names | times are milliseconds | Test a filter pattern | group names have only | Start from a call that works
DataAlreadyAcceptedException | logs | what sends a batch twice | -ignored them since 2023 | safe to repeat | two writers of one stream | an id of its own
InvalidParameterValue | cloudwatch | at most 30 dimensions | timestamps in UTC | values finite numbers | names are ASCII | one sample metric
AccessDeniedException | bedrock-runtime | Allow the action on the model | have not expired
BadCScoreException | bedrock-runtime | open a Support case
FTUFormNotFilled | bedrock-runtime | use-case form once
IncompleteSignature | bedrock-runtime | Use the SDK's signer | Enter the secret key again | hand-made signing
InternalFailure | bedrock-runtime
InvalidAction | bedrock-runtime | spelling and letter case of the action | API reference lists it | Update the SDK or the AWS CLI
InvalidClientTokenId | bedrock-runtime | check key, secret | still exists and is active
AWS Marketplace Agreement Failed within 15 minutes | bedrock-runtime
AWS Marketplace Agreement Pending after 15 minutes | bedrock-runtime | retry every 15 minutes and open a Support case
MPAgreementBeingCreated | bedrock-runtime | 2 to 15 minutes
NotAuthorized | bedrock-runtime | Allow the action on the model | trust policy of the role | service control policy
RequestExpired | bedrock-runtime | Set the clock from the network | Sign in UTC
ServiceUnavailable | bedrock-runtime | back-off and jitter | another Region | cross-Region inference profile | provisioned throughput | retry | Health Dashboard
ThrottlingException | bedrock-runtime | Compare the applied quota | back-off and jitter | Provisioned Throughput | account manager or AWS Support
ValidationError | bedrock-runtime | required parameters | allowed ranges and patterns | API reference
ResourceNotFound | bedrock-runtime | Compare the model's ID | as a fallback | aws bedrock list-foundation-models | compare your list
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


def test_the_documents_have_so_many_errors_and_solutions() -> None:
    assert len(ROWS) == 54
    assert sum(len(row) - 2 for row in ROWS[:38]) == 190
    assert sum(len(row) - 2 for row in ROWS[38:]) == 36
    assert sum(part.startswith("-") for row in ROWS for part in row) == 5


@pytest.mark.parametrize(("code", "status"), STATUS.items())
def test_a_code_tells_its_http_status(code: str, status: int) -> None:
    assert answer(code, "bedrock-runtime").status == status


@pytest.mark.parametrize(("code", "service"), [row[:2] for row in ROWS])
def test_an_answer_stays_short_enough_to_read(code: str, service: str) -> None:
    assert len(answer(code, service).remedies) <= 9
