"""Describe the sources from which boto3 reads credentials.

The module knows the usual name of each source, which source overrides another, and when credentials expire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

SOON = 900.0
"""The number of seconds before the expiry of credentials in which boto3 tries to renew them (botocore 1.44.8,
credentials.py).
"""

ENVIRONMENT, SSO = "env", "sso"

BROKEN = (BotoCoreError, ClientError, RuntimeError, ValueError, KeyError, OSError)
"""The errors that a source of credentials can raise: botocore's own errors, errors because a process or file is
missing, and errors because an answer is not JSON (botocore 1.44.8, credentials.py).
"""

# Settings with which a profile provides credentials.
_GIVE = {"aws_access_key_id", "credential_process", "login_session", "role_arn", "sso_session", "sso_start_url"}

# The attribute of botocore's provider that contains the directory of its logins.
_LOGINS = "_SSO_TOKEN_CACHE_DIR"

# botocore's names of credential sources (botocore 1.44.8, credentials.py).
_SOURCES = {
    ENVIRONMENT: "the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    SSO: "Identity Center (SSO)",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the configuration file",
    "assume-role": "a role that the profile assumes",
    "assume-role-with-web-identity": "a role assumed with a web identity token",
    "container-role": "the role of the container",
    "iam-role": "the role of the instance",
    "custom-process": "the profile's credential_process",
    "login": "a login with `aws login`",
    "explicit": "the program itself",
}


def source(credentials: Any) -> str:
    """Return the name of the source of these credentials for a message, such as `the role of the instance`."""
    method = str(getattr(credentials, "method", "") or "")
    return _SOURCES.get(method, method or "a source without a name")


def out_of(core: Any) -> str:
    """If the profile has a `credential_process`, return ` from the credential_process of the profile NAME`, a phrase
    for a message about the credentials.

    Otherwise return an empty text.
    """
    command = "credential_process" in core.get_scoped_config()
    return f" from the credential_process of the profile {core.profile or 'default'}" if command else ""


def end(credentials: Any) -> float | None:
    """Return the time at which credentials expire, in seconds since the epoch. The result is None if boto3 does not
    know this time.
    """
    moment = getattr(credentials, "_expiry_time", None)  # botocore has no public attribute for it
    return None if moment is None else float(moment.timestamp())


def end_of_login(core: Any) -> float | None:
    """Return the time at which the login of Identity Center expires, in seconds since the epoch. The time is read from
    the file in which the AWS CLI stores the login. The result is None if the login is renewed automatically, or if the
    file cannot be read.
    """
    from botocore.credentials import SSOProvider  # noqa: PLC0415 - heavy, and only a login needs it
    from botocore.exceptions import SSOTokenLoadError  # noqa: PLC0415 - the same
    from botocore.utils import JSONFileCache, SSOTokenLoader, parse_timestamp  # noqa: PLC0415 - the same

    profile = core.get_scoped_config()
    name = profile.get("sso_session")
    settings = core.full_config.get("sso_sessions", {}).get(name, profile)
    try:
        folder = JSONFileCache(getattr(SSOProvider, _LOGINS))
        token = SSOTokenLoader(folder)(settings["sso_start_url"], name)
        return None if "refreshToken" in token else float(parse_timestamp(token["expiresAt"]).timestamp())
    except (SSOTokenLoadError, KeyError, ValueError):
        return None


def hides(credentials: Any, core: Any) -> str:
    """If the credentials come from environment variables although a profile provides others, return a sentence for a
    message: the environment variables override the profile. Otherwise return an empty text.
    """
    gives = core.profile or _GIVE & core.full_config["profiles"].get("default", {}).keys()
    if not gives or getattr(credentials, "method", "") != ENVIRONMENT:
        return ""
    return f"They override the profile {core.profile or 'default'}."


def half(environ: Mapping[str, str]) -> str:
    """If a secret key is set without a key id, return a sentence for a message: boto3 ignores such a secret key.
    Otherwise return an empty text.
    """
    if environ.get("AWS_SECRET_ACCESS_KEY") and not environ.get("AWS_ACCESS_KEY_ID"):
        return "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID, so boto3 ignores it."
    return ""


def wrong_pair(credentials: Any) -> str:
    """If an access key and a session token do not belong together, return a sentence for a message. Otherwise return an
    empty text.

    Keys of users begin with AKIA and have no token. Keys of sessions begin with ASIA and need a token:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html, read 2026-11-29.
    """
    frozen = credentials.get_frozen_credentials()
    if frozen.access_key.startswith("ASIA") and not frozen.token:
        return "The key begins with ASIA, and its session token is missing."
    if frozen.access_key.startswith("AKIA") and frozen.token:
        return "The key begins with AKIA, but the session token belongs to other credentials."
    return ""
