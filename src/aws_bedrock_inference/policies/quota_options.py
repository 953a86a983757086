"""Check the options of the policy `Quota`, and raise `ValueError` for invalid ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import priority_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.stores import ShareStore


def opened(store: str | ShareStore) -> ShareStore:
    """Return the store of a shared quota. If `store` is a URL, open the store at this URL."""
    if isinstance(store, str):
        from aws_bedrock_inference.stores import open_store  # noqa: PLC0415 - only shared quotas need it

        return open_store(store)
    asked = all(callable(getattr(store, name, None)) for name in ("renew", "leave", "look"))
    if isinstance(store, type) or not asked:
        raise ValueError(
            f"Quota(store=...) is a {type(store).__name__}: pass a URL such as sqlite:///path/shares.db or redis://host"
            ", or a store object such as aws_bedrock_inference.stores.MemoryStore()"
        )
    return store


def checked(shares: Mapping[str | float, float]) -> dict[float, float]:
    """Check the option `shares`: the guaranteed share of the quota for each priority. Return the same dictionary, but
    with the number of each priority as the key, because a key of `shares` can also be a name such as `batch`.
    """
    if not hasattr(shares, "values") or not all(is_number(part, least=0) and part < 1 for part in shares.values()):
        raise ValueError(
            f"Quota(shares={shown(shares)}): pass a dictionary such as {{'batch': 0.2}}. Each value is the part of the "
            "quota that is guaranteed to this priority, at least 0 and below 1"
        )
    return {priority_number(name): share for name, share in shares.items()}
