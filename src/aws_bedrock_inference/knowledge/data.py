"""Read the data files of the package `knowledge`.

`importlib.resources` is not used, because its import takes longer than reading the files.
"""

from __future__ import annotations

from pkgutil import get_data


def text_of_file(name: str) -> str:
    """Return the text of a data file."""
    found = get_data(__package__, name)
    assert found is not None  # noqa: S101 - loaders of packages have get_data
    return found.decode()
