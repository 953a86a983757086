"""Select the remedies that fit the text of one error, from all remedies of the error's cause. A "step" is a remedy with
the conditions under which it is shown.

A step whose conditions do not match the text is omitted. Names in braces in a remedy are replaced by values from the
text. A command that creates or deletes something is shown only if the same operation failed. For example,
`aws s3api create-bucket` is shown only after a failed CreateBucket.
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

# A command that creates or deletes something is shown only if this operation failed. Otherwise it could do harm.
_MAKES = re.compile(
    r"\baws [a-z0-9-]+ ((?:create|delete)-(?!foundation-model-agreement|open-id-connect-provider)[a-z0-9-]+)"
)
# CloudTrail stores the events of services without Regions in us-east-1.
_GLOBAL = re.compile(
    r"route ?53(?!resolver)|cloudfront|perform:? ?(?:iam|organizations):|aws_iam_|operation error IAM|Aws::IAM",
    re.IGNORECASE,
)
_OF_A_USER = re.compile(r":user/|\bIAM_USER|\buser with name ")


def fitting_remedies(steps: Iterable[Step], text: str) -> Iterator[Remedy]:
    """Yield the remedies that apply to the text of an error. Names in braces in a remedy are replaced by values from
    the text.

    A step is a remedy with conditions. The general remedy is the first step without the pattern `when`. The steps
    before it are for individual messages: in each of them, `when` matches one message.

    * If such a step matches and its remedy quotes values from the text, the general remedy is omitted. It would be less
      helpful than this step.
    * If `text` is only a code or the name of a cause, it contains no message. The steps before the general remedy are
      then omitted.
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
    """Return the value in a text for each named group of a pattern. If the name of a group ends with `s`, the value is
    a list of the strings that the group matches in the text, each string once.
    """
    names = found.groupdict(default="")
    for name in names:
        if name.endswith("s"):
            every = dict.fromkeys(each[name] or "" for each in found.re.finditer(flat))
            names[name] = _listed([each for each in every if each])
    return names


def _listed(values: list[str]) -> str:
    """Return values as a list in a sentence. If there are many values, the list contains only the first values."""
    if len(values) > _MOST:
        return f"{', '.join(values[:_MOST])} and others"
    return " and ".join(filter(None, (", ".join(values[:-1]), *values[-1:])))


def _named(do: str, names: dict[str, str]) -> str:
    """Return the sentence `do` of a remedy. In it, each name in braces is replaced by the name's value in `names`, with
    secrets masked.
    """
    shown = {name: masked(value, accounts=True) if value.isprintable() else "…" for name, value in names.items()}
    return _NAMED.sub(lambda each: shown[each[1]], do)


def _flat(text: str) -> str:
    """Return a text as one line. Characters such as `|` and `>` at the beginning of its lines are removed. JSON's
    escaped quotes become quotes, and its escaped line breaks become spaces.
    """
    return _BREAK.sub(" ", text.replace('\\"', '"').replace("\\n", "\n").strip())


def fitting(run: str, error: Asked) -> str:
    """Return the command `run` of a remedy, adapted to this error. For example, if IAM returned the error, a CloudTrail
    search gets the option `--region us-east-1`, because CloudTrail stores the events of IAM there.

    A command that creates or deletes something is returned only if the same operation failed. For example,
    `aws s3api create-bucket` is returned only after a failed CreateBucket. Otherwise, the result is empty. But if the
    error text is only a code, it does not show which operation failed. The command is then always returned.
    """
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
