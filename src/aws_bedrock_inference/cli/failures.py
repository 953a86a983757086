"""Convert exceptions into error messages for the terminal, each with its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from aws_bedrock_inference.cli.exit_codes import CANNOT_WORK, FAILED, NEEDS_CORRECTION
from aws_bedrock_inference.exceptions import BedrockError, InvalidRequest
from aws_bedrock_inference.jobs.values import JobFailed
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.every_record import hits_every_record
from aws_bedrock_inference.stores import StoreUnavailable
from aws_bedrock_inference.transports.endpoint import unread_region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.fault import Fault


def explained(error: Exception) -> tuple[str, int]:
    """Return the message for `error`, in one to three lines, and the exit code."""
    if isinstance(error, BedrockError):
        return _call_failed(error)
    code = FAILED
    text = f"{type(error).__name__}: {error}\nThis is a bug. `bedrock --debug ...` shows the traceback."
    if isinstance(error, NoRegionError):
        text, code = (
            "no AWS Region is set. Pass --region, set AWS_DEFAULT_REGION, or set a region in ~/.aws/config."
            + unread_region(),
            CANNOT_WORK,
        )
    elif isinstance(error, ClientError):
        fault = classify(error)
        text, code = "\n".join([str(fault), *next_steps(fault)]), CANNOT_WORK if hits_every_record(fault) else FAILED
    elif isinstance(error, BotoCoreError):
        text, code = "\n".join([str(error), *next_steps(classify(error))]), CANNOT_WORK
    elif isinstance(error, StoreUnavailable):
        text, code = str(error), CANNOT_WORK
    elif isinstance(error, JobFailed):
        text = str(error)
    elif isinstance(error, ValueError) or type(error) is LookupError:  # KeyError and IndexError are bugs
        text, code = str(error), NEEDS_CORRECTION
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    return text, code


def _call_failed(error: BedrockError) -> tuple[str, int]:
    if isinstance(error, InvalidRequest):
        return error.advice, NEEDS_CORRECTION
    attempts = f" ({error.attempts} attempts)" if error.attempts > 1 else ""
    text = "\n".join([f"{error.fault}{attempts}", *next_steps(error.fault)])
    return text, CANNOT_WORK if hits_every_record(error.fault) else FAILED


def next_steps(fault: Fault) -> Iterator[str]:
    """Yield lines about what to do: the first remedy, and the command that prints all remedies of the cause."""
    if fault.advice:
        yield fault.advice
    if fault.cause in catalogue().causes:
        yield f"For all remedies with their commands, run: bedrock explain {fault.cause}"
