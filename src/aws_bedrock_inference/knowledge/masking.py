"""Remove secrets from a text before the text is shown, stored or sent.

Every text that leaves this package passes through `masked`, because services repeat parts of requests, clients quote
headers, and people paste logs. A secret is recognized by its form (`AKIA...`, a JWT, a private key), or by a name
before it, as in `password: VALUE`. A name can have several spellings, such as `SecretAccessKey` and
`aws_secret_access_key`.

The time of the search grows only in proportion to the length of the text. To save time, most search patterns
have hints, which are short words such as `bearer`. Such a pattern is used only if the text contains one of its hints.
The search for all hints takes one nanosecond per byte.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

# A quote in the spellings of JSON, JSON in JSON, HTML, URLs and Python's repr.
_QUOTE = r"(?:\\{0,8}(?:[\"'`]|u002[27])|&quot;|&\#3[49];|&\#x2[27];|%22|%27)"

# The text between a secret's name and its value. The alternatives are, in order: name and value as two members of an
# object; an assignment, an XML element, a call or a table cell; a pair in a list; a quoted value in a sentence; an
# argument of a command.
_TO_VALUE = rf"""(?>
    {_QUOTE}[\s,]{{1,8}}{_QUOTE}?(?:parameter)?value{_QUOTE}?\s{{0,3}}[:=]\s{{0,3}}(?={_QUOTE})
    |{_QUOTE}?(?:\s{{0,20}}(?:[=-]>|:=|[:=|│]|%3[AD])|[>(]|&gt;)\s{{0,20}}\[?(?:[A-Za-z:]{{1,40}}\(|[burf@](?=["']))?
    |{_QUOTE}\s{{0,3}},\s{{0,3}}b?(?={_QUOTE})(?!{_QUOTE}[\w-]{{1,64}}{_QUOTE}\s{{0,3}}[:=])
    |\s{{1,3}}(?:(?:is|was)\s{{1,3}})?(?={_QUOTE})
    |\s{{1,3}}(?=[\w/+=-]{{0,400}}\d)(?=[\w/+=-]{{16}})
)"""

# Words that describe a secret and are not secrets.
_PLAIN_WORD = (
    r"(?!\(?(?:none|null|nil|undefined|true|false|not|is|are|was|has|invalid|missing|expired|required|incorrect|wrong"
    r"|unknown|empty|must|should|cannot|may|the|denied|failed|read|write|user|arn"
    r"|bearer|basic|digest|negotiate|ntlm)(?:[\s\"'.,:;)}\]<\\]|$))"
)

_PLAIN = r"[^\s\"'`,;&|│){}\[\]<>\\%]|%(?!2[267C]|3B|7D)|&(?!\w)"


def _named(names: str, least: int, scheme: str = "") -> str:
    """Return the pattern that finds the value after one of the `names`, such as `password: VALUE`. A value has at least
    `least` characters. `scheme` matches a word, such as `Bearer`, that can precede the value and is not masked.
    """
    return rf"""(?ix)(?P<before>(?:{names}){_TO_VALUE}(?=\S)(?:{scheme}))
        (?:(?P<quote>{_QUOTE})(?:{scheme}){_PLAIN_WORD}(?:(?!(?P=quote))(?:\\.|.)){{{least},16384}}
        |{_PLAIN_WORD}(?:{_PLAIN}){{{least},16384}})"""


_BEHIND_NAME = r"\g<before>\g<quote>***"
_SECRETS = (
    r"secret[\s_.-]?access[\s_.-]?key(?:[\s_.-]?id)?|secret[\s_.-]?key|(?:api|private|signing|account)[\s_.-]?key"
    r"|(?:session|security|access|refresh|id|auth(?:orization)?|bearer|api|private|registration)[\s_.-]?token(?:[_-]bedrock)?"
    r"|client[\s_.-]?secret|web[_-]?identity[_-]?token|passw(?:or)?d|passphrase|(?<![a-z])pwd|[_-]pass"
)
_SCHEME = r"(?!AWS4-)(?:(?:bearer|basic|token|digest|negotiate|ntlm)\s{1,3})?"
_THIRD_PARTIES = (
    *("sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "hf_", "gsk_", "npm_", "pypi-"),
    *("xox", "aiza", "k_live_", "k_test_", "lsv2_", "dckr_pat_"),
)
_USER = r":\\{0,4}/\\{0,4}/[^\s/?#@:\"'<>\[\\]{0,256}:"

_ARGUMENT = r"(?![a-z]{2}(?:-[a-z]+){1,2}-\d)[^\s\"',]{8,}(?=\2(?!\s{0,3}(?::|=>)))"
_POSITIONS = r"(?:A3T|AKIA|ASIA)[A-Z0-9]{12,128}([\"'])\s{0,20},\s{0,20}\2"

# For each mask: the lower-case hints without which it cannot match; the pattern; the replacement.
_MASKS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("private key-----",), r"(-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----)[^-]{1,16384}", r"\1***"),
    # The arguments after a key id in calls of constructors: secret and token, or only the secret.
    (("akia", "asia", "a3t"), rf"({_POSITIONS}){_ARGUMENT}(\2\s{{0,20}},\s{{0,20}}\2){_ARGUMENT}", r"\1***\3***"),
    (("akia", "asia", "a3t"), rf"({_POSITIONS}){_ARGUMENT}", r"\g<1>***"),
    (
        ("akia", "asia", "a3t", "aroa", "aida", "agpa", "anpa", "anva"),
        (
            r"((?:(?<![A-Za-z0-9])|(?<=%[0-9A-F]{2}))(?:A3T|AKIA|ASIA|AROA|AIDA|AGPA|ANPA|ANVA)[A-Z0-9])[A-Z0-9]{12,128}"
            r"(?::[A-Za-z0-9/+]{40}(?![\w/+]))?"
        ),
        r"\1***",
    ),
    (("absk",), r"(?<![A-Za-z0-9])ABSK[A-Za-z0-9+/=_-]{16,}", "ABSK***"),
    (("bedrock-api-key-",), r"(?i)(bedrock-api-key-)[\w+/=.%-]{8,}", r"\1***"),
    (
        (
            "iqojb3jpz2",
            "fwogzxiv",
            "fqogzxiv",
            "fqodyxdz",
            "aqodyxdz",
        ),  # the first bytes of session tokens from STS, in base64
        r"(IQoJb3JpZ2|F[wQ]oGZXIv|[FA]QoDYXdz)(?:[\w+/=-]|%(?:2B|2F|3D)){16,}",
        r"\1***",
    ),
    (("eyj",), r"(?<![A-Za-z0-9+/])(eyJ)[\w-]{12,}(?:\.[\w-]*){0,4}", r"\1***"),
    (("aoaaaaaa", "aoraaaaa"), r"(?<![A-Za-z0-9])(ao[ar]AAAAA)[\w:/+=.-]{16,}", r"\1***"),
    (
        _THIRD_PARTIES,
        (
            r"(?<![A-Za-z0-9])(sk-(?=[\w-]{0,60}\d)|gh[opusr]_|github_pat_|glpat-|hf_|gsk_|npm_|pypi-|xox[a-z]-|AIza"
            r"|[rs]k_(?:live|test)_|lsv2_|dckr_pat_)[\w-]{16,}"
        ),
        r"\1***",
    ),
    (("authorization",), _named("authorization", 4, _SCHEME), _BEHIND_NAME),
    (("cookie",), r"(?i)(cookie2?[\"']?\s{0,3}[:=,]\s{0,3}b?[\"']?)(?=\S)[^\r\n\"'\\]{4,}", r"\1***"),
    (("bearer",), r"(?i)(bearer\s{1,3})(?=[\w.~+/=%-]{0,200}\d)[\w.~+/=%-]{12,}", r"\1***"),
    (("basic",), r"(?i)(basic\s{1,3})[A-Za-z0-9+/]{8,}={1,2}", r"\1***"),
    (("secret", "token", "key", "pass", "pwd"), _named(_SECRETS, 4), _BEHIND_NAME),
    (("secret",), _named("(?<![a-z:])secret", 8), _BEHIND_NAME),
    (
        ("token", "signature", "auth", "sig"),
        _named("(?<![a-z])(?:token|auth|sig)|signature(?:provided)?", 16),
        _BEHIND_NAME,
    ),
    (
        ("secret", "token", "key", "pass"),
        (
            r"(?i)(\s--?(?:(?:[a-z]{1,20}-){0,2}(?:secret-?(?:access-?)?key|password|api-?key)"
            r"|(?:(?:session|access|auth|api|bearer)-?)?token)[ =])(?=[^\s-])[^\s\"']{4,}"
        ),
        r"\1***",
    ),
    (("-u ", "-user"), r"(\s(?:-u|--user|--proxy-user)[ =][\"']?[^\s:\"']{1,64}:)[^\s\"']{4,}", r"\1***"),
    # Passwords in URLs, including unencoded passwords and URLs inside URLs.
    (("@",), rf"({_USER})[^\s/?#\"'<>]{{1,1024}}(?=@)", r"\1***"),
    (("@",), rf"({_USER})(?!\d{{1,5}}(?:[/?#]|$))[^\s\"'<>@]{{1,1024}}(?=@)", r"\1***"),
    (("_proxy",), r"(?i)(_proxy[\"']?\s{0,3}[:=]\s{0,3}[\"']?[^\s/@:\"']{1,64}:)[^\s@\"']{1,256}(?=@)", r"\1***"),
    (("%40",), r"(?i)(%3A%2F%2F[\w.~-]{0,64}%3A)[^\s&\"'@]{1,256}?(?=%40)", r"\1***"),
    # A secret access key by itself: 40 characters of base64 with a digit and letters of both cases, and no path.
    (
        (),
        (
            r"(?<![\w/+=.:-])(?=[A-Za-z0-9/+]{40}(?![\w/+=-]|\.\w))(?=\D{0,39}\d)(?=[^A-Z]{0,39}[A-Z])(?=[^a-z]{0,39}[a-z])"
            r"(?!/?(?:[a-z]+/){2})[A-Za-z0-9/+]{40}"
        ),
        "***",
    ),
)
_pattern = cache(re.compile)
# The names of sessions in ARNs.
_PERSON = re.compile(r"(?<=[/:])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_ACCOUNT = re.compile(r"(?<![\w.-])\d{12}(?![\w.-])")
# Characters that move the cursor, set colours or titles, or change the writing direction: a log must not control the
# terminal.
_UNSEEN = re.compile(
    r"\x1b\[[0-?]{0,64}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def masked(text: str, *, accounts: bool = False) -> str:
    """Return the text with access keys, secrets, tokens, signatures and passwords masked.

    Set `accounts` to True for a text that is shown or passed on. Account ids and the names of people in ARNs are then
    also masked, and control characters that would affect a terminal are removed.
    """
    text = _UNSEEN.sub("", text) if accounts else text  # before the masks: a secret may contain colour codes
    shown = _remembered(text) if len(text) <= _SHORT else _masked(text)
    if not accounts:
        return shown
    shown = _PERSON.sub("***", shown) if "@" in shown and "arn:" in shown else shown
    return _ACCOUNT.sub("************", shown)


def _masked(text: str) -> str:
    low = text.lower()
    for hints, pattern, replacement in _MASKS:
        if not hints or any(hint in low for hint in hints):
            text = _pattern(pattern).sub(replacement, text)
    return text


# During a storm of throttles, the same message repeats.
_remembered = lru_cache(maxsize=512)(_masked)
_SHORT = 1024


def masked_in(value: Any) -> Any:
    """Return boto3's dictionary, or a part of it, with secrets masked. A value is also masked if its key is a name for
    secrets, such as `password`.
    """
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {
            masked(name) if isinstance(name, str) else name: (
                _member(name, part) if isinstance(part, str) else masked_in(part)
            )
            for name, part in value.items()
        }
    return [masked_in(part) for part in value] if isinstance(value, list) else value


def _member(name: str, value: str) -> str:
    return masked(f"{name}: {value}").removeprefix(f"{name}: ")
