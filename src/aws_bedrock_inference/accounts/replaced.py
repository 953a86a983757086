"""Use new access keys that replace the old keys while the program runs, for example in `~/.aws/credentials`.

botocore reads access keys from a file only once. If another program replaces the keys in the file and the old keys
expire, AWS refuses all later calls of the process. Therefore the keys are read again after AWS has refused them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.credentials import Credentials

from aws_bedrock_inference.fault import Category, Decision, Hint
from aws_bedrock_inference.knowledge.catalogue import catalogue

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

# botocore's name for keys that the program itself passed to the session.
_OF_PROGRAM = "explicit"


def is_refusal(fault: Fault) -> bool:
    """Return whether AWS refused the credentials. If so, the call can succeed with other credentials."""
    cause = catalogue().causes.get(fault.cause)
    return cause is not None and cause.scope == "credentials"


def replaced(session: Any, credentials: Any, refused: Any) -> bool:
    """Return True if `credentials` now differ from `refused`, the credentials that AWS refused.

    If they are still equal, botocore searches for access keys again, for example in `~/.aws/credentials`. The function
    writes the keys that botocore finds into `credentials`, so that every client of the botocore `session` uses them.
    The result is True if these keys differ from the refused keys.

    In the following cases, the function does not search, and returns False:

    * The program itself passed the access keys. Such keys have no other source.
    * The credentials are not access keys. Such credentials renew themselves.

    If the file with the access keys is missing for a moment, botocore can find the credentials of the instance or
    container instead. The function ignores these credentials and returns False, because they can belong to another
    account.

    Raises botocore's errors if the source of the keys fails.
    """
    if credentials.get_frozen_credentials() != refused:
        return True
    if session is None or type(credentials) is not Credentials or credentials.method == _OF_PROGRAM:
        return False
    found = session.get_component("credential_provider").load_credentials()
    if type(found) is not Credentials:
        return False
    vars(credentials).update(vars(found))
    return bool(credentials.get_frozen_credentials() != refused)


def with_other_credentials(fault: Fault) -> Fault:
    """Return a copy of `fault` that allows one retry of the call.

    `fault` states that AWS refused the old credentials. Call this function only after new credentials have replaced the
    old ones. The retry then uses the new credentials.
    """
    return replace(fault, decision=Decision.RETRY_LIMITED, category=Category.TRANSIENT, hint=Hint(attempts=2))
