"""Use credentials that were replaced while the program runs, for example in `~/.aws/credentials`.

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
    """Return whether AWS refused the credentials themselves, so that the call can succeed with other credentials."""
    cause = catalogue().causes.get(fault.cause)
    return cause is not None and cause.scope == "credentials"


def read_again(session: Any, credentials: Any) -> None:
    """Read the access keys again, and write the new keys into the object `credentials`, so that every client of the
    botocore `session` uses the new keys.

    Keys that the program passed to the session are not changed, because they cannot be read again. Other classes of
    credentials are not changed, because they renew themselves. Raises botocore's errors if the source of the keys
    fails.
    """
    if type(credentials) is not Credentials or credentials.method == _OF_PROGRAM:
        return
    found = session.get_component("credential_provider").load_credentials()
    if found is None:
        return
    keys = found.get_frozen_credentials()
    credentials.access_key, credentials.secret_key, credentials.token = keys.access_key, keys.secret_key, keys.token


def with_other_credentials(fault: Fault) -> Fault:
    """Return the refusal `fault` as a fault that is retried once, because other credentials are in use now."""
    return replace(fault, decision=Decision.RETRY_LIMITED, category=Category.TRANSIENT, hint=Hint(attempts=2))
