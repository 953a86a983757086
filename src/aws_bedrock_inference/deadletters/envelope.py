"""Convert the content of a dead letter into bytes: JSON, compressed if it is large, and encrypted if the program sets
`seal`.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.stores.request import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

Seal: TypeAlias = "tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]"
"""Two functions that receive and return bytes. The first encrypts the stored content, and the second decrypts it."""
Redact: TypeAlias = "Callable[[Any], Any]"
"""A function that receives a request, or the part of an answer that arrived, and returns the part to store."""

# The first byte of the stored content states its format.
_PLAIN, _COMPRESSED = b"0", b"1"
# Content with fewer bytes is not compressed.
_WORTH = 4096


class Envelope:
    """Converts the content of dead letters into bytes and back. `redact` is a function that removes the parts of a
    request that must not be stored. `seal` is a pair of functions: one encrypts the redacted content, and the other
    decrypts it.
    """

    def __init__(self, seal: Seal | None = None, redact: Redact | None = None) -> None:
        given: Any = seal  # the caller may pass any type
        if seal is not None and not (isinstance(given, tuple) and len(given) == 2 and all(map(callable, given))):  # noqa: PLR2004 - a pair
            raise ValueError(f"seal={shown(seal)}: pass two functions, (encrypt, decrypt), from bytes to bytes")
        if redact is not None and not callable(redact):
            raise ValueError(
                f"redact={shown(redact)}: pass a function that receives a request and returns the part to store"
            )
        self._seal = seal
        self._redact = redact

    @property
    def seals(self) -> bool:
        """True if packed content is encrypted."""
        return self._seal is not None

    def redacted(self, value: Any) -> Any:
        """Pass a request or an answer to `redact`, and return the part that may be stored. If no function `redact` is
        set, return `value` unchanged. Raises `StoreUnusable` if `redact` fails.
        """
        if self._redact is None or value is None:
            return value
        try:
            return self._redact(value)
        except Exception as error:  # noqa: BLE001 - the function is the user's
            raise StoreUnusable(
                f"redact raised {type(error).__name__}, so no part of the request was stored. Correct the function "
                "redact"
            ) from None

    def pack(self, plain: Any, *, sealed: bool) -> bytes:
        """Return bytes for a JSON value. Raises `StoreUnusable` if the value cannot be encrypted."""
        text = json.dumps(plain, separators=(",", ":")).encode()
        packed = _PLAIN + text if len(text) < _WORTH else _COMPRESSED + zlib.compress(text)
        return _applied(self._seal[0], packed, "the first function of seal") if sealed and self._seal else packed

    def unpack(self, content: bytes, *, sealed: bool) -> Any:
        """Return the JSON value in `content`, which `pack` returned. Raises `StoreUnusable` if it cannot be read."""
        if not content:
            raise StoreUnusable(
                "the stored content of the dead letter is empty or was deleted. Restore it, or discard the letter"
            )
        if sealed:
            if self._seal is None:
                raise StoreUnusable(
                    "the dead letter is sealed: pass the seal=(encrypt, decrypt) with which it was stored"
                )
            content = _applied(self._seal[1], content, "the second function of seal")
        try:
            text = content[1:] if content[:1] == _PLAIN else zlib.decompress(content[1:])
            return json.loads(text)
        except (ValueError, zlib.error, RecursionError):
            raise StoreUnusable(
                "the content of the dead letter is damaged, or was encrypted with another key. Pass the seal= with "
                "which it was stored"
            ) from None


def _applied(function: Callable[[bytes], bytes], content: bytes, name: str) -> bytes:
    try:
        made: object = function(content)
    except Exception as error:  # noqa: BLE001 - the function is the user's
        raise StoreUnusable(f"{name}=(encrypt, decrypt) raised {type(error).__name__}. Correct this function") from None
    if not isinstance(made, bytes):
        raise StoreUnusable(
            f"{name}=(encrypt, decrypt) returned a {type(made).__name__}, not bytes. Correct this function"
        )
    return made
