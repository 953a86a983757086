"""Write and read the lines of the output file.

Each line has the same format as the record that it answers. It contains the answer, the model, the time and the token
usage.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import hashed
from aws_bedrock_inference.dialects.openai_answers import completion

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.clients.reply import Reply


def answer_line(record: Record, reply: Reply, at: float) -> dict[str, Any]:
    """Return the output line for the answer `reply` of `invoke`, which arrived at the time `at`."""
    if record.is_openai:
        return _openai_line(record, reply, at)
    return {
        "id": record.source["id"],
        "text": reply.text,
        "stop_reason": reply.stop_reason,
        **made_by(reply.route.model, at),
        "usage": reply.usage.counts(),
        "attempts": reply.attempts,
    }


def made_by(model: str, at: float) -> dict[str, Any]:
    """Return the fields that state which model answered, and the time of the answer."""
    return {"model": model, "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")}


def key_of_answer(line: Any) -> str | None:
    """Return the id of the record whose answer is in a line of the output file. Return None if the line contains no
    answer.
    """
    if not isinstance(line, dict):
        return None
    answers = "text" in line or "modelOutput" in line or ("custom_id" in line and "response" in line)
    key = next((line[name] for name in ("custom_id", "recordId", "id") if name in line), None)
    return str(key) if answers and key is not None else None


def body_of_answer(line: dict[str, Any]) -> Any:
    """Return the body of the model's answer from a line of the output file. The body contains the token usage."""
    if "response" in line:
        return line["response"].get("body") if isinstance(line["response"], dict) else None
    return line.get("modelOutput", line)


def _openai_line(record: Record, reply: Reply, at: float) -> dict[str, Any]:
    """Return an output line in the format of OpenAI's batches, which contains a chat completion."""
    name = hashed(record.key)
    content = reply.output.get("message", {}).get("content") or []
    body = {
        "id": f"chatcmpl-{name}",
        "created": int(at),
        "model": reply.route.model,
        **completion(content, reply.text, reply.stop_reason, reply.usage),
    }
    response = {"status_code": 200, "request_id": reply.request_id or "", "body": body}
    return {"id": f"batch_req_{name}", "custom_id": record.source["custom_id"], "response": response, "error": None}
