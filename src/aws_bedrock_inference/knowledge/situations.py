"""Which steps and commands of a cause fit one text: a step of another situation is left out, a command is changed to
what the text is about, and none is shown that makes or removes what nobody asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.commands import Asked

# The steps of one situation, by how their sentence begins, and what a text has that is about it.
SITUATIONS = {
    "For a Lambda function": r"lambda|/var/task|\[ERROR\]\s{1,3}\d{4}-\d\d-\d\dT\S{8,15}Z\s{1,3}[0-9a-f-]{36}",
    "For Lambda's own": r"lambda",
    "If a service sends or reads": r"alarm|topic|\bsns\b|\bsqs\b|queue|bucket notification|\.amazonaws\.com is not",
    "For an inference profile": r"inference-profile|(?:perform:? ?bedrock:|the )(?:InvokeModel|Converse)",
    "When a role is handed over": r"perform:? ?\S{2,40}:(?:Create|Update|Put|Register|Run|Pass)|PassRole",
    "When creating": r"CreateBucket",
    "If sts.amazonaws.com": r"\bsts\.amazonaws\.com",
    "In Kubernetes": r"kube|\beks\b|webidentityerr|serviceaccount|\bpod\b|\bASG\b|karpenter",
    "In GitHub Actions": r"github|actions/",
}
# A command that makes or removes a thing serves where that operation failed; elsewhere a paste of it would surprise.
_MAKES = re.compile(r"\baws [a-z0-9-]+ ((?:create|delete)-[a-z0-9-]+)")
# CloudTrail keeps the events of services without Regions in one.
_GLOBAL = re.compile(
    r"route ?53(?!resolver)|cloudfront|perform:? ?(?:iam|organizations):|aws_iam_|operation error IAM|Aws::IAM",
    re.IGNORECASE,
)
_OF_A_USER = re.compile(r":user/|\bIAM_USER|\buser with name ")


def of_its_situation(do: str, text: str) -> bool:
    """Return whether a step may concern the text: a code by itself, or a cause, tells no situation."""
    about = next((words for start, words in SITUATIONS.items() if do.startswith(start)), "")
    return not about or " " not in text.strip() or re.search(about, text, re.IGNORECASE) is not None


def fitting(run: str, error: Asked) -> str:
    """Return the command as this error needs it, or nothing where it would make or remove what nobody asked for."""
    made = _MAKES.search(run)
    told = " " in error.text.strip() and "skeleton" not in run
    if made and told and made[1].replace("-", "") != error.operation.lower():
        return ""
    if run.startswith("aws cloudtrail lookup-events") and "--region" not in run and _is_global(error):
        return run.replace("lookup-events", "lookup-events --region us-east-1", 1)
    if "list-attached-role-policies --role-name ROLE" in run and _OF_A_USER.search(error.text):
        return "aws iam list-attached-user-policies --user-name USER"
    return run


def _is_global(error: Asked) -> bool:
    return error.service == "iam" or (not error.service and _GLOBAL.search(error.text) is not None)
