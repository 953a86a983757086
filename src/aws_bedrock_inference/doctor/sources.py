"""The sources of credentials: what people call them, what one hides, and when credentials end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

SOON = 900.0
"""The last seconds of credentials in which they are near their end: boto3 tries to renew them from then on
(botocore 1.44.8, credentials.py)."""

ENVIRONMENT, SSO = "env", "sso"

BROKEN = (BotoCoreError, ClientError, RuntimeError, ValueError, KeyError, OSError)
"""The errors of a source of credentials: beside botocore's own those of a process or file that is not there, and of an
answer that is not JSON (botocore 1.44.8, credentials.py).
"""

# Settings that give a profile credentials.
_GIVE = {"aws_access_key_id", "credential_process", "login_session", "role_arn", "sso_session", "sso_start_url"}

# The attribute of botocore's provider that names the directory of its logins.
_LOGINS = "_SSO_TOKEN_CACHE_DIR"

# botocore's names of where credentials come from (botocore 1.44.8, credentials.py).
_SOURCES = {
    ENVIRONMENT: "the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    SSO: "Identity Center (SSO)",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the configuration file",
    "assume-role": "a role that the profile assumes",
    "assume-role-with-web-identity": "a role that a web identity token opens",
    "container-role": "the role of the container",
    "iam-role": "the role of the instance",
    "custom-process": "the profile's credential_process",
    "login": "a login with `aws login`",
    "explicit": "the program itself",
}


def source(credentials: Any) -> str:
    """Return what people call the source of credentials."""
    method = str(getattr(credentials, "method", "") or "")
    return _SOURCES.get(method, method or "a source without a name")


def out_of(core: Any) -> str:
    """Return words for the command that the profile fetches credentials with; empty if it has none."""
    command = "credential_process" in core.get_scoped_config()
    return f" from the credential_process of the profile {core.profile or 'default'}" if command else ""


def end(credentials: Any) -> float | None:
    """Return when credentials end, in seconds since the epoch; None where boto3 does not know."""
    moment = getattr(credentials, "_expiry_time", None)  # botocore tells it nowhere else
    return None if moment is None else float(moment.timestamp())


def end_of_login(core: Any) -> float | None:
    """Return when the login of Identity Center ends, as its file says; None for one that renews itself."""
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
    """Return a sentence if keys in the environment hide the credentials of a profile."""
    gives = core.profile or _GIVE & core.full_config["profiles"].get("default", {}).keys()
    if not gives or getattr(credentials, "method", "") != ENVIRONMENT:
        return ""
    return f"They hide the profile {core.profile or 'default'}."


def half(environ: Mapping[str, str]) -> str:
    """Return a sentence about a secret key whose key id is missing, which boto3 passes over in silence."""
    if environ.get("AWS_SECRET_ACCESS_KEY") and not environ.get("AWS_ACCESS_KEY_ID"):
        return "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID, so boto3 passes over it."
    return ""


def wrong_pair(credentials: Any) -> str:
    """Return a sentence about a key and a session token that do not belong together; empty if they may.

    Keys of users begin with AKIA and have no token, those of sessions begin with ASIA and need one:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html, read 2026-11-29.
    """
    frozen = credentials.get_frozen_credentials()
    if frozen.access_key.startswith("ASIA") and not frozen.token:
        return "The key begins with ASIA, and its session token is missing."
    if frozen.access_key.startswith("AKIA") and frozen.token:
        return "The key begins with AKIA, and a session token of other credentials is set beside it."
    return ""
