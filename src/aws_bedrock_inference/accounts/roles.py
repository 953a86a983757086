"""A role to be assumed, and the session that signs with it. Making either asks nothing of AWS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.clock import Clock

_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/[!-~]{1,576}")
_ACCOUNT = re.compile(r"[0-9]{12}")

# The limits of AssumeRole, from botocore 1.44.8's model of STS and the User Guide's page on session tags.
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_TAG_KEY = re.compile(r"[\w\s.:/=+@-]{1,128}")
_TAG_VALUE = re.compile(r"[\w\s.:/=+@-]{0,256}")
_MOST_TAGS = 50
_SHORTEST, _LONGEST = 900, 43_200

SESSION_NAME = "aws-bedrock-inference"


class AssumedRole:
    """A role whose permissions calls are made with, most often one of another account.

    `external_id` is what the role's trust policy demands of third parties. `session_name` stands in CloudTrail and in
    the ARN of the caller. `tags` are session tags; those in `transitive_tags` also go on to a role that this one
    assumes. `duration` is how long the credentials of one AssumeRole are valid, in seconds; they are renewed before
    that. `region_name` is the Region of STS, and the session's default Region. `account` is the account that the role
    is expected to belong to. `session`, boto3's or botocore's, has the credentials that assume the role.

    Raises `ValueError` for an option that cannot be right, and for a role of another account than `account`.
    """

    def __init__(
        self,
        role_arn: str,
        *,
        external_id: str | None = None,
        session_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        transitive_tags: Iterable[str] = (),
        duration: int = 3600,
        region_name: str | None = None,
        account: str | None = None,
        session: Any = None,
    ) -> None:
        self.role_arn = role_arn
        self.account = _account_of(role_arn, account)
        self.external_id = external_id
        self.session_name = SESSION_NAME if session_name is None else session_name
        self.tags = dict(tags or {})
        self.transitive_tags = tuple(transitive_tags)
        self.duration = duration
        self.region_name = region_name
        self.source = session
        self._check()

    def session(self) -> Any:
        """Return a session of boto3 that signs with the role. Nothing is asked of AWS before its first call."""
        return session_for(self)

    def __repr__(self) -> str:
        tags = f", tags={sorted(self.tags)}" if self.tags else ""
        return f"AssumedRole({self.role_arn!r}{tags})"

    def _check(self) -> None:
        if self.external_id is not None and not _fits(_EXTERNAL_ID, self.external_id):
            raise ValueError(
                f"external_id={shown(self.external_id)}: give 2 to 1224 letters, digits and +=,.@:/-_ without spaces, "
                "as the owner of the role told you"
            )
        if not _fits(_SESSION_NAME, self.session_name):
            raise ValueError(
                f"session_name={shown(self.session_name)}: give 2 to 64 letters, digits and +=,.@-_ without spaces"
            )
        if not is_number(self.duration, least=_SHORTEST, most=_LONGEST, whole=True):
            raise ValueError(f"duration={shown(self.duration)}: give whole seconds from {_SHORTEST} to {_LONGEST}")
        self._check_tags()

    def _check_tags(self) -> None:
        if len(self.tags) > _MOST_TAGS:
            raise ValueError(f"tags: AWS takes {_MOST_TAGS} session tags, these are {len(self.tags)}")
        for number, (key, value) in enumerate(self.tags.items(), 1):
            if not _fits(_TAG_KEY, key) or not _fits(_TAG_VALUE, value):
                raise ValueError(
                    f"tags: tag {number} is not a key of 1 to 128 and a value of up to 256 letters, digits, spaces and "
                    "_.:/=+-@"
                )
        if len({key.casefold() for key in self.tags}) < len(self.tags):
            raise ValueError("tags: AWS does not tell keys apart that differ only in upper and lower case")
        if not set(self.transitive_tags) <= set(self.tags):
            raise ValueError("transitive_tags: give keys that `tags` has; a single key is a list, too: ['team']")


def session_for(role: AssumedRole, base_session: Any = None, *, wall: Clock = clocks.wall) -> Any:
    """Return a session of boto3 that signs with `role`. Its credentials are shared by all sessions of this process for
    the same role and options.

    The role is assumed with the credentials of the role's own session, else of `base_session`, else of boto3's default
    one; settings such as proxies, endpoints and the profile are that session's, too. Raises `ValueError` where neither
    the role nor that session has a Region.
    """
    from aws_bedrock_inference.accounts.credentials import signing_with  # noqa: PLC0415 - loads botocore

    return signing_with(role, base_session if role.source is None else role.source, wall)


def _account_of(role_arn: Any, expected: Any) -> str:
    found = _ARN.fullmatch(role_arn) if isinstance(role_arn, str) else None
    if found is None:
        raise ValueError(
            f"role_arn={shown(role_arn)}: give the ARN of a role, arn:aws:iam::123456789012:role/NAME. An ARN with "
            "assumed-role in it is that of a session, and one with user or root in it cannot be assumed"
        )
    account = found[1]
    if expected is not None and expected != account:
        given = repr(expected) if isinstance(expected, str) and _ACCOUNT.fullmatch(expected) else shown(expected)
        raise ValueError(
            f"account={given}: {role_arn} belongs to account {account}. Give the role of the account that you expect, "
            "or that account's number as a text of 12 digits"
        )
    return account


def _fits(pattern: re.Pattern[str], text: Any) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None
