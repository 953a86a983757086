"""Send one record and determine its fate: it is answered, it has failed, or it is sent again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.batch.answers import error_line, unexpected
from aws_bedrock_inference.batch.fates import Fate, State, written
from aws_bedrock_inference.batch.schema import ATTEMPTS, DoesNotFit
from aws_bedrock_inference.exceptions import BedrockError
from aws_bedrock_inference.knowledge.every_record import hits_every_record, passes_soon
from aws_bedrock_inference.stores import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aws_bedrock_inference.batch.answers import Answer
    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.fault import Fault


async def fate_of(
    number: int, record: Record, ask: Callable[[Record], Awaitable[Answer]], rounds: int, most: int
) -> tuple[Fate, Answer | Fault]:
    """Send the record. Return its fate, and the answer or the fault for the statistics.

    The fate contains one of four states:

    * Answered: the answer has arrived.
    * Delayed: the fault is transient, and the run sends the record again later. `rounds` is the number of delays of
      this record so far, and `most` is the maximum number of delays.
    * Parked: the fault affects every record, such as expired credentials. The run sends the record again when the fault
      has ended.
    * Failed: any other error, or a transient fault after the maximum number of delays.

    Raises `StoreUnavailable` if the store of the shared quota is unavailable. This exception ends the run.
    """
    try:
        answer = await ask(record)
        return Fate(number, State.ANSWERED, written(answer.line)), answer
    except BedrockError as error:
        fault, attempts = error.fault, error.attempts
        if hits_every_record(fault):
            state = State.PARKED
        elif rounds < most and passes_soon(fault):
            state = State.DELAYED
        else:
            state = State.FAILED
    except DoesNotFit as error:
        line = {**error_line(error.fault, ATTEMPTS), "answer": error.answer}
        return Fate(number, State.FAILED, written(line)), error.fault
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - every other error belongs to this record and does not end the run
        fault, attempts, state = unexpected(error), 1, State.FAILED
    return Fate(number, state, written(error_line(fault, attempts)), rounds), fault
