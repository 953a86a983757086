"""Batches that succeed in part: what failed is sent again, alone, and the answers become one.

Services answer such a batch with HTTP 200 and a list of what did not work, which no SDK repeats. Here each answer is
taken in, and what is left over is a fault like any other to the policies: the same back-off, budget and deadline
apply. After the last attempt, what still failed stays in the answer as the service reported it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.fault import Decision, Fault
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.classify import classify

if TYPE_CHECKING:
    from aws_bedrock_inference.flow import Flow

Params = dict[str, Any]


class Form(Protocol):
    """How an operation says what failed, and how two of its answers become one."""

    def rest(self, params: Params, answer: Params, service: str) -> tuple[Params, Fault | None]:
        """Return the parameters that send again what time may heal, and the fault behind it; no fault for done."""

    def merge(self, params: Params, whole: Params, part: Params, service: str) -> None:
        """Put the answer to what was sent again into the answer to the whole, in the order of `params`."""


class Remainder(NamedTuple):
    """DynamoDB's: `left` holds the requests that there was no throughput for, ready to be sent again."""

    left: str
    code: str = "ProvisionedThroughputExceededException"

    def rest(self, params: Params, answer: Params, service: str) -> tuple[Params, Fault | None]:
        """Return the remaining requests."""
        left = answer.get(self.left)
        fault = _fault(self.code, f"{self.left} in the answer", service) if left else None
        return {**params, "RequestItems": left}, fault

    def merge(self, params: Params, whole: Params, part: Params, service: str) -> None:  # noqa: ARG002 - as the protocol
        """Join the items of each table, and add up what was consumed."""
        whole[self.left] = part.get(self.left, {})
        for name in ("Responses", "ItemCollectionMetrics"):
            for table, items in part.get(name, {}).items():
                whole.setdefault(name, {}).setdefault(table, []).extend(items)
        if "ConsumedCapacity" in part:
            tables = {used["TableName"]: used for used in whole.get("ConsumedCapacity", ())}
            for used in part["ConsumedCapacity"]:
                tables[used["TableName"]] = _sum(tables.get(used["TableName"], {}), used)
            whole["ConsumedCapacity"] = list(tables.values())


class Positions(NamedTuple):
    """One result for each entry, in its order; those with an `ErrorCode` failed, and `number` says how many."""

    entries: str
    results: str
    number: str

    def rest(self, params: Params, answer: Params, service: str) -> tuple[Params, Fault | None]:
        """Return the failed entries that time may heal."""
        faults = self._faults(answer, service)
        if not faults:
            return params, None
        return {**params, self.entries: [params[self.entries][place] for place in faults]}, _slowest(faults.values())

    def merge(self, params: Params, whole: Params, part: Params, service: str) -> None:  # noqa: ARG002 - as the protocol
        """Put each new result in the place of the old."""
        for place, result in zip(self._faults(whole, service), part[self.results], strict=True):
            whole[self.results][place] = result
        whole[self.number] = sum("ErrorCode" in result for result in whole[self.results])

    def _faults(self, answer: Params, service: str) -> dict[int, Fault]:
        if not answer.get(self.number):
            return {}
        return {
            place: fault
            for place, result in enumerate(answer[self.results])
            if "ErrorCode" in result
            and _heals(fault := _fault(result["ErrorCode"], result.get("ErrorMessage", ""), service))
        }


class Names(NamedTuple):
    """Entries have names, `key`; the answer lists those `done` and those `failed`, with a `Code` for each."""

    entries: tuple[str, ...]
    key: tuple[str, ...]
    done: str
    failed: str

    def rest(self, params: Params, answer: Params, service: str) -> tuple[Params, Fault | None]:
        """Return the failed entries that time may heal."""
        faults = self._faults(answer, service)
        if not faults:
            return params, None
        entries = [entry for entry in self._entries(params) if self._name(entry) in faults]
        outer, *inner = self.entries
        again = {**params, outer: {**params[outer], inner[0]: entries} if inner else entries}
        return again, _slowest(faults.values())

    def merge(self, params: Params, whole: Params, part: Params, service: str) -> None:
        """Move what worked now from one list to the other; both in the order of the entries."""
        again = self._faults(whole, service)
        final = [result for result in whole[self.failed] if self._name(result) not in again]
        order = {self._name(entry): place for place, entry in enumerate(self._entries(params))}
        for name, results in (
            (self.done, [*whole.get(self.done, ()), *part.get(self.done, ())]),
            (self.failed, [*final, *part.get(self.failed, ())]),
        ):
            whole.pop(name, None)
            if results:
                whole[name] = sorted(results, key=lambda result: order.get(self._name(result), len(order)))

    def _faults(self, answer: Params, service: str) -> dict[tuple[Any, ...], Fault]:
        return {
            self._name(result): fault
            for result in answer.get(self.failed, ())
            if _heals(fault := _fault(result.get("Code", ""), result.get("Message", ""), service), result)
        }

    def _entries(self, params: Params) -> list[Params]:
        entries: Any = params
        for name in self.entries:
            entries = entries[name]
        return list(entries)

    def _name(self, entry: Params) -> tuple[Any, ...]:
        return tuple(entry.get(part) for part in self.key)


# What a rejected log event (`rejectedLogEventsInfo`) or record (Timestream) is, it stays: those are not here.
FORMS: dict[tuple[str, str], Form] = {
    ("dynamodb", "BatchWriteItem"): Remainder("UnprocessedItems"),
    ("dynamodb", "BatchGetItem"): Remainder("UnprocessedKeys"),
    ("events", "PutEvents"): Positions("Entries", "Entries", "FailedEntryCount"),
    ("kinesis", "PutRecords"): Positions("Records", "Records", "FailedRecordCount"),
    ("firehose", "PutRecordBatch"): Positions("Records", "RequestResponses", "FailedPutCount"),
    ("sqs", "SendMessageBatch"): Names(("Entries",), ("Id",), "Successful", "Failed"),
    ("sqs", "DeleteMessageBatch"): Names(("Entries",), ("Id",), "Successful", "Failed"),
    ("sqs", "ChangeMessageVisibilityBatch"): Names(("Entries",), ("Id",), "Successful", "Failed"),
    ("sns", "PublishBatch"): Names(("PublishBatchRequestEntries",), ("Id",), "Successful", "Failed"),
    ("s3", "DeleteObjects"): Names(("Delete", "Objects"), ("Key", "VersionId"), "Deleted", "Errors"),
}


class Batch:
    """One batch on its way: what is still to be sent, and in `answer` all that is known so far, None at first."""

    def __init__(self, params: Params, form: Form, service: str) -> None:
        self.answer: Params | None = None
        self._params = params
        self._rest = params
        self._form = form
        self._service = service

    def step(self, call: Call) -> Flow:
        """Send what is left: the innermost step of the pipeline around this batch alone."""
        outcome = yield from send(call._replace(params=self._rest))
        if outcome.fault is not None:
            return outcome
        if self.answer is None:
            self.answer = outcome.value
        else:
            self._form.merge(self._params, self.answer, outcome.value, self._service)
            self.answer["ResponseMetadata"] = outcome.value["ResponseMetadata"]
        self._rest, fault = self._form.rest(self._params, self.answer, self._service)
        return outcome if fault is None and outcome.value is self.answer else Outcome(value=self.answer, fault=fault)


def _fault(code: str, message: str, service: str) -> Fault:
    """Return the fault behind one entry. It says nothing about the service's health: the rest of the batch worked."""
    return replace(classify({"Error": {"Code": code, "Message": message}}, service=service), unhealthy=False)


def _heals(fault: Fault, result: Params | None = None) -> bool:
    """Whether time may heal it; where the service says whose fault it was, that counts."""
    sender = result.get("SenderFault") if result is not None else None
    return not sender if sender is not None else fault.decision is not Decision.FAIL


def _slowest(faults: Any) -> Fault | None:
    """Return the one that wants the longest waits: they are all sent again at once."""
    slowest: Fault | None = max(faults, key=lambda fault: fault.hint.base, default=None)
    if slowest is not None and slowest.decision is Decision.FAIL:
        return replace(slowest, decision=Decision.RETRY_LIMITED, hint=replace(slowest.hint, attempts=2))
    return slowest


def _sum(one: Params, other: Params) -> Params:
    """Add up numbers, also those in tables and indexes within."""
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if isinstance(one[name], dict):
            both[name] = _sum(one[name], other[name])
        elif isinstance(one[name], (int, float)):
            both[name] = one[name] + other[name]
    return both
