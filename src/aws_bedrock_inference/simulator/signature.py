"""Check the caller's identity as the service does: a signature (SigV4) or a bearer token.

Algorithm: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from aws_bedrock_inference.simulator.error_texts import ServiceError, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_bedrock_inference.simulator.settings import Credentials

SKEW = timedelta(minutes=5)
_STAMP = "%Y%m%dT%H%M%SZ"
_FIELDS = re.compile(r"(Credential|SignedHeaders|Signature)=([^\s,]+)")


def region(authorization: str) -> str | None:
    """Return the Region in the credential scope of a signature. Return None if there is no such scope."""
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    return scope[2] if len(scope) == 5 else None  # noqa: PLR2004 - key/date/region/service/aws4_request


def caller(authorization: str) -> str:
    """Return the access key id of the signature. If there is no signature, return `bearer` or `unsigned`."""
    if authorization.startswith("Bearer "):
        return "bearer"
    return authorization.partition("Credential=")[2].partition("/")[0] or "unsigned"


def verify(  # noqa: PLR0917 - the parts of a request, in their order
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, now: float, who: Credentials
) -> None:
    """Check the bearer token or the signature of a request by the accepted credentials `who`. Raises ServiceError if
    the request is refused. `now` is in seconds since the epoch.

    If `who` has no secret key, signatures are not checked, and a request may have no signature.
    """
    authorization = headers.get("authorization", "")
    if authorization.startswith("Bearer "):
        _check_bearer(authorization.removeprefix("Bearer "), who)
    elif who.secret_key:
        _check_token(headers, who)
        _check_signature(method, path, query, headers, body, datetime.fromtimestamp(now, UTC), who)


def _check_bearer(token: str, who: Credentials) -> None:
    if token in who.expired_tokens:
        raise ServiceError("AccessDeniedException", text("access", "bearer"))
    if who.bearer_token and not _same(token, who.bearer_token):
        raise ServiceError("AccessDeniedException", text("access", "bearer-invalid"))
    if who.secret_key and not who.bearer_token:
        raise ServiceError("AccessDeniedException", text("access", "bearer-invalid"))


def _check_token(headers: Mapping[str, str], who: Credentials) -> None:
    if headers.get("x-amz-security-token") in who.expired_tokens:
        raise ServiceError("ExpiredTokenException")


def _check_signature(  # noqa: PLR0917 - as above
    method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, now: datetime, who: Credentials
) -> None:
    authorization = headers.get("authorization", "")
    if not authorization:
        raise ServiceError("MissingAuthenticationTokenException")
    given = dict(_FIELDS.findall(authorization))
    stamp = headers.get("x-amz-date", "")
    if len(given) != 3 or not re.fullmatch(r"\d{8}T\d{6}Z", stamp):  # noqa: PLR2004 - the three fields
        raise ServiceError("IncompleteSignatureException")
    key, _, scope = given["Credential"].partition("/")
    if key != who.access_key:
        raise ServiceError("UnrecognizedClientException")
    _check_clock(stamp, now)
    names = given["SignedHeaders"].split(";")
    payload = headers.get("x-amz-content-sha256", "")
    digest = payload if payload == "UNSIGNED-PAYLOAD" else sha256(body).hexdigest()
    signed = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names)
    for canonical_path in _canonical_paths(path):
        parts = (method, canonical_path, _canonical_query(query), signed, given["SignedHeaders"], digest)
        request = sha256("\n".join(parts).encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{request}"
        if _same(_sign(_signing_key(who.secret_key, scope), to_sign).hex(), given["Signature"]):
            return
    raise ServiceError("InvalidSignatureException")


def _check_clock(stamp: str, now: datetime) -> None:
    try:
        signed = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:  # digits that are not a valid time
        raise ServiceError("IncompleteSignatureException") from None
    for name, limit, skewed in (("late", now - SKEW, signed < now - SKEW), ("early", now + SKEW, signed > now + SKEW)):
        if skewed:
            sentence = text("access", name, signed=stamp, limit=limit.strftime(_STAMP), now=now.strftime(_STAMP))
            raise ServiceError("InvalidSignatureException", sentence)


def _canonical_paths(path: str) -> Iterator[str]:
    """Yield the encoded paths that the client may have signed.

    The server knows only the decoded path. Clients differ in what they encode in the model id: `:` and `/`, only `:`,
    or nothing. The signature is valid if it matches one of the paths.
    """
    head, _, rest = path.removeprefix("/").partition("/")
    model, _, tail = rest.rpartition("/")
    for sent in (quote(model, safe=""), quote(model, safe="/:"), quote(model, safe="/")):
        yield quote(f"/{head}/{sent}/{tail}", safe="/~")


def _canonical_query(query: str) -> str:
    pairs = sorted((quote(k, safe="~"), quote(v, safe="~")) for k, v in parse_qsl(query, keep_blank_values=True))
    return "&".join(f"{key}={value}" for key, value in pairs)


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _sign(key, part)
    return key


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogateescape"), right.encode(errors="surrogateescape"))


def _sign(key: bytes, message: str) -> bytes:
    return hmac.new(key, message.encode(), sha256).digest()
