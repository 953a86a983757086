"""Write the records of a job to a temporary file, in the format of a job: one line of JSON for each record. The number
of records is not limited.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import shown, shown_name
from aws_bedrock_inference.call import NORMAL
from aws_bedrock_inference.clients.request import BadRequestError, Prompt
from aws_bedrock_inference.dialects.request import CONVERSE_MEMBERS, is_converse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CONVERSE, NATIVE = "Converse", "InvokeModel"

_ARGUMENTS = frozenset(Prompt._fields) - {"more", "tier"}
_FORMS = "pass {'prompt': '...'}, {'messages': [...]}, or {'recordId': '...', 'modelInput': {...}}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """The lines of a job: `{"recordId": ..., "modelInput": {...}}`, each with its line end.

    `file` contains the lines and is positioned at its start; the caller closes it. `digest` is the digest of all
    lines. `invocation` is `Converse` or `InvokeModel`. `problem` describes the first record that is known to fail in an
    AWS job. It is empty if no record is known to fail.
    """

    file: IO[bytes]
    records: int
    size: int
    digest: str
    invocation: str
    problem: str = ""


def prepared(
    records: Iterable[Mapping[str, Any]],
    defaults: Mapping[str, Any],
    problem_of: Callable[..., str] = lambda *_, **__: "",
) -> Prepared:
    """Write the records to a temporary file.

    `defaults` are arguments of `invoke`, such as `max_tokens`. They apply to each record with a prompt, unless the
    record sets the same argument. `problem_of(body, invocation=...)` returns a sentence that states why a record would
    fail in a job, or an empty text.

    Raises `ValueError` for an invalid record. The message contains the position of the record.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the owner of the result closes it
    try:
        return _written(file, records, defaults, problem_of)
    except BaseException:
        file.close()
        raise


def _written(
    file: IO[bytes],
    records: Iterable[Mapping[str, Any]],
    defaults: Mapping[str, Any],
    problem_of: Callable[..., str],
) -> Prepared:
    digest, ids, size, form, number, problem = hashlib.sha256(), set[str](), 0, "", -1, ""
    for number, record in enumerate(records):
        try:
            record_id, body = _parts(record, number, defaults)
            line = _line(record_id, body)
        except ValueError as error:
            raise ValueError(f"records[{number}]: {error}") from None
        if record_id in ids:
            raise ValueError(
                f"records[{number}]: an earlier record has the same id. Use a different id in each record, or no ids"
            )
        ids.add(record_id)
        own = CONVERSE if is_converse(body) else NATIVE
        if form and own != form:
            raise ValueError(
                f"records[{number}]: the body is for {own}, but earlier bodies are for {form}. Create a job for each "
                "form"
            )
        form = own
        if not problem and (found := problem_of(body, invocation=form)):
            problem = f"records[{number}]: {found}"
        digest.update(line)
        size += file.write(line)
    if not form:
        raise ValueError("a job needs at least one record")
    file.seek(0)
    return Prepared(file, number + 1, size, digest.hexdigest(), form, problem)


def _parts(record: Any, number: int, defaults: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the id and the body of a record. If a record has no id, its id is created from its number, such as
    `CALL0000001`.
    """
    if not isinstance(record, Mapping):
        raise ValueError(f"{shown(record)} is not a record: {_FORMS}")  # noqa: TRY004 - the same exception as for other problems of a record
    members = dict(record)
    given = [members.pop(name) for name in ("recordId", "id") if name in members]
    record_id = given[0] if given else f"CALL{number + 1:07d}"
    if len(given) > 1 or isinstance(record_id, bool) or not isinstance(record_id, (str, int)) or record_id == "":
        raise ValueError(
            "the id of the record is not valid. Pass `recordId` or `id`, but not both: a text of 1 character or more, "
            "or a whole number"
        )
    if "modelInput" not in members:
        return str(record_id), _request(members, defaults)
    body = members.pop("modelInput")
    if members or not isinstance(body, dict) or not body:
        raise ValueError(f"modelInput must be a dictionary with the body, and recordId the only other field: {_FORMS}")
    if "modelId" in body:
        raise ValueError("modelInput has a modelId, but the client sets the model of the job. Remove the modelId")
    check_no_settings(defaults)
    return str(record_id), body


def check_no_settings(settings: Mapping[str, Any]) -> None:
    """Raise `ValueError` if `settings` is not empty. Settings such as `max_tokens` apply only to prompts, and this
    function is called for records with complete bodies.
    """
    if settings:
        raise ValueError(
            f"{', '.join(settings)} applies only to prompts, not to records with modelInput. Omit it here, and write "
            "it into each modelInput"
        )


def _request(members: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    unknown = members.keys() - _ARGUMENTS - CONVERSE_MEMBERS
    if unknown:
        raise ValueError(f"{shown_name(min(unknown, key=str), _ARGUMENTS)} is not a field of a record: {_FORMS}")
    arguments = {**defaults, **members}
    more = {name: arguments.pop(name) for name in [*arguments] if name not in _ARGUMENTS}
    try:
        return Prompt(**arguments, more=more).params(NORMAL)
    except BadRequestError as error:
        raise ValueError(str(error)) from None


def _line(record_id: str, body: dict[str, Any]) -> bytes:
    record = {"recordId": record_id, "modelInput": body}
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False, default=_plain).encode() + b"\n"
    except UnicodeEncodeError:
        raise ValueError(
            "the record contains half of a character (a lone surrogate). Pass complete characters"
        ) from None
    except (TypeError, RecursionError):
        raise ValueError(
            "the record contains a value that JSON cannot represent. Use texts, numbers, lists, dictionaries and bytes"
        ) from None


def _plain(value: Any) -> str:
    """Return `value` with bytes replaced by their base64 text, as in Bedrock's JSON."""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    raise TypeError


def records_of(
    *,
    prompt: str | None,
    prompts: Iterable[str] | None,
    records: Iterable[Mapping[str, Any]] | None,
    input_s3_uri: str | None,
) -> Iterable[Mapping[str, Any]]:
    """Return the records from the one argument that is set. For `input_s3_uri`, return an empty result, because these
    records are already in S3. Raises `ValueError` unless exactly one argument is set.
    """
    given = {"prompt": prompt, "prompts": prompts, "records": records, "input_s3_uri": input_s3_uri}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise ValueError(f"pass exactly one of {', '.join(given)}, not {' and '.join(names) or 'none'}")
    (name,) = names
    if name in ("prompts", "records") and isinstance(given[name], (str, bytes, Mapping)):
        raise ValueError(f"{name}={shown(given[name])}: pass a list, or another iterable, of {name}")
    if prompt is not None:
        return [{"prompt": prompt}]
    return ({"prompt": each} for each in prompts) if prompts is not None else records or ()
