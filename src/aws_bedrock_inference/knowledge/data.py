"""The data files of the package `knowledge`. `importlib.resources` would import archives and temporary files to read
them, which takes longer than the reading.
"""

from __future__ import annotations

from pkgutil import get_data


def text_of_file(name: str) -> str:
    """Return the text of a data file."""
    found = get_data(__package__, name)
    assert found is not None  # noqa: S101 - loaders of packages have get_data
    return found.decode()
