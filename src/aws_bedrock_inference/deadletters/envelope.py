"""The content of a letter as bytes: JSON, compressed where that saves something, sealed where the program asks."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.stores.request import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

Seal: TypeAlias = "tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]"
"""Two functions of bytes: the first encrypts what is kept, the second decrypts it."""
Redact: TypeAlias = "Callable[[Any], Any]"
"""A function that takes a request, or the part of an answer that had arrived, and returns what may be kept of it."""

# The first byte says which it is.
_PLAIN, _COMPRESSED = b"0", b"1"
# Bytes from which compression is worth its time.
_WORTH = 4096


class Envelope:
    """Packs letters: `redact` is asked what of a request may be kept, then `seal` encrypts it."""

    def __init__(self, seal: Seal | None = None, redact: Redact | None = None) -> None:
        given: Any = seal  # whatever it really is
        if seal is not None and not (isinstance(given, tuple) and len(given) == 2 and all(map(callable, given))):  # noqa: PLR2004 - a pair
            raise ValueError(f"seal={shown(seal)}: give two functions of bytes, (encrypt, decrypt)")
        if redact is not None and not callable(redact):
            raise ValueError(f"redact={shown(redact)}: give a function of a request that returns what may be kept")
        self._seal = seal
        self._redact = redact

    @property
    def seals(self) -> bool:
        """True if what is packed is encrypted."""
        return self._seal is not None

    def redacted(self, value: Any) -> Any:
        """Return what may be kept of a request or an answer. Raises `StoreUnusable` if the function fails."""
        if self._redact is None or value is None:
            return value
        try:
            return self._redact(value)
        except Exception as error:  # noqa: BLE001 - the function is the user's
            raise StoreUnusable(f"redact raised {type(error).__name__}, so nothing of the request was kept") from None

    def pack(self, plain: Any, *, sealed: bool) -> bytes:
        """Return the bytes of JSON's types. Raises `StoreUnusable` if they cannot be sealed."""
        text = json.dumps(plain, separators=(",", ":")).encode()
        packed = _PLAIN + text if len(text) < _WORTH else _COMPRESSED + zlib.compress(text)
        return _applied(self._seal[0], packed, "the first function of seal") if sealed and self._seal else packed

    def unpack(self, content: bytes, *, sealed: bool) -> Any:
        """Return what was packed. Raises `StoreUnusable` if it cannot be opened."""
        if not content:
            raise StoreUnusable("its content is no longer there")
        if sealed:
            if self._seal is None:
                raise StoreUnusable("the letter is sealed: give seal=(encrypt, decrypt), as when it was kept")
            content = _applied(self._seal[1], content, "the second function of seal")
        try:
            text = content[1:] if content[:1] == _PLAIN else zlib.decompress(content[1:])
            return json.loads(text)
        except (ValueError, zlib.error, RecursionError):
            raise StoreUnusable("the content of the letter is damaged, or was sealed with another key") from None


def _applied(function: Callable[[bytes], bytes], content: bytes, name: str) -> bytes:
    try:
        made: object = function(content)
    except Exception as error:  # noqa: BLE001 - the function is the user's
        raise StoreUnusable(f"{name}=(encrypt, decrypt) raised {type(error).__name__}") from None
    if not isinstance(made, bytes):
        raise StoreUnusable(f"{name}=(encrypt, decrypt) returned a {type(made).__name__}, not bytes")
    return made
