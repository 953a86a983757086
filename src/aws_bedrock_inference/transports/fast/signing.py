"""Add the proof of identity to a request: AWS Signature Version 4, a bearer token, or nothing.

This module computes the signature itself, because signing with botocore would take longer than all other preparation of
a call. botocore derives the day's signing key again for every request, and processes each header several times. The
signature of this module equals botocore's byte for byte.
"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from math import inf
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

from aws_bedrock_inference.accounts.credentials import RoleCredentials
from aws_bedrock_inference.accounts.replaced import replaced
from aws_bedrock_inference.accounts.spans import LAST, PAUSE
from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.forks import renew_after_fork, renew_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.transports.operations import Request


class Signer(Protocol):
    """Creates the headers that prove the identity of the sender. Threads can share it."""

    @property
    def source(self) -> Any:
        """The source of the credentials or of the token. Signers with the same source share one renewal."""

    def due(self) -> bool:
        """Return whether the identity has expired or will expire soon, so that a call must start its renewal."""

    def current(self) -> Any:
        """Return the identity that calls can still use while it is being renewed. Return None if the caller must wait
        for the renewal.
        """

    def renewed(self) -> Any:
        """Renew the identity, which can send requests over the network, and return it. Raises botocore's errors."""

    def identity(self) -> Any:
        """Return the identity. If there is none, raise botocore's error, such as `NoCredentialsError`."""

    def replaced(self, identity: Any) -> bool:
        """Read the credentials or the token again after the service refused `identity`. Return whether the identity has
        changed. The reading can last as long as a renewal. Raises botocore's errors.
        """

    def sign(self, identity: Any, request: Request, host: str, now: float) -> dict[str, str]:
        """Return the headers to add to `request`, which is sent to `host`. `now` is the current time as a Unix
        timestamp.
        """


def signer(session: Any, signature_version: Any, service: str, region: str) -> Signer:
    """Return the signer for the scheme that botocore chose. `session` is a botocore session.

    Raises botocore's `UnsupportedSignatureVersionError` for a scheme other than `v4`, `bearer` and none.
    """
    if signature_version is UNSIGNED:
        return Unsigned()
    if signature_version == "bearer":
        return Bearer(
            session.get_auth_token(signing_name=service), lambda: session.get_auth_token(signing_name=service)
        )
    if signature_version == "v4":
        return SigV4(session.get_credentials(), service, region, session)
    raise UnsupportedSignatureVersionError(signature_version=signature_version)


class Unsigned:
    """Adds no identity, for `Config(signature_version=UNSIGNED)`."""

    source = None

    def due(self) -> bool:
        """Return False, because nothing can be renewed."""
        return False

    def current(self) -> None:
        """Return None, because there is no identity."""

    def renewed(self) -> None:
        """Return None, because there is no identity."""

    def identity(self) -> None:
        """Return None, because there is no identity."""

    def replaced(self, identity: None) -> bool:  # noqa: ARG002 - as in every signer
        """Return False, because there is no identity."""
        return False

    def sign(self, identity: None, request: Request, host: str, now: float) -> dict[str, str]:  # noqa: ARG002 - as in every signer
        """Return an empty dictionary, because no header is added."""
        return {}


class Bearer:
    """Adds a bearer token, such as a Bedrock API key.

    The function `read` is called after the service refused the token, and returns the token that is now configured.
    Without `read`, the client always uses the same token.
    """

    def __init__(self, token: Any, read: Callable[[], Any] | None = None) -> None:
        self.source = token
        self._read = read
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock of the token in a forked child, because a thread of the parent may hold the lock."""
        renew_lock(self.source)

    def current(self) -> None:
        """Return None, so that each call waits while the token is renewed. botocore does not report when the token
        expires. Therefore a call during the renewal cannot know whether the current token is still valid.
        """

    def due(self) -> bool:
        """Return whether the method `identity` can send a request over the network, to renew the token. A fixed token,
        such as a Bedrock API key, is never renewed.
        """
        return self.source is not None and not isinstance(self.source, FrozenAuthToken)

    def renewed(self) -> str:
        """Return the token, which renews itself. Raises `NoAuthTokenError`."""
        return self.identity()

    def identity(self) -> str:
        """Return the token. Raises `NoAuthTokenError`."""
        token = self.source
        if token is not None and not isinstance(token, FrozenAuthToken):
            token = token.get_frozen_token()
        if token is None:
            raise NoAuthTokenError
        return str(token.token)

    def replaced(self, identity: str) -> bool:
        """Read the token again after the service refused the token `identity`. Return whether the token has changed.

        If no token is found, the client continues to send the refused token. If the service refuses this token again,
        the token is read again.
        """
        if self._read is not None and self.identity() == identity:
            self.source = self._read() or self.source
        return self.identity() != identity

    def sign(self, identity: str, request: Request, host: str, now: float) -> dict[str, str]:  # noqa: ARG002 - as in every signer
        """Return the header `Authorization` with the token."""
        return {"Authorization": f"Bearer {identity}"}


class SigV4:
    """AWS Signature Version 4 in headers. `credentials` are credentials of botocore, which renew themselves.

    `session` is the botocore session that found the credentials. If AWS refuses access keys, this session reads them
    again. Without `session`, access keys are never read again.

    botocore starts the renewal 15 minutes before the credentials expire. In the last 10 minutes, botocore itself signs
    nothing if the renewal fails. This class uses the credentials until the last minute, so that a short failure of
    their source ends no call. While the credentials are usable, it starts at most one renewal in 30 s (`clock`),
    because every call would otherwise send a request to a source that fails, or whose sessions are short.
    """

    def __init__(
        self, credentials: Any, service: str, region: str, session: Any = None, *, clock: Clock = monotonic
    ) -> None:
        self.source = credentials
        self._session = session
        self._service = service
        self._region = region
        self._clock = clock
        self._pause = 0.0 if isinstance(credentials, RoleCredentials) else PAUSE  # RoleCredentials pauses by itself
        self._paused_until = -inf
        # The derived key, with the secret and the day from which it was derived.
        self._key: tuple[str, str, bytes] = ("", "", b"")
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Replace the lock of the credentials in a forked child, because a thread of the parent may hold the lock."""
        renew_lock(self.source)

    def due(self) -> bool:
        """Return whether the credentials are due for renewal, and their renewal is not paused."""
        needed = getattr(self.source, "refresh_needed", None)
        return needed is not None and needed() and self._during_pause() is None

    def current(self) -> Any:
        """Return the credentials that calls can use during the renewal. Return None in the last minute before the
        credentials expire: then calls must wait for the renewal.
        """
        credentials = self.source
        if not isinstance(credentials, RefreshableCredentials) or credentials.refresh_needed(LAST):
            return None
        return getattr(credentials, "_frozen_credentials", None)

    def renewed(self) -> Any:
        """Renew the credentials and return them. Raises botocore's errors."""
        self._paused_until = self._clock() + self._pause
        return self.source.get_frozen_credentials()

    def identity(self) -> Any:
        """Return the current credentials. If they are due for renewal, botocore renews them first."""
        if self.source is None:
            raise NoCredentialsError
        return self._during_pause() or self.source.get_frozen_credentials()

    def _during_pause(self) -> Any:
        return self.current() if self._clock() < self._paused_until else None

    def replaced(self, identity: Any) -> bool:
        """Read the credentials again after the service refused `identity`. Return whether they have changed."""
        return replaced(self._session, self.source, identity)

    def sign(self, identity: Any, request: Request, host: str, now: float) -> dict[str, str]:
        """Return the headers `X-Amz-Date`, `Authorization` and, for temporary credentials, `X-Amz-Security-Token`."""
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
