"""Collect the "evidence" of one error: its codes, services, operation and HTTP status, and which of these facts are
certain. `judge.py` decides the cause from the evidence.

Exceptions, dictionaries and HTTP answers state their facts; `reading.py` reads them. In a text, the function
`completed` searches for the facts. Each source writes them in another form: Python tracebacks, the AWS CLI, the SDKs
for JavaScript, Java, Go and .NET, JSON bodies, XML, logs of Lambda and CloudWatch, and messages of proxies. A "normal"
text is lower case and has single spaces.
"""

from __future__ import annotations

import re
from html import unescape
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.services import places
from aws_bedrock_inference.knowledge.words import clues, normal

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.catalogue import Catalogue

LONGEST = 98_304
"""The maximum number of characters of a text that are read. Of a longer text, only the beginning and the end are
read, because errors are usually there: together this number of characters, two thirds of them from the end.
"""

CODE, OPERATION, SERVICE = "code", "operation", "service"
NOTHING: frozenset[str] = frozenset()

_NAME = re.compile(r"[A-Za-z_$][\w$]*(?:[.:#/][A-Za-z_$][\w$]*){0,12}")
# An HTTP status, and the words before it. The numbers are searched first, because few texts have many numbers.
_STATUS = re.compile(r"[1-5](?<!\d[1-5])\d\d\b")
_SAYS_STATUS = re.compile(
    r"(?:status[ _-]?code|http[ _-]?status(?:[ _-]?code)?|error code|statuscode|httpstatuscode|status)"
    r"[\"' ]{0,3}[:=,]?[\"' ]{0,3}(?:http status code[:=]? ?)?$|\bhttp/?[\d.]* $",
    re.IGNORECASE,
)
_SAYS_REFUSAL = re.compile(
    r"\berror[:'\" ]{1,3}$|\bcode=$|\breturned error: $|\b(?:client|server) error '$|resulted in a `$",
    re.IGNORECASE,
)
_SAYING = ("status", "http", "error", "code=", "resulted in")  # both patterns need one of these words
_CALLS_IT_ERROR = (" Client Error: ", " Server Error: ")  # Python's requests writes one of these after a status
_BEFORE = 60  # characters before a number in which words that mark an HTTP status are searched
_MOST_NUMBERS = 50
_REFUSALS = 400
_OPERATION = re.compile(
    r"when calling the (\w{2,60}) operation|operation error [\w ]{2,40}: (\w{2,60})\b"
    r"|(?<![\d*Xx:]:)\b[a-z0-9-]{2,30}:([A-Z]\w{2,60})\b"  # after an account id, the name is that of a resource
)
# A text without one of these names no operation. Searching for them is much faster than the pattern.
_CALLS, _NAMESPACE = ("when calling the ", "operation error "), re.compile(":[A-Z]")
# The wording of boto3's `ClientError`. If a text contains one error in this form, its code and operation are certain.
_STATED = re.compile(r"error occurred \(([\w.:-]{1,80})\) when calling the (\w{2,60}) operation")
# The forms of an error code in other SDKs and tools: both SDKs for Go, Java, Ruby, PHP, fluent-bit, JSON and XML.
_NAMES_CODES = (
    "api error ",
    "status code: ",
    "Error Code: ",
    ".model.",
    "::Errors::",
    " (client)",
    "error='",
    '"__type"',
    "<Code>",
)
_NAMED = re.compile(
    r"api error ([A-Z][\w.]{2,80}):|Error Code: ([A-Z][\w.]{2,80})[;,)]|responded with error='([A-Z][\w.]{2,80})'"
    r"|\"__type\" ?: ?\"(?:[\w.]{1,80}#)?([A-Z][\w.]{2,80})\""
    r"|\b([A-Z][a-z]+[A-Z][\w.]{2,80}): [^\n]{1,400}\s{1,20}status code: [45]\d\d, request id"
    r"|<(?:Errors>\s*<Error|Type>(?:Sender|Receiver)</Type)>\s*<Code>([A-Z][\w.]{2,80})</Code>"
    r"|services\.\w{2,40}\.model\.(\w{3,80}Exception)\b|Aws::\w{2,40}::Errors::(\w{3,80})|\b([A-Z]\w{3,80}) \(client\)"
)
_LIKE_CODES = re.compile(
    r"\b[A-Z][A-Za-z0-9]{4,60}(?:Exception|Fault)\b|\b[A-Z][A-Za-z0-9]{8,60}(?<!Error)(?:\.[A-Z]\w{2,40})?(?=: )"
)
_MOST_NAMES = 24
# Names of language exceptions that are also codes in AWS's models.
_NO_CODES = frozenset({"InvalidOperationException", "UnsupportedOperationException", "TimeoutException"})
# The prefix that terminals, Terraform, Markdown and docker-compose add to each line, and the places of their line
# breaks.
_PREFIX = re.compile(r"^[ \t]{0,8}(?:[\u2502\u2503|>*#\u2577\u2575]{1,3}|[\w.-]{1,40} {1,8}\|)[ \t]?", re.MULTILINE)
_CUT = re.compile(r"[ \t]*\n[ \t]*")
_MARKS = re.compile(r"[.:#/]")
_SURELY = 100  # a service that has the operation precedes services that the text names
_UNESCAPED = (("\\n", " "), ('\\"', '"'), ("\\u2019", "'"), ("\\'", "'"), ("\\/", "/"))


class Words(NamedTuple):
    """The text of an error, prepared for the search for the catalogue's messages.

    `lower` is the text in lower case with single spaces. `there` is the result of `words.clues` for this text.
    """

    lower: str
    there: set[str]


class Evidence(NamedTuple):
    """The facts of one error.

    * `certain` contains the names of the facts that an exception, a client or the caller stated. All other facts are
      guesses from the text, which the function `completed` adds.
    * `codes` are the possible error codes. If the code is certain, it is the first of them.
    * `services` are the possible services. If they are certain, the error comes from one of them.
    * `status` is the HTTP status.
    * `pasted` is True for a text that may come from a program other than AWS.

    In `codes` and `services`, the most specific entry is first.
    """

    text: str
    codes: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    operation: str = ""
    status: int | None = None
    certain: frozenset[str] = NOTHING
    words: Words | None = None
    pasted: bool = False

    @property
    def stated(self) -> str:
        """The error code if it is certain, otherwise empty. It is certain if the exception or the caller states it, or
        if the text contains only one error.
        """
        return self.codes[0] if CODE in self.certain else ""


def completed(seen: Evidence, *, rejoined: bool = False) -> Evidence:
    """Return the evidence `seen` (the facts of one error) with all further facts that its text shows. This function
    never raises an exception.

    A pasted text can be from a table with narrow columns, which split a word such as `ThrottlingException` into two
    lines. If `rejoined` is True, the function removes all line breaks, so that such words are complete again.
    """
    known = catalogue()
    text, plain = _plain(_sentence(seen), rejoined=rejoined)
    lower = normal(plain)
    words = Words(lower, clues(lower))
    sure, code, operation = _facts(seen, text)
    code = known.code(code) or code
    status = _status(text) if seen.status is None else seen.status
    if code.isdigit():  # botocore's stand-in for the code that an answer lacks
        status, code = int(code), ""
    codes = dict.fromkeys([code] * bool(code) + _codes(text, known))
    certain = sure if code else sure - {CODE}
    operation = operation or _operation(text)
    if SERVICE in seen.certain:
        return Evidence(text, tuple(codes), seen.services, operation, status, certain, words, seen.pasted)
    services, only = _services(words, operation, known)
    if only and OPERATION in certain:
        certain |= {SERVICE}
    return Evidence(text, tuple(codes), services, operation, status, certain, words, seen.pasted)


def _sentence(seen: Evidence) -> str:
    """Return the evidence (the facts of one error) as a text in boto3's wording, as a log would show the error."""
    code = seen.stated
    if not code:
        return seen.text
    if not seen.operation:
        return f"{code}: {seen.text}"
    return f"An error occurred ({code}) when calling the {seen.operation} operation: {seen.text}"


def _facts(seen: Evidence, text: str) -> tuple[frozenset[str], str, str]:
    """Return three values: the names of the facts that are certain, the error code, and the operation.

    If the evidence already states that the code or the operation is certain, the values are from the evidence.
    Otherwise, the text is searched for errors in boto3's wording:
    * One error: its code and its operation are certain.
    * Several different errors: the code and the operation are empty.
    * No error: `_named` searches for other wordings.
    """
    if seen.certain & {CODE, OPERATION}:
        return seen.certain, seen.stated, seen.operation
    stated = set(_STATED.findall(text))
    if not stated:
        return _named(seen, text)
    if len(stated) != 1:
        return seen.certain, "", ""
    ((code, operation),) = stated
    return seen.certain | {CODE, OPERATION}, code, operation


def _named(seen: Evidence, text: str) -> tuple[frozenset[str], str, str]:
    """Search a text for an error code in the wording of an SDK or a service, such as `api error CODE:`.

    Return three values: the names of the facts that are certain, the code, and an empty operation.

    The code is certain if the text contains no other code in such a wording. Only a code that the catalogue does not
    contain is returned, because `_codes` finds the codes of the catalogue. Otherwise the returned code is empty.
    """
    if not any(words in text for words in _NAMES_CODES):
        return seen.certain, "", ""
    named = {group for groups in _NAMED.findall(text) for group in groups if group}
    code = named.pop() if len(named) == 1 else ""
    return (seen.certain | {CODE}, code, "") if code and not catalogue().code(code) else (seen.certain, "", "")


def like_codes(text: str) -> list[str]:
    """Return the names in a text that can be error codes: names such as `XYException`, and words before a colon.

    Names of the SDKs, such as `RequestError`, and of programming languages are omitted.
    """
    names = dict.fromkeys(islice((found.group() for found in _LIKE_CODES.finditer(text)), _MOST_NAMES))
    return [name for name in names if name not in _NO_CODES]


def _plain(text: str, *, rejoined: bool) -> tuple[str, str]:
    """Return the text in two forms: the original, and a plain text.

    Terminals, tables and quotations add characters such as `|` or `>` before each line. The plain text does not contain
    these characters. Escapes of JSON and XML are decoded in it: `&lt;` becomes `<`.

    If the text is very long, its middle is removed from both forms. If `rejoined` is True, the line breaks and the
    characters before the lines are removed from both forms.
    """
    if len(text) > LONGEST:
        text = text[: LONGEST // 3] + "\n" + text[-2 * LONGEST // 3 :]
    plain = _PREFIX.sub("", text)
    if rejoined:
        plain = text = _CUT.sub("", plain)
    if "&" in plain:
        plain = unescape(plain)
    for escaped, character in _UNESCAPED:
        plain = plain.replace(escaped, character)
    return text, plain


def _codes(text: str, known: Catalogue) -> list[str]:
    found = {name: _code(name, known) for name in dict.fromkeys(_NAME.findall(text))}
    return [code for code in found.values() if code]


def _code(name: str, known: Catalogue) -> str:
    """Return the error code in a name with dots or colons, or an empty text if no part of the name is a known code.

    The first of these parts that the catalogue knows is returned:
    * the complete name;
    * the last two parts, as in `Runtime.ExitError`;
    * the last part, as in `botocore.errorfactory.X`;
    * the first part, as in `X:http://...`.
    """
    if name.isalnum():
        return known.code(name)
    pieces = _MARKS.split(name)
    candidates = [name, ".".join(pieces[-2:]), pieces[-1], pieces[0]] if len(pieces) > 1 else [name]
    return next((code for part in candidates if (code := known.code(part))), "")


def _operation(text: str) -> str:
    if not (_NAMESPACE.search(text) or any(words in text for words in _CALLS)):
        return ""
    match = _OPERATION.search(text)
    return next((group for group in match.groups() if group), "") if match else ""


def _status(text: str) -> int | None:
    """Return the first number in the text that is an HTTP status according to the words around it."""
    for found in islice(_STATUS.finditer(text), _MOST_NUMBERS):
        start, number = found.start(), int(found.group())
        before = text[max(0, start - _BEFORE) : start]
        low = before.lower()
        says = any(words in low for words in _SAYING)
        if says and _SAYS_STATUS.search(before):
            return number
        refused = start == 0 or (says and _SAYS_REFUSAL.search(before)) or text.startswith(_CALLS_IT_ERROR, start + 3)
        if number >= _REFUSALS and (refused or (before[-1:] == "(" and text.startswith(") when calling", start + 3))):
            return number
    return None


def _services(words: Words, operation: str, known: Catalogue) -> tuple[tuple[str, ...], bool]:
    """Return the services that the operation and the text name, and whether the operation alone shows the service.

    The most specific service is the first. If the operation alone shows the service, the text is not searched.
    """
    possible, only = places(operation)
    if only:
        return possible, True
    found: dict[str, int] = dict.fromkeys(possible, _SURELY) if len(possible) == 1 else {}
    for service, name in known.named(*words):
        found[service] = max(found.get(service, 0), len(name))
    named = sorted(found, key=lambda service: -found[service])
    return tuple(service for service in named if len(possible) < 2 or service in possible), False  # noqa: PLR2004 - one
