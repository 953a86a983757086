"""Which steps and commands of a cause fit one text: a step of another situation is left out, a command is changed to
what the text is about, and none is shown that makes or removes what nobody asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.entries import Remedy
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_bedrock_inference.knowledge.commands import Asked
    from aws_bedrock_inference.knowledge.entries import Step

_MOST = 8
_NAMED = re.compile(r"\{([a-z_]+)\}")
_BREAK = re.compile(r"\s*\n[\s\u2502\u2503|>]*|\s{2,}")

# A command that makes or removes a thing serves where that operation failed; elsewhere a paste of it would surprise.
_MAKES = re.compile(
    r"\baws [a-z0-9-]+ ((?:create|delete)-(?!foundation-model-agreement|open-id-connect-provider)[a-z0-9-]+)"
)
# CloudTrail keeps the events of services without Regions in one.
_GLOBAL = re.compile(
    r"route ?53(?!resolver)|cloudfront|perform:? ?(?:iam|organizations):|aws_iam_|operation error IAM|Aws::IAM",
    re.IGNORECASE,
)
_OF_A_USER = re.compile(r":user/|\bIAM_USER|\buser with name ")


def fitting_remedies(steps: Iterable[Step], text: str) -> Iterator[Remedy]:
    """Yield the remedies of the steps that may concern a text, with what it names for them.

    A step that names something stands in place of the general first one. The steps before that one are for single
    messages: a code by itself, or a cause, does without them.
    """
    flat = _flat(text)
    told, general, instead = " " in flat, False, False
    for remedy, _, when, unless in steps:
        first, general = not when and not general, general or not when
        if not told:
            if general:
                yield remedy
            continue
        found = re.search(when, flat, re.IGNORECASE)
        if not found or (unless and re.search(unless, flat, re.IGNORECASE)):
            continue
        if found.re.groupindex:
            instead = True
            yield Remedy(_named(remedy.do, _names(found, flat)), remedy.run)
        elif not (first and instead):
            yield remedy


def _names(found: re.Match[str], flat: str) -> dict[str, str]:
    """Return what a text names for each group. A group in the plural stands for all that it names so, each once."""
    names = found.groupdict(default="")
    for name in names:
        if name.endswith("s"):
            every = dict.fromkeys(each[name] or "" for each in found.re.finditer(flat))
            names[name] = _listed([each for each in every if each])
    return names


def _listed(values: list[str]) -> str:
    """Return values as a sentence lists them; of many only the first."""
    if len(values) > _MOST:
        return f"{', '.join(values[:_MOST])} and others"
    return " and ".join(filter(None, (", ".join(values[:-1]), *values[-1:])))


def _named(do: str, names: dict[str, str]) -> str:
    """Return a sentence with what a text names in place of the braces."""
    shown = {name: masked(value, accounts=True) if value.isprintable() else "…" for name, value in names.items()}
    return _NAMED.sub(lambda each: shown[each[1]], do)


def _flat(text: str) -> str:
    """Return a text in one line, without the marks that terminals put before each line and the escapes of JSON."""
    return _BREAK.sub(" ", text.replace('\\"', '"').replace("\\n", "\n").strip())


def fitting(run: str, error: Asked) -> str:
    """Return the command as this error needs it, or nothing where it would make or remove what nobody asked for."""
    made = _MAKES.search(run)
    told = " " in error.text.strip() and "skeleton" not in run
    if made and told and made[1].replace("-", "") != error.operation.lower():
        return ""
    if run.startswith("aws cloudtrail lookup-events") and "--region" not in run and _is_global(error):
        return run.replace("lookup-events", "lookup-events --region us-east-1", 1)
    if "list-attached-role-policies --role-name" in run and _OF_A_USER.search(error.text):
        return "aws iam list-attached-user-policies --user-name USER; aws iam list-user-policies --user-name USER"
    return run


def _is_global(error: Asked) -> bool:
    return error.service == "iam" or (not error.service and _GLOBAL.search(error.text) is not None)
