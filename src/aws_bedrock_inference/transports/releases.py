"""Find the release of boto3 that first supported an operation or a member of a request. Messages to users of an older
boto3 name this release.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

import botocore

_INDEX = re.compile(r"\[\d+\]")

# Groups of operations that accept the same members. `releases.toml` lists each member only under one of them.
_SAME = (
    ("ConverseStream.", "Converse."),
    ("CountTokens.input.converse.", "Converse."),
    ("InvokeModelWithResponseStream.", "InvokeModel."),
)


def too_old_for(operation: str, place: str = "", member: str = "") -> str | None:
    """Return a sentence that names the release of boto3 to install. Return None if no newer release is known to help.

    Without `member`, the function looks up the release that first supported the operation. With `member`, it looks up
    the release that first supported this member of the request. `place` is the position of the structure that contains
    the member, as botocore writes it: `messages[0].content[1]`.
    """
    releases = _releases()
    if not member:
        release = releases["operations"].get(operation)
    else:
        path = ".".join(part for part in (operation, _INDEX.sub("", place).strip("."), member) if part)
        release = releases["members"].get(path)
        for prefix, same in _SAME:
            if release is None and path.startswith(prefix):
                release = releases["members"].get(same + path.removeprefix(prefix))
    if release is None or _number(release) <= _number(botocore.__version__):
        return None
    return f"the installed boto3 {botocore.__version__} is too old for it: pip install 'boto3>={release}'"


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release)[:3])


@cache
def _releases() -> dict[str, dict[str, str]]:
    return tomllib.loads(files(__package__).joinpath("releases.toml").read_text(encoding="utf-8"))
