"""Send one record of a batch job on demand, and return its answer as a line of the job's output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.dialects.media_json import plain_json, with_bytes
from aws_bedrock_inference.exceptions import BedrockError, ClientClosed
from aws_bedrock_inference.knowledge.every_record import hits_every_record, passes_soon
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from aws_bedrock_inference.clients.client import BedrockClient

CONVERSE = "Converse"

_BAD_REQUEST, _NO_STATUS = 400, 500
_LONGEST_MESSAGE = 500

# Seconds before the record is sent again if the fault states no wait. The client has already retried the call.
_AGAIN = 30.0


class JobBroken(Exception):
    """Raised for a fault that affects every record of the job. Its message contains the fault and the remedy."""


class Asked(NamedTuple):
    """The output line of a record, with its answer or its error.

    For a transient error, `again` is the number of seconds after which the record is sent again. Otherwise it is None.
    """

    line: dict[str, Any]
    again: float | None = None


def asked(client: BedrockClient, model: str, record: dict[str, Any], invocation: str) -> Asked:
    """Send one record. Raises `JobBroken` for a fault that affects every record.

    Raises `ClientClosed` if the client was closed during the call.
    """
    again = None
    try:
        return Asked({**record, "modelOutput": _answer(client, model, record["modelInput"], invocation)})
    except ClientClosed:
        raise
    except BedrockError as error:
        if hits_every_record(error.fault):
            raise JobBroken(f"{error.fault}. {error.advice}") from error
        refused = isinstance(error, ValueError)
        again = (error.retry_after or _AGAIN) if passes_soon(error.fault) else None
        code, message = error.fault.status or (_BAD_REQUEST if refused else _NO_STATUS), str(error.fault)
    except Exception as error:  # noqa: BLE001 - every other error belongs to this record and does not end the job
        code, message = _BAD_REQUEST, f"{type(error).__name__}: {masked(str(error)[:_LONGEST_MESSAGE])}"
    return Asked({**record, "error": {"errorCode": code, "errorMessage": message}}, again)


def _answer(client: BedrockClient, model: str, body: dict[str, Any], invocation: str) -> Any:
    if invocation == CONVERSE:
        reply = client.converse(modelId=model, **with_bytes(body))
        return plain_json({name: value for name, value in reply.items() if name != "ResponseMetadata"})
    content = client.invoke_model(modelId=model, body=json.dumps(body))["body"].read()
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
