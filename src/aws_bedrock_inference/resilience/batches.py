"""Retries for batches that partly succeed: only the failed entries are sent again, and the answers are merged.

Services answer a partly failed batch with HTTP 200 and a list of the failed entries, which no SDK retries. This module
converts the failed entries of each answer into a fault. The policies then retry the fault with the usual backoff,
budget and deadline. Entries that still fail after the last attempt remain in the answer as the service reported them.
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
    """The form in which an operation reports failed entries, and the way to merge two answers of this operation."""

    def rest(self, params: Params, answer: Params, service: str) -> tuple[Params, Fault | None]:
        """Return the parameters of a request that sends the failed entries of `answer` again, and the fault of these
        entries. Entries that a retry cannot fix are omitted. The fault is None if no entry remains.
        """

    def merge(self, params: Params, combined: Params, partial: Params, service: str) -> None:
        """Merge `partial`, the answer of a retry, into `combined`, the merged answer so far. `params` are the
        parameters of the whole batch. They determine the order of the results.
        """


class Remainder(NamedTuple):
    """The form in which DynamoDB reports the failed entries of a batch. The answer lists the unprocessed requests,
    which can be sent again unchanged. `left` is the name of this list in the answer, and `code` is the code of the
    fault.
    """

    left: str
    code: str = "ProvisionedThroughputExceededException"

    def rest(self, params: Params, answer: Params, service: str) -> tuple[Params, Fault | None]:
        """Return the parameters of a call that sends the unprocessed requests again, and the fault of these requests.
        The fault is None if all requests were processed.
        """
        left = answer.get(self.left)
        fault = _fault(self.code, f"{self.left} in the answer", service) if left else None
        return {**params, "RequestItems": left}, fault

    def merge(self, params: Params, combined: Params, partial: Params, service: str) -> None:  # noqa: ARG002 - as the protocol
        """Merge `partial`, the answer of a retry, into `combined`, the merged answer so far. The returned items of each
        DynamoDB table are joined, and the consumed capacity is added up.
        """
        combined[self.left] = partial.get(self.left, {})
        for name in ("Responses", "ItemCollectionMetrics"):
            for table, items in partial.get(name, {}).items():
                combined.setdefault(name, {}).setdefault(table, []).extend(items)
        if "ConsumedCapacity" in partial:
            tables = {used["TableName"]: used for used in combined.get("ConsumedCapacity", ())}
            for used in partial["ConsumedCapacity"]:
                tables[used["TableName"]] = _sum(tables.get(used["TableName"], {}), used)
            combined["ConsumedCapacity"] = list(tables.values())


class Positions(NamedTuple):
    """The form of an answer that has one result for each entry of the batch, in the order of the entries. A result with
    an `ErrorCode` reports a failed entry. `number` is the name of the answer's member that contains the number of
    failed entries, such as `FailedEntryCount`.
    """

    entries: str
    results: str
    number: str

    def rest(self, params: Params, answer: Params, service: str) -> tuple[Params, Fault | None]:
        """Return the parameters of a request that sends the failed entries of `answer` again, and the fault of these
        entries. Entries that a retry cannot fix are omitted. The fault is None if no entry remains.
        """
        faults = self._faults(answer, service)
        if not faults:
            return params, None
        return {**params, self.entries: [params[self.entries][place] for place in faults]}, _slowest(faults.values())

    def merge(self, params: Params, combined: Params, partial: Params, service: str) -> None:  # noqa: ARG002 - as the protocol
        """Replace each failed result in the combined answer with the result of the retry."""
        for place, result in zip(self._faults(combined, service), partial[self.results], strict=True):
            combined[self.results][place] = result
        combined[self.number] = sum("ErrorCode" in result for result in combined[self.results])

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
    """The form of a batch whose entries have names. `key` contains the members that identify an entry, such as `Key`
    and `VersionId` in S3. In the answer, the member `done` lists the successful entries. The member `failed` lists the
    failed entries, each with a `Code`.
    """

    entries: tuple[str, ...]
    key: tuple[str, ...]
    done: str
    failed: str

    def rest(self, params: Params, answer: Params, service: str) -> tuple[Params, Fault | None]:
        """Return the parameters of a request that sends the failed entries of `answer` again, and the fault of these
        entries. Entries that a retry cannot fix are omitted. The fault is None if no entry remains.
        """
        faults = self._faults(answer, service)
        if not faults:
            return params, None
        entries = [entry for entry in self._entries(params) if self._name(entry) in faults]
        outer, *inner = self.entries
        again = {**params, outer: {**params[outer], inner[0]: entries} if inner else entries}
        return again, _slowest(faults.values())

    def merge(self, params: Params, combined: Params, partial: Params, service: str) -> None:
        """Move the entries that succeeded in the retry from the failed list to the successful list. Both lists remain
        in the order of the entries.
        """
        again = self._faults(combined, service)
        final = [result for result in combined[self.failed] if self._name(result) not in again]
        order = {self._name(entry): place for place, entry in enumerate(self._entries(params))}
        for name, results in (
            (self.done, [*combined.get(self.done, ()), *partial.get(self.done, ())]),
            (self.failed, [*final, *partial.get(self.failed, ())]),
        ):
            combined.pop(name, None)
            if results:
                combined[name] = sorted(results, key=lambda result: order.get(self._name(result), len(order)))

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


# Rejected log events (`rejectedLogEventsInfo`) and rejected Timestream records are permanent, so they are not listed.
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
    """One batch, and the entries that still must be sent. `answer` is the merged answer so far, or None before the
    first answer.
    """

    def __init__(self, params: Params, form: Form, service: str) -> None:
        self.answer: Params | None = None
        self._params = params
        self._rest = params
        self._form = form
        self._service = service

    def step(self, call: Call) -> Flow:
        """Send the remaining entries once. The batch has its own pipeline (its policies), which calls this method for
        each attempt.
        """
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
    """Return the fault of one entry. The fault does not count as a sign of an unhealthy service, because the rest of
    the batch succeeded.
    """
    return replace(classify({"Error": {"Code": code, "Message": message}}, service=service), unhealthy=False)


def _heals(fault: Fault, result: Params | None = None) -> bool:
    """Return True if a retry can fix a failed entry; otherwise return False.

    The service's `result` for this entry can contain `SenderFault`. If `SenderFault` is True, the entry itself is wrong
    and a retry is useless. If `SenderFault` is False, a retry can help. Without `SenderFault`, return True if `fault`
    allows a retry.
    """
    sender = result.get("SenderFault") if result is not None else None
    return not sender if sender is not None else fault.decision is not Decision.FAIL


def _slowest(faults: Any) -> Fault | None:
    """Return the fault with the longest backoff, or None if there are no faults. All failed entries are sent again in
    one request. Therefore this request must wait for the longest backoff that one of its entries requires.

    The code of an entry's fault can forbid a retry, although the service reports with `SenderFault` = False that the
    entry is correct. The entry is then sent again once: return a copy of the fault that allows one retry.
    """
    slowest: Fault | None = max(faults, key=lambda fault: fault.hint.base, default=None)
    if slowest is not None and slowest.decision is Decision.FAIL:
        return replace(slowest, decision=Decision.RETRY_LIMITED, hint=replace(slowest.hint, attempts=2))
    return slowest


def _sum(one: Params, other: Params) -> Params:
    """Return the sum of two reports about the consumed capacity of one DynamoDB table. All numbers are added, including
    the numbers in nested dictionaries, such as the capacity of each index.
    """
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if isinstance(one[name], dict):
            both[name] = _sum(one[name], other[name])
        elif isinstance(one[name], (int, float)):
            both[name] = one[name] + other[name]
    return both
