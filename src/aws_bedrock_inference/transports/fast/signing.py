"""Proving who makes a request: AWS Signature Version 4, a bearer token, or nothing.

The signature is botocore's, byte for byte; it is computed here because botocore derives the day's key anew for every
request and walks each header several times, which costs more than all the rest of preparing a call.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from botocore import UNSIGNED
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import (
    NoAuthTokenError,
    NoCredentialsError,
    UnsupportedSignatureVersionError,
)
from botocore.tokens import FrozenAuthToken
from botocore.utils import normalize_url_path

from aws_bedrock_inference.forks import renew_after_fork, renew_lock

if TYPE_CHECKING:
    from aws_bedrock_inference.transports.operations import Request


# botocore's own `_mandatory_refresh_timeout`, in seconds.
_NECESSARY = 600


class Signer(Protocol):
    """Gives a request the headers that prove who makes it. Safe to share between threads."""

    @property
    def source(self) -> Any:
        """The credentials or the token; signers that share it renew it together."""

    def due(self) -> bool:
        """Return whether `identity` would now use the network, to renew credentials that have expired or soon will."""

    def current(self) -> Any:
        """Return the identity that still works while a due renewal goes on, or None when that must be waited for."""

    def identity(self) -> Any:
        """Return who we are. Raises botocore's errors when there is no knowing, such as `NoCredentialsError`."""

    def sign(self, identity: Any, request: Request, host: str, now: float) -> dict[str, str]:
        """Return the headers to add to `request`, which goes to `host` at `now`, seconds since the epoch."""


def signer(session: Any, signature_version: Any, service: str, region: str) -> Signer:
    """Return the signer for what botocore decided. `session` is botocore's.

    Raises botocore's `UnsupportedSignatureVersionError` for a scheme other than `v4`, `bearer` and none.
    """
    if signature_version is UNSIGNED:
        return Unsigned()
    if signature_version == "bearer":
        return Bearer(session.get_auth_token(signing_name=service))
    if signature_version == "v4":
        return SigV4(session.get_credentials(), service, region)
    raise UnsupportedSignatureVersionError(signature_version=signature_version)


class Unsigned:
    """Says nothing about who we are, for `Config(signature_version=UNSIGNED)`."""

    source = None

    def due(self) -> bool:
        """No."""
        return False

    def current(self) -> None:
        """Nobody."""

    def identity(self) -> None:
        """Nobody."""

    def sign(self, identity: None, request: Request, host: str, now: float) -> dict[str, str]:  # noqa: ARG002 - as every signer
        """Nothing."""
        return {}


class Bearer:
    """A bearer token, such as a Bedrock API key."""

    def __init__(self, token: Any) -> None:
        self.source = token
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock of a token that a thread of the parent was renewing."""
        renew_lock(self.source)

    def current(self) -> None:
        """Nobody: botocore does not say how long a token still works."""

    def due(self) -> bool:
        """Return whether the token is of a kind that renews itself."""
        return self.source is not None and not isinstance(self.source, FrozenAuthToken)

    def identity(self) -> str:
        """Return the token. Raises `NoAuthTokenError`."""
        token = self.source
        if token is not None and not isinstance(token, FrozenAuthToken):
            token = token.get_frozen_token()
        if token is None:
            raise NoAuthTokenError
        return str(token.token)

    def sign(self, identity: str, request: Request, host: str, now: float) -> dict[str, str]:  # noqa: ARG002 - as every signer
        """Return the token as `Authorization`."""
        return {"Authorization": f"Bearer {identity}"}


class SigV4:
    """AWS Signature Version 4 with headers; `credentials` are botocore's, which renew themselves."""

    def __init__(self, credentials: Any, service: str, region: str) -> None:
        self.source = credentials
        self._service = service
        self._region = region
        # The derived key, kept for the secret and the day it was derived from.
        self._key: tuple[str, str, bytes] = ("", "", b"")
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock of credentials that a thread of the parent was renewing."""
        renew_lock(self.source)

    def due(self) -> bool:
        """Return whether the credentials are due for renewal."""
        needed = getattr(self.source, "refresh_needed", None)
        return needed is not None and needed()

    def current(self) -> Any:
        """Return the credentials whose renewal is due but not yet necessary: botocore starts 15 minutes early, and
        needs it 10 minutes before they expire.
        """
        credentials = self.source
        if not isinstance(credentials, RefreshableCredentials):
            return None
        if credentials.refresh_needed(getattr(credentials, "_mandatory_refresh_timeout", _NECESSARY)):
            return None
        return getattr(credentials, "_frozen_credentials", None)

    def identity(self) -> Any:
        """Return the credentials as they are now, renewed if need be."""
        if self.source is None:
            raise NoCredentialsError
        return self.source.get_frozen_credentials()

    def sign(self, identity: Any, request: Request, host: str, now: float) -> dict[str, str]:
        """Return `X-Amz-Date`, `Authorization` and, for temporary credentials, `X-Amz-Security-Token`."""
        timestamp = _timestamp(int(now))
        day = timestamp[:8]
        added = {"X-Amz-Date": timestamp}
        if identity.token:
            added["X-Amz-Security-Token"] = identity.token
        lines = {"host": host}
        for name, value in (*request.headers.items(), *added.items()):
            lines[name.lower()] = " ".join(value.split())
        names = sorted(lines)
        signed = ";".join(names)
        path, _, query = request.target.partition("?")
        canonical = "\n".join(
            (
                request.method,
                _canonical_path(path),
                "&".join(sorted(query.split("&"), key=lambda pair: pair.partition("="))),
                *(f"{name}:{lines[name]}" for name in names),
                "",
                signed,
                sha256(request.body).hexdigest(),
            )
        )
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        digest = sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"
        signature = hmac.digest(self._derived(identity.secret_key, day), text.encode(), "sha256").hex()
        added["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={identity.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
        )
        return added

    def _derived(self, secret: str, day: str) -> bytes:
        known_secret, known_day, key = self._key
        if known_day != day or known_secret != secret:
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (secret, day, key)
        return key


@lru_cache(maxsize=2)
def _timestamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")


@lru_cache(maxsize=256)
def _canonical_path(path: str) -> str:
    return quote(normalize_url_path(path), safe="/~")
