"""Convert the results of a batch job into the fates (answered or failed) of the records. A result is used only if the
request of its record has not changed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.answer_lines import answer_line
from aws_bedrock_inference.batch.answers import Answer, batch_answer, error_line
from aws_bedrock_inference.batch.fates import Fate, State, written
from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.clients.reply import reply_of
from aws_bedrock_inference.dialects.usage import stop_reason, usage_of
from aws_bedrock_inference.exceptions import BedrockError
from aws_bedrock_inference.knowledge.classify import answered
from aws_bedrock_inference.knowledge.every_record import hits_every_record, passes_soon

if TYPE_CHECKING:
    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.journal_reads import JournalReads, Question
    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.jobs.values import JobRecord


_NUMBER = re.compile(r"(\d{1,18})-", re.ASCII)


def id_in_job(question: Question) -> str:
    """Return the id that a record has in the batch job. The id contains a digest of the request. If the request
    changes later, the result of the job matches no record.
    """
    return f"{question.number}-{question.asked.hex()}"


def question_of(record_id: str, journal: JournalReads) -> Question | None:
    """Return the record whose id in the batch job is `record_id`. The record is read from the journal.

    Return None if no record has this id. For example, the request of a record changes after the job was created. The
    record then has a new id, because the id contains a digest of the request.
    """
    number = _NUMBER.match(record_id)
    question = journal.question(int(number[1])) if number else None
    return question if question is not None and id_in_job(question) == record_id else None


def is_result(result: JobRecord) -> bool:
    """Return whether the job processed the record. If so, `result` contains an output or an error."""
    return result.output is not None or (result.error is not None and result.error.code != 0)


def fate_of(
    question: Question, result: JobRecord, job: Job, route: Route, at: float
) -> tuple[Fate, Answer | Fault] | None:
    """Return the fate (answered or failed) of a record from its result in the batch job. Also return the answer or the
    fault for the tally (the counts of the run).

    Return None if the record must be sent on demand. There are four such cases:

    * The job ended before it processed the record.
    * The error is transient, or affects every record.
    * The answer is incomplete.
    * The answer does not fit the schema.
    """
    if result.output is None:
        if result.error is None or result.error.code == 0:
            return None
        fault = answered("", result.error.message, status=result.error.code)
        if passes_soon(fault) or hits_every_record(fault):
            return None
        return Fate(question.number, State.FAILED, written(error_line(fault, 1))), fault
    try:
        answer = _answer(question, result.output, route, at)
    except BedrockError:  # the answer cannot be written as JSON
        return None
    if answer is None or (job.schema is not None and job.schema.misfit(answer) is not None):
        return None
    return Fate(question.number, State.ANSWERED, written(answer.line)), answer


def _answer(question: Question, output: Any, route: Route, at: float) -> Answer | None:
    record = question.record
    if not isinstance(output, dict) or not output:
        return None
    if not record.is_prompt:
        return batch_answer(record.source, output, route.model, at)
    if not isinstance(output.get("output"), dict) or not stop_reason(output):
        return None
    reply = reply_of(Outcome(value=output, usage=usage_of(output)), route)
    return Answer(answer_line(record, reply, at), reply.stop_reason)
