"""Convert the arguments of boto3's methods into HTTP requests, and answers into boto3's dictionaries.

botocore's service model, validator, serializer and parsers are combined once for each operation. `fast.request` and
`fast.response` are faster paths for common requests and answers.
"""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from difflib import get_close_matches
from functools import cache, lru_cache
from io import BytesIO
from string import Formatter
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from botocore.response import StreamingBody
from botocore.serialize import create_serializer
from botocore.utils import percent_encode, percent_encode_sequence
from botocore.validate import ParamValidator

from aws_bedrock_inference.dialects.unsendable import not_utf8, unsendable
from aws_bedrock_inference.transports.fast.request import never, plain
from aws_bedrock_inference.transports.fast.response import Structure
from aws_bedrock_inference.transports.releases import too_old_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.model import OperationModel

SERVICE = "bedrock-runtime"

# The findings of botocore's validator, by botocore's names.
_FINDINGS = {
    "missing required field": "needs {required_name!r}",
    "invalid range": "must be at least {min_allowed}",
    "invalid length": "must have a length of at least {min_allowed}",
    "more than one input": "may have only one of {members}",
    "empty input": "needs one of {members}",
    "unable to encode to json": "must be a value that JSON can represent",
}

_serializer = create_serializer("rest-json", include_validation=False)
_parser = create_parser("rest-json")
_validator = ParamValidator()
_encode = json.JSONEncoder(default=lambda blob: b64encode(blob).decode()).encode
_label = lru_cache(maxsize=256)(percent_encode)


class Request(NamedTuple):
    """One HTTP request, not yet signed. `target` is the percent-encoded path and query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class MalformedError(ValueError):
    """Raised for an answer that does not match the service model."""


class Operation:
    """One operation of the service `bedrock-runtime`. `stream` is the name of the member of the response that contains
    the event stream. It is None if the operation does not stream.

    `plain(params)` returns whether boto3's `params` are valid and consist only of JSON values and bytes. Such params
    are called plain. This module writes the request for plain params without botocore, at a third of the cost. botocore
    writes the request for all other params. Call `plain` once for each call.
    """

    def __init__(self, service: ServiceModel, model: OperationModel) -> None:
        self.name = model.name
        self._service = service
        self._model = model
        self._input = model.input_shape
        self._places = _places(self._input)
        self._uri: str = model.http["requestUri"]
        self._labels = frozenset(name for _, name, _, _ in Formatter().parse(self._uri) if name)
        self.plain = plain(self._input) if _only_json(model, self._labels) else never
        output: Any = model.output_shape
        self._output = output
        self.stream: str | None = output.event_stream_name
        self._events: Any = output.members[self.stream] if self.stream else None
        # botocore does not convert the numbers in events.
        self._event_reads: dict[Any, Structure] = {
            name: Structure(shape, numbers=False)
            for name, shape in (self._events.members.items() if self._events else ())
            if shape.serialization.get("event")
        }
        # An answer without headers or a stream, such as Converse's, consists only of JSON and can be read faster.
        whole = not any("location" in member.serialization for member in output.members.values())
        self._read = Structure(output) if whole and not self.stream else None

    def validate(self, params: Mapping[str, Any]) -> str | None:
        """Return a sentence about the errors in boto3's `params`, or None if there are none. The sentence contains no
        values from `params`. If the method `plain` returned True for `params`, they are valid, and this method is not
        needed.
        """
        if self._input is None:
            return None
        lost = unsendable(params, self._input) or not_utf8(params)
        if lost is not None:
            return f"{xform_name(self.name)}: {lost}"
        report = _validator.validate(params, self._input)
        if not report.has_errors():
            return None
        # The text of botocore's report contains values, which can be prompts. So only parts of it are used.
        findings = getattr(report, "_errors", None)
        if findings is None:
            return f"{xform_name(self.name)}: the request does not match boto3's service model"
        return f"{xform_name(self.name)}: " + "; ".join(self._sentence(finding) for finding in findings)

    def _sentence(self, finding: tuple[str, str, Mapping[str, Any]]) -> str:
        """Return a sentence about one error that botocore's validator found. The sentence does not contain the invalid
        value, because the value can be part of a prompt.
        """
        reason, place, facts = finding
        where = place.lstrip(".") or "the request"
        if reason == "unknown field":
            unknown = str(facts["unknown_param"])
            known = {name: name for name in facts["valid_names"]} if place else self._places
            near = get_close_matches(_camel(unknown), known, n=1, cutoff=0.8)
            rest = (
                f"did you mean {known[near[0]]!r}?" if near else f"its parameters are {', '.join(facts['valid_names'])}"
            )
            return f"{where} has no parameter {unknown!r}; {too_old_for(self.name, place, unknown) or rest}"
        if "valid_types" in facts:
            wanted = " or ".join(kind.removeprefix("<class '").removesuffix("'>") for kind in facts["valid_types"])
            return f"{where} must be {wanted}, not {type(facts['param']).__name__}"
        members = ", ".join(facts.get("members", ()))
        return f"{where} " + _FINDINGS.get(reason, reason).format_map({**facts, "members": members})

    def request(self, params: Mapping[str, Any], *, plain: bool = False) -> Request:
        """Return the HTTP request for valid `params`.

        If the body is a file, it is read from its current position. The file is then reset to this position, so that
        the call can be sent again.

        With `plain`, the request is written without botocore, which is faster. Pass `plain=True` only if the method
        `plain` returned True for these `params`.
        """
        if plain:
            return self._written(params)
        parts = _serializer.serialize_to_request(params, self._model)
        target = parts["url_path"]
        if parts["query_string"]:
            target += "?" + percent_encode_sequence(parts["query_string"])
        return Request(parts["method"], target, dict(parts["headers"]), _bytes(parts["body"]))

    def _written(self, params: Mapping[str, Any]) -> Request:
        labels = {name: _label(params[name]) for name in self._labels}
        body = _encode({name: value for name, value in params.items() if name not in labels})
        headers = {"Content-Type": "application/json"}
        return Request(self._model.http["method"], self._uri.format_map(labels), headers, body.encode())

    def response(self, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Return boto3's response to a successful call. For a streaming operation, it is the response without the
        stream. Raises `MalformedError`.
        """
        if self._read is not None:
            response = _as_modelled(self._read, read_json(body))
            if not response:
                raise MalformedError("the answer contains none of the fields that this operation returns")
            return {**response, "ResponseMetadata": _metadata(status, headers)}
        content: Any = StreamingBody(BytesIO(body), len(body)) if self._model.has_streaming_output else body
        raw = {"status_code": status, "headers": headers, "body": content, "context": {}}
        try:
            response = _parser.parse(raw, self._output)
        except Exception as error:
            raise MalformedError(
                f"the answer does not match AWS's description of the operation ({type(error).__name__})"
            ) from error
        if self.stream:
            del response[self.stream]
        return {**response, "ResponseMetadata": _metadata(status, headers)}

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Return the dictionary that boto3's `ClientError` contains as `response`.

        The error code comes from the header `x-amzn-errortype`. Without this header, it comes from the body. If the
        body contains no code either, the error code is the HTTP status as text, such as "503".
        """
        raw = {"status_code": status, "headers": headers, "body": body, "context": {}}
        response: dict[str, Any] = {}
        with suppress(Exception):  # if the parser fails, the status is still known
            response = _parser.parse(raw, self._output)
            modelled = self._service.shape_for_error_code(response["Error"]["Code"])
            if modelled is not None:
                response.update(_parser.parse(raw, modelled))
        error = response.get("Error", {})
        code = error.get("Code")
        if not isinstance(code, str):
            code = headers.get("x-amzn-errortype", str(status)).split(":")[0].rpartition("#")[2]
        error = {**error, "Code": code, "Message": worded(error.get("Message"))}
        return {**response, "Error": error, "ResponseMetadata": _metadata(status, headers)}

    def event(self, headers: Mapping[str, Any], payload: bytes) -> dict[str, Any]:
        """Return one event of the stream in boto3's form. Return an empty dictionary if the service model does not
        contain the event. Raises `MalformedError`.
        """
        name: Any = headers.get(":event-type")
        read = self._event_reads.get(name)
        return {} if read is None else {name: _as_modelled(read, read_json(payload) if payload else {})}

    def event_status(self, exception: str) -> int | None:
        """Return the HTTP status of the stream's exception with the name `exception`. Return None if the service model
        states no status for this exception.
        """
        shape = self._events.members.get(exception)
        status: int | None = shape.metadata.get("error", {}).get("httpStatusCode") if shape is not None else None
        return status


@cache
def operation(name: str) -> Operation:
    """Return the operation of boto3's method `name`, such as `converse`.

    Raises `ValueError` for a method that boto3's client does not have.
    """
    names = {xform_name(known): known for known in _service().operation_names}
    if name not in names:
        rest = too_old_for("".join(map(str.title, name.split("_")))) or f"its operations are {', '.join(sorted(names))}"
        raise ValueError(f"{SERVICE} has no operation {name!r}; {rest}")
    return Operation(_service(), _service().operation_model(names[name]))


@cache
def _service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model(SERVICE, "service-2"), service_name=SERVICE)


_decoded = json.JSONDecoder().decode  # as json.loads does, without its checks of the arguments


def read_json(body: bytes) -> Any:
    """Return the value of the JSON in `body`. Raises `MalformedError`, whose text does not quote the body."""
    try:
        return _decoded(body.decode())
    except (ValueError, RecursionError) as error:
        problem = type(error).__name__
    raise MalformedError(f"the answer is not valid JSON ({problem})")


def worded(message: Any) -> str:
    """Return the message of an error. Return an empty string if the message is not text."""
    return message if isinstance(message, str) else ""


def _as_modelled(read: Structure, value: Any) -> dict[str, Any]:
    """Return `value` in boto3's form, without the parts that cannot be read. Raises `MalformedError`, whose text does
    not quote `value`.
    """
    try:
        return read(value)
    except Exception:  # noqa: BLE001, S110 - foreign data may have any form; it is read again below
        pass
    try:
        return read.lenient(value)
    except Exception as error:  # noqa: BLE001 - foreign data
        problem = type(error).__name__
    raise MalformedError(f"the answer does not match AWS's description of the operation ({problem})")


def _metadata(status: int, headers: Mapping[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "HTTPStatusCode": status,
        "HTTPHeaders": {name.lower(): headers[name] for name in headers},
        "RetryAttempts": 0,
    }
    if "x-amzn-requestid" in headers:
        metadata["RequestId"] = headers["x-amzn-requestid"]
    return metadata


def _only_json(model: OperationModel, labels: frozenset[str]) -> bool:
    """Return whether a request of the operation `model` consists only of a path and a JSON body. `labels` are the names
    of the parameters in the path, such as `modelId`.
    """
    shape: Any = model.input_shape
    if shape is None or "payload" in shape.serialization or model.endpoint is not None:
        return False
    members: Mapping[str, Any] = shape.members
    elsewhere = {name for name, member in members.items() if "location" in member.serialization}
    return labels == elsewhere < members.keys()


def _bytes(body: Any) -> bytes:
    if not hasattr(body, "read"):
        return bytes(body)
    start = body.tell() if body.seekable() else None
    content = body.read()
    if start is not None:
        body.seek(start)
    return content.encode() if isinstance(content, str) else bytes(content)


def _places(shape: Any) -> dict[str, str]:
    """Return a dictionary from the name of each member of a request to the path of the member.

    For example, `maxTokens` has the path `inferenceConfig.maxTokens`. The dictionary contains the members of the
    request, and the members of these members, but no deeper ones.
    """
    places: dict[str, str] = {}
    for name, member in shape.members.items() if shape is not None else ():
        for inner in member.members if member.type_name == "structure" else ():
            places.setdefault(inner, f"{name}.{inner}")
    return places | {name: name for name in (shape.members if shape is not None else ())}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))
