"""Failures of the network, without the secrets that libraries leave in their exceptions.

aiohttp's errors contain the request's headers and the proxy's password. The traceback of an exception contains the
local variables of functions, which can be secret. A fault therefore contains a new exception without these objects.
The new exception keeps the type, the error number (errno) and the text of errors of the operating system, of TLS and of
this package. From any other error, such as an error of aiohttp, it keeps only the name of the type and the HTTP status.
"""

from __future__ import annotations

import errno
import socket
import ssl

from aws_bedrock_inference.background import BackgroundFull


class MalformedAnswer(Exception):
    """An answer that is not HTTP/1.1, or more than one answer to one request. The text of the exception does not quote
    the answer.
    """


class ConnectionClosed(ConnectionError):
    """The connection was closed before the end of the answer."""


class Failed(Exception):
    """A failure of one step of a connection, such as the TLS handshake. `code` is the code of the fault. The code
    depends on the failed step, so the function that runs this step sets the code.
    """

    def __init__(self, code: str, error: Exception) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


_OURS = (MalformedAnswer, ConnectionClosed, BackgroundFull)


def is_late(error: BaseException) -> bool:
    """Return whether `error` means that a time limit of this package expired.

    The operating system's error ETIMEDOUT is also a `TimeoutError`, but the result for ETIMEDOUT is False. ETIMEDOUT
    means that the other end of the connection no longer responds.
    """
    return isinstance(error, TimeoutError) and error.errno is None


def peer_vanished(error: BaseException | None) -> bool:
    """Return whether the operating system closed the connection because the other end did not acknowledge the data."""
    return isinstance(error, OSError) and error.errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH)


def handshake_code(error: BaseException) -> str:
    """Return the code of the fault for a failed TLS handshake.

    * `EndpointConnectionError`: the connection was closed or lost. The next handshake can succeed.
    * `SSLError`: TLS itself failed, for example because of an invalid certificate. The next handshake will probably
      fail, too.
    """
    broken_off = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)) or not isinstance(error, ssl.SSLError)
    return "EndpointConnectionError" if broken_off else "SSLError"


def clean(error: BaseException) -> Exception:
    """Return a new exception that describes `error`, without the objects that `error` holds.

    `error` itself or one of its causes can be an error of the operating system, of TLS or of this package. The result
    then has the type, the error number (errno) and the text of that error. Otherwise the result is a `ConnectionError`.
    Its text contains only the name of the type and the HTTP status, such as "ClientHttpProxyError: HTTP 407".
    """
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
    """Return the innermost cause of `error` that comes from the operating system or from this package. If there is
    none, return `error` itself.
    """
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
