"""Failures of the network, without the secrets that libraries leave in their exceptions.

aiohttp's errors hold the request's headers and the proxy's password, and a traceback holds the variables of its frames.
What goes into a fault is therefore a new exception that says only what helps: the type, the number and the text.
"""

from __future__ import annotations

import errno
import socket
import ssl

from aws_bedrock_inference.background import BackgroundFull


class MalformedAnswer(Exception):
    """An answer that is not HTTP/1.1, or not one answer to one request. The text is ours, and quotes nothing of it."""


class ConnectionClosed(ConnectionError):
    """The connection ended before the answer did."""


class Failed(Exception):
    """A failure whose code is certain where it happens, such as while a connection is made."""

    def __init__(self, code: str, error: Exception) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


_OURS = (MalformedAnswer, ConnectionClosed, BackgroundFull)


def is_late(error: BaseException) -> bool:
    """Return whether our own limit ran out; ETIMEDOUT is a `TimeoutError` too, and means that the peer is gone."""
    return isinstance(error, TimeoutError) and error.errno is None


def peer_vanished(error: BaseException | None) -> bool:
    """Return whether the peer did not acknowledge what was sent: TCP itself gave up."""
    return isinstance(error, OSError) and error.errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


def handshake_code(error: BaseException) -> str:
    """Return the code of a failed TLS handshake: one that the peer broke off may go well the next time."""
    broken_off = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or not isinstance(error, ssl.SSLError)
    return "EndpointConnectionError" if broken_off else "SSLError"


def clean(error: BaseException) -> Exception:
    """Return a new exception that tells what `error` tells, and holds nothing else."""
    root = _root(error)
    if isinstance(root, _OURS) or (type(root) is TimeoutError and root.errno is None):
        return type(root)(*root.args)
    if isinstance(root, ssl.SSLCertVerificationError):
        return ssl.SSLCertVerificationError(root.errno, f"certificate verify failed: {root.verify_message}")
    if isinstance(root, ssl.SSLError):
        return type(root)(root.errno, root.reason or root.strerror or "TLS failed")
    if isinstance(root, socket.gaierror):
        return socket.gaierror(root.errno, root.strerror)
    if isinstance(root, OSError) and root.errno is not None:
        return OSError(root.errno, root.strerror or type(root).__name__)
    return ConnectionError(_name(root))


def _root(error: BaseException) -> BaseException:
    """Return the innermost error that says why: the operating system's, or ours."""
    seen = [error]
    while (under := seen[-1].__cause__ or seen[-1].__context__) is not None and under not in seen:
        seen.append(under)
    for known in reversed(seen):
        if isinstance(known, _OURS) or (isinstance(known, OSError) and known.errno):
            return known
    return error


def _name(error: BaseException) -> str:
    status = getattr(error, "status", None)
    return f"{type(error).__name__}: HTTP {status}" if isinstance(status, int) else type(error).__name__
