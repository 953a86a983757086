"""The queue of dead letters. It stores, lists and explains failed requests, and sends them again."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.deadletters import TABLE
from aws_bedrock_inference.deadletters.claims import LEASE, retried
from aws_bedrock_inference.deadletters.cursors import cursor_of, place_of, states_of
from aws_bedrock_inference.deadletters.encoding import decoded
from aws_bedrock_inference.deadletters.envelope import Envelope
from aws_bedrock_inference.deadletters.filters import Wanted, wanted
from aws_bedrock_inference.deadletters.letter import STATES, Letter, LetterTooNew, content_of
from aws_bedrock_inference.deadletters.making import letter_of_error, loss_text
from aws_bedrock_inference.deadletters.redrive import Redrive, RedriveReport
from aws_bedrock_inference.deadletters.stats import Stats, counted
from aws_bedrock_inference.deadletters.store import Place, Record, open_letters
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.stores.request import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from aws_bedrock_inference.deadletters.envelope import Redact, Seal
    from aws_bedrock_inference.deadletters.letter import Summary
    from aws_bedrock_inference.deadletters.store import LetterStore

# Letters per page. At most one page of a long queue is in memory.
PAGE = 100


class Summaries(NamedTuple):
    """The summaries of a page of dead letters, and the cursor of the next page. The cursor is None on the last page."""

    summaries: list[Summary]
    cursor: str | None


class Letters(NamedTuple):
    """A page of dead letters, and the cursor of the next page. The cursor is None on the last page."""

    letters: list[Letter]
    cursor: str | None


class DeadLetterQueue:
    """A queue of requests that failed permanently.

    `table_name` is the store: the name of a DynamoDB table, a URL (`sqlite:///path/dead.db`, `dynamodb://TABLE`), a
    `Path` to a file, or a store of `aws_bedrock_inference.deadletters`. The queue stores complete requests.
    `seal=(encrypt, decrypt)` encrypts requests before they leave the process. `redact` is a function that receives a
    request and returns the part of the request to store.

    Raises `ValueError` for an invalid store, and `StoreUnusable` for a file that cannot be used. A DynamoDB table is
    not accessed before the first request to the store, so its errors are raised only then.
    """

    def __init__(
        self,
        table_name: str | Path | LetterStore = TABLE,
        *,
        seal: Seal | None = None,
        redact: Redact | None = None,
    ) -> None:
        self._envelope = Envelope(seal, redact)
        self.store = open_letters(table_name)

    def store_failed_request(
        self,
        request_data: Any,
        error: Any,
        metadata: Mapping[str, Any] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> str | None:
        """Store a failed request, and return the id of its dead letter.

        `error` is the exception or its text. `request_data` contains the complete arguments of the client method,
        including bytes and floats. `metadata` is human-readable information; secrets in `metadata` are masked. `tags`
        are names and values for filters.

        If the store fails, the method acts in one of two ways:

        * If `error` is an exception, or if an `except` block calls this method, the method returns None. It does not
          raise a new exception, because the new exception would hide the exception of the request. The method logs why
          the request was not stored, and adds the reason as a note to the exception of the request.
        * Otherwise, the method raises `StoreUnavailable`.
        """
        failed = error if isinstance(error, BaseException) else sys.exception()
        try:
            letter = letter_of_error(request_data, error, metadata, self.store.now(), tags or {})
            return self.keep(letter).id
        except Exception as trouble:
            if failed is None:
                raise
            why = loss_text(trouble)
            LOGGER.error("a failed request was not stored as a dead letter: %s", why)
            failed.add_note(f"not stored as a dead letter: {why}")
            return None

    def get_failed_requests(self, limit: int = 100, **filters: Any) -> list[Letter]:
        """Return at most `limit` dead letters, the newest first. `filters` are the same as in `page`."""
        return self.page(limit, **filters).letters

    def page(self, limit: int = 100, *, state: str = "dead", after: str | None = None, **filters: Any) -> Letters:
        """Return a page of the dead letters in the state `state`, or in every state if `state` is `all`. In each state,
        the newest letter comes first. To get the next page, pass the returned cursor as `after`.

        `filters` select by `cause` and `model` (`*` matches any text), `region`, `route` (`MODEL in REGION`) and `tag`
        (`name` or `name=value`). `since` and `until` select by the time of the first failure. A time is a `datetime`,
        seconds since the epoch, ISO 8601, or a duration before now (`30m`, `2h`, `7d`). Raises `ValueError` for an
        invalid filter.
        """
        records, cursor = self._records(limit, state, after, wanted(self.store.now, **filters), whole=True)
        return Letters(self._readable(records), cursor)

    def page_of_summaries(
        self, limit: int = 100, *, state: str = "dead", after: str | None = None, **filters: Any
    ) -> Summaries:
        """Return the same page as `page`, but without the content of the dead letters. Nothing is decrypted, because
        summaries are not encrypted.
        """
        records, cursor = self._records(limit, state, after, wanted(self.store.now, **filters), whole=False)
        return Summaries([record.summary for record in records], cursor)

    def letters(self, *, state: str = "dead", **filters: Any) -> Iterator[Letter]:
        """Yield the dead letters in the state `state`, or in every state if `state` is `all`. In each state, the newest
        letter comes first. Only one page of letters is in memory.
        """
        cursor: str | None = None
        while True:
            page = self.page(PAGE, state=state, after=cursor, **filters)
            yield from page.letters
            cursor = page.cursor
            if cursor is None:
                return

    def get(self, request_id: str) -> Letter | None:
        """Return the dead letter with this id, or None."""
        record = self.store.get(request_id)
        return None if record is None else self._letter(record)

    def retry_request(self, request_id: str, client: Any) -> Any:
        """Send the request of a dead letter again, and return the result. The cause of the failure is ignored. A letter
        that was redriven or discarded is sent, too.

        `client` is a `BedrockClient`, or another client with a method for the request, such as `converse`. Raises
        `ValueError` if the letter does not exist or another redrive has claimed it.

        If the client raises an exception, this method raises the same exception. A letter that was `redriven` or
        `discarded` before this call returns to this state. Any other letter becomes `dead`.
        """
        letter = self.get(request_id)
        if letter is None:
            raise ValueError(f"Request {request_id} not found")
        return retried(self, letter, client)

    def redrive(
        self,
        client: Any,
        *,
        limit: int | None = None,
        force: bool = False,
        remedied: str | tuple[str, ...] | list[str] = (),
        dry_run: bool = False,
        wait: bool = False,
        lease: float = LEASE,
        concurrency: int = 8,
        on_answer: Callable[[Letter, Any], object] | None = None,
        **filters: Any,
    ) -> RedriveReport:
        """Send dead letters again, the oldest first. Return a report with the result of each letter.

        At most `limit` letters are sent, and at most `concurrency` at the same time. If `client` is a
        `BedrockClient`, the calls have the priority `batch`, and count against the client's quota. `dry_run` sends
        nothing. `on_answer` is called with each answered letter and its answer, in the thread that sent the letter.
        `filters` are the same as in `page`. The redrive stops after 20 consecutive failures.

        A letter is refused (not sent) if a person must first fix its cause, such as a missing permission. When the
        cause is fixed, pass the name of the cause in `remedied`. A letter is also refused if it failed in a Region
        other than the client's Region, or if its request was redacted. `force=True` also sends all these refused
        letters. A letter whose request was not stored completely is always refused.

        This redrive claims each letter for `lease` seconds, so that no other redrive sends it. The timeout of the call
        is nine tenths of this time, so that the call ends before the claim expires. A letter that another redrive has
        claimed is skipped, but if that claim has expired, this redrive sends the letter. With `wait`, this redrive does
        not end before all claims of other redrives have ended.
        """
        choice = wanted(self.store.now, **filters)
        return Redrive(
            self,
            client,
            choice,
            limit=limit,
            force=force,
            remedied=(remedied,) if isinstance(remedied, str) else tuple(remedied),
            lease=lease,
            concurrency=concurrency,
            on_answer=on_answer,
        ).run(dry_run=dry_run, wait=wait)

    def discard(self, request_id: str) -> bool:
        """Discard a dead letter, so that it is not sent again. Return False if it was already discarded. Raises
        `ValueError` if the letter does not exist or a redrive has claimed it.
        """
        record = self.store.get(request_id)
        if record is None:
            raise ValueError(f"Request {request_id} not found")
        summary = record.summary
        if summary.state == "discarded":
            return False
        if summary.state == "claimed" and not self.store.has_lapsed(summary):
            raise ValueError(
                f"dead letter {request_id} is claimed by a redrive; discard the letter when the redrive has ended"
            )
        if not self.store.update(replace(summary, state="discarded", version=summary.version + 1), summary.version):
            raise ValueError(f"dead letter {request_id} was changed by another program just now; try again")
        return True

    def stats(self, **filters: Any) -> Stats:
        """Return the counts of the letters by state. The letters in the state `dead` are also counted by cause and by
        model.
        """
        return counted(self._summaries(wanted(self.store.now, **filters)))

    def keep(self, letter: Letter) -> Summary:
        """Store a dead letter and return its summary. Raises `StoreUnavailable`."""
        content, envelope = letter.content, self._envelope
        request, partial = envelope.redacted(content.request), envelope.redacted(content.partial)
        summary = replace(letter.summary, sealed=envelope.seals, redacted=request != content.request)
        kept = replace(content, request=request, partial=partial)
        self.store.put(Record(summary, envelope.pack(kept.plain(), sealed=summary.sealed)))
        return summary

    def packed_answer(self, plain: Any, *, sealed: bool) -> bytes:
        """Return an answer as bytes for the store. With `sealed`, the bytes are encrypted, like the request of the
        dead letter.
        """
        return self._envelope.pack(plain, sealed=sealed)

    def create(self) -> list[str]:
        """Create the table or the file if it does not exist. Add the settings that an existing table lacks. Return
        texts that describe the changes.

        The table is billed by request. It deletes finished dead letters after 30 days, and can be restored to any
        second of the last 35 days.
        """
        return self.store.create()

    def close(self) -> None:
        """Close connections and files. A later call opens them again."""
        self.store.close()

    def __repr__(self) -> str:
        return f"DeadLetterQueue({self.store.place!r})"

    def _records(
        self, limit: int, state: str, after: str | None, choice: Wanted, *, whole: bool
    ) -> tuple[list[Record], str | None]:
        """Return the records of dead letters, and the cursor of the next page. The letters are in one state, or in all
        states, which are listed one after the other.
        """
        if not is_number(limit, least=1, whole=True):
            raise ValueError(f"limit={shown(limit)}: use a whole number, 1 or more")
        states, place = place_of(states_of(state), after)
        records: list[Record] = []
        for number, each in enumerate(states):
            page = self.store.page(each, choice, int(limit) - len(records), place, newest=True, whole=whole)
            records += page.records
            place = None
            if page.after is not None:
                return records, cursor_of(each, page.after)
            if len(records) >= limit and number + 1 < len(states):
                return records, cursor_of(states[number + 1], None)
        return records, None

    def _readable(self, records: list[Record]) -> list[Letter]:
        """Return the dead letters that can be read. Raise the last error if no dead letter of the page can be read."""
        letters, trouble = [], None
        for record in records:
            try:
                letters.append(self._letter(record))
            except StoreUnusable as error:
                trouble = error
                LOGGER.error("omitted: %s", error)
        if trouble is not None and not letters:
            raise trouble
        return letters

    def _letter(self, record: Record) -> Letter:
        summary = record.summary
        try:
            content = content_of(self._envelope.unpack(record.content, sealed=summary.sealed))
            answer = decoded(self._envelope.unpack(record.answer, sealed=summary.sealed)) if record.answer else None
            return Letter(summary, content, answer)
        except StoreUnusable as error:
            raise StoreUnusable(f"dead letter {summary.id}: {error}") from error
        except LetterTooNew as error:
            raise StoreUnusable(
                f"dead letter {summary.id} at {self.store.place} was written by a newer version of the package "
                f"({error}). Update aws-bedrock-inference on this machine"
            ) from error
        except ValueError as error:
            raise StoreUnusable(f"dead letter {summary.id} at {self.store.place} is damaged: {error}") from error

    def _summaries(self, choice: Wanted) -> Iterator[Summary]:
        for state in STATES:
            place: Place | None = None
            while True:
                page = self.store.page(state, choice, 10 * PAGE, place, newest=True, whole=False)
                yield from (record.summary for record in page.records)
                place = page.after
                if place is None:
                    break
