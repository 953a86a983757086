"""Determine the identity that signs the calls of a client, without a request to the network."""

from __future__ import annotations

import os
import re
from typing import Any
from uuid import uuid4

from botocore.credentials import RefreshableCredentials
from botocore.tokens import FrozenAuthToken

from aws_bedrock_inference.accounts.credentials import RoleCredentials
from aws_bedrock_inference.bounds import hashed

# The settings of a profile that name the role of its credentials.
_ROLE = ("role_arn", "sso_account_id", "sso_role_name")
_OF_AN_INSTANCE = "iam-role"
_ACCOUNT = re.compile(r"(?:arn:[\w-]{1,20}:iam::)?(\d{12})(?::role/| )")


def principal(core: Any, credentials: Any, token_for: str | None) -> str:
    """Return a hash of the identity that signs for botocore's session `core`, or an empty text if nothing is signed.

    Two processes have the same hash only if they use the same role, the same access key or the same token.

    If a bearer token is sent instead of a signature, `token_for` is the service's signing name. botocore finds the
    token by this name. If calls are signed, `token_for` is None.

    The hash depends on what is known without a request to the network:

    * If the name of a role is known, the result is a hash of the role. It stays the same when the role's temporary keys
      are renewed. The name comes from the program (`AssumedRole`), a profile or `AWS_ROLE_ARN`.
    * If only an access key is known, the result is a hash of the access key. The temporary keys of an instance
      therefore have a new hash after each renewal.
    * If a fixed token is sent, such as a Bedrock API key, the result is a hash of the token.
    * If the credentials or the token must first be fetched, the result is a random hash.
    """
    if token_for is not None:
        token = core.get_auth_token(signing_name=token_for)
        return hashed(f"token {token.token}") if isinstance(token, FrozenAuthToken) else hashed(uuid4().hex)
    if credentials is None:
        return ""
    if isinstance(credentials, RoleCredentials):
        return hashed(credentials.principal)
    method = str(getattr(credentials, "method", ""))
    role = _role(core, method)
    if role:
        return hashed(f"{method} {role}")
    # If the credentials renew themselves, reading their property would send a request for new credentials.
    facts = vars(credentials)
    key = facts.get("_access_key") or facts.get("access_key")
    return hashed(f"key {key}") if isinstance(key, str) else hashed(uuid4().hex)


def account_of(core: Any, credentials: Any, token_for: str | None) -> str:
    """Return the account of the credentials, or an empty text if the account is unknown. This function fetches no
    credentials.

    The account comes from the credentials, or from the ARN of their role. A bearer token contains no account, and the
    credentials of an instance may contain none. In these two cases, the function returns the account that the user set
    in `AWS_ACCOUNT_ID` or in the profile.
    """
    if token_for is not None:
        return _stated(core)
    if isinstance(credentials, RefreshableCredentials):  # reading their property would fetch them
        account = vars(credentials).get("_account_id")
    else:
        account = getattr(credentials, "account_id", None)
    if account:
        return str(account)
    method = str(getattr(credentials, "method", ""))
    role = _ACCOUNT.match(_role(core, method))
    if role is not None:
        return role[1]
    return _stated(core) if method == _OF_AN_INSTANCE else ""


def _stated(core: Any) -> str:
    """Return the account that the user sets in `AWS_ACCOUNT_ID` or in the profile, or an empty text.

    This function itself reads `AWS_ACCOUNT_ID`, because botocore reads this variable only together with access keys in
    the environment.
    """
    return os.environ.get("AWS_ACCOUNT_ID") or str(core.get_scoped_config().get("aws_account_id", ""))


def _role(core: Any, method: str) -> str:
    named = core.instance_variables().get("profile")  # with a profile, botocore reads no variables of the environment
    if method == "assume-role-with-web-identity" and named is None and (arn := os.environ.get("AWS_ROLE_ARN")):
        return arn
    if not method.startswith(("assume-role", "sso")):
        return ""
    profile = core.get_scoped_config()
    return " ".join(str(profile.get(name, "")) for name in _ROLE).strip()
