"""Describe a role to assume (`AssumedRole`), and create a session that signs with its credentials. The role is assumed
at the first call, not before.
"""

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
    """A role whose permissions are used for calls, often a role in another account.

    * `role_arn`: the ARN of the role.
    * `external_id`: a value that the role's trust policy can require from third parties.
    * `session_name`, default `aws-bedrock-inference`: a name that appears in CloudTrail and in the ARN of the caller.
    * `tags`: session tags.
    * `transitive_tags`: the keys of the tags that remain in effect if this role assumes another role.
    * `duration`, default 3600: the seconds for which credentials are valid. They are renewed before they expire.
    * `region_name`: the Region of STS, and the default Region of the session.
    * `account`: the account id that the role must belong to.
    * `session`: a session of boto3 or botocore, whose credentials assume the role.

    Raises `ValueError` for an invalid option, and if the role does not belong to `account`.
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
        """Return a boto3 session that signs requests with the role's credentials. The role is assumed at the first
        call of the session, not before.
        """
        return session_for(self)

    def __repr__(self) -> str:
        tags = f", tags={sorted(self.tags)}" if self.tags else ""
        return f"AssumedRole({self.role_arn!r}{tags})"

    def _check(self) -> None:
        if self.external_id is not None and not _fits(_EXTERNAL_ID, self.external_id):
            raise ValueError(
                f"external_id={shown(self.external_id)}: pass the value from the owner of the role: 2 to 1224 letters, "
                "digits and +=,.@:/-_ without spaces"
            )
        if not _fits(_SESSION_NAME, self.session_name):
            raise ValueError(
                f"session_name={shown(self.session_name)}: pass 2 to 64 letters, digits and +=,.@-_ without spaces"
            )
        if not is_number(self.duration, least=_SHORTEST, most=_LONGEST, whole=True):
            raise ValueError(f"duration={shown(self.duration)}: pass whole seconds from {_SHORTEST} to {_LONGEST}")
        self._check_tags()

    def _check_tags(self) -> None:
        if len(self.tags) > _MOST_TAGS:
            raise ValueError(
                f"tags: AWS accepts at most {_MOST_TAGS} session tags, but {len(self.tags)} are set; remove some"
            )
        for number, (key, value) in enumerate(self.tags.items(), 1):
            if not _fits(_TAG_KEY, key) or not _fits(_TAG_VALUE, value):
                raise ValueError(
                    f"tags: AWS does not accept the key or the value of tag number {number}. Use 1 to 128 characters "
                    "for the key and at most 256 for the value: letters, digits, spaces and _.:/=+-@"
                )
        if len({key.casefold() for key in self.tags}) < len(self.tags):
            raise ValueError(
                "tags: two keys differ only in upper and lower case, but AWS ignores the case of keys; rename one key"
            )
        if not set(self.transitive_tags) <= set(self.tags):
            raise ValueError("transitive_tags: each item must be a key in `tags`; pass a list such as ['team']")


def session_for(role: AssumedRole, base_session: Any = None, *, wall: Clock = clocks.wall) -> Any:
    """Return a boto3 session that signs requests with the credentials of `role`. Sessions of this process for the same
    role and the same options share one set of credentials.

    The role is assumed with the credentials of `role.session`, or of `base_session` if `role.session` is None. If both
    are None, boto3's default session is used. The session that assumes the role also supplies the other settings, such
    as proxies, endpoints and the profile.

    Raises `ValueError` if neither the role nor the session that assumes the role has a Region.
    """
    from aws_bedrock_inference.accounts.credentials import signing_with  # noqa: PLC0415 - loads botocore

    return signing_with(role, base_session if role.source is None else role.source, wall)


def _account_of(role_arn: Any, expected: Any) -> str:
    found = _ARN.fullmatch(role_arn) if isinstance(role_arn, str) else None
    if found is None:
        raise ValueError(
            f"role_arn={shown(role_arn)}: pass the ARN of a role, such as arn:aws:iam::123456789012:role/NAME. "
            "An ARN with assumed-role/ names a session; a session, a user or root cannot be assumed"
        )
    account = found[1]
    if expected is not None and expected != account:
        given = repr(expected) if isinstance(expected, str) and _ACCOUNT.fullmatch(expected) else shown(expected)
        raise ValueError(
            f"account={given}: {role_arn} belongs to account {account}. Pass a role of the expected account; if this "
            f"role is correct, pass account='{account}'"
        )
    return account


def _fits(pattern: re.Pattern[str], text: Any) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None
