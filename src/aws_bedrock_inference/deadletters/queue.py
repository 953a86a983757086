"""The dead letter queue: what failed is kept, listed, explained and sent again."""

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

# Letters that are read at once: memory holds no more of a long queue.
PAGE = 100


class Summaries(NamedTuple):
    """The summaries of some letters, and the cursor after which the others follow; None at the end."""

    summaries: list[Summary]
    cursor: str | None


class Letters(NamedTuple):
    """Some letters, and the cursor after which the others follow; None at the end."""

    letters: list[Letter]
    cursor: str | None


class DeadLetterQueue:
    """A queue of requests that failed for good.

    `table_name` is the store: a DynamoDB table by its bare name, a URL (`sqlite:///path/dead.db`, `dynamodb://TABLE`),
    a `Path` to a file, or a store of `aws_bedrock_inference.deadletters`. Requests are kept whole. `seal=(encrypt,
    decrypt)` encrypts them before they leave the process, and `redact` is a function that takes a request and returns
    what may be kept of it.

    Raises `ValueError` for what is no store, and `StoreUnusable` for a file that cannot be used. A table is asked for
    at its first use.
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
        """Keep a request that failed, and return the id of its letter.

        `error` is the exception, or its text; `request_data` what the client's method takes, whole, with its bytes and
        floats. `metadata` is for people: its secrets are masked. `tags` are names and values to look letters up by.

        A store that fails does not replace the caller's exception, `error` or the one that is being handled: the result
        is then None, the log says why, and so does a note on the exception. Where there is none, it raises
        `StoreUnavailable`.
        """
        failed = error if isinstance(error, BaseException) else sys.exception()
        try:
            letter = letter_of_error(request_data, error, metadata, self.store.now(), tags or {})
            return self.keep(letter).id
        except Exception as trouble:
            if failed is None:
                raise
            why = loss_text(trouble)
            LOGGER.error("a failed request was not kept as a dead letter: %s", why)
            failed.add_note(f"not kept as a dead letter: {why}")
            return None

    def get_failed_requests(self, limit: int = 100, **filters: Any) -> list[Letter]:
        """Return the newest letters, at most `limit`, which are still dead; `filters` are those of `page`."""
        return self.page(limit, **filters).letters

    def page(self, limit: int = 100, *, state: str = "dead", after: str | None = None, **filters: Any) -> Letters:
        """Return the newest letters of a state, or of `all`, and the cursor to give as `after` for those behind them.

        `filters` choose by `cause` and `model` (`*` stands for anything), `region`, `route` (`MODEL in REGION`), `tag`
        (`name` or `name=value`), and by the time of the first failure, `since` and `until`: a `datetime`, seconds since
        the epoch, ISO 8601, or how long ago (`30m`, `2h`, `7d`). Raises `ValueError` for a wrong one.
        """
        records, cursor = self._records(limit, state, after, wanted(self.store.now, **filters), whole=True)
        return Letters(self._readable(records), cursor)

    def page_of_summaries(
        self, limit: int = 100, *, state: str = "dead", after: str | None = None, **filters: Any
    ) -> Summaries:
        """Return what `page` does, without the letters' content: sealed ones need no key for that."""
        records, cursor = self._records(limit, state, after, wanted(self.store.now, **filters), whole=False)
        return Summaries([record.summary for record in records], cursor)

    def letters(self, *, state: str = "dead", **filters: Any) -> Iterator[Letter]:
        """Yield all letters of a state, or of `all`, the newest first. Memory holds one page of them."""
        cursor: str | None = None
        while True:
            page = self.page(PAGE, state=state, after=cursor, **filters)
            yield from page.letters
            cursor = page.cursor
            if cursor is None:
                return

    def get(self, request_id: str) -> Letter | None:
        """Return the letter of that id; None if there is none."""
        record = self.store.get(request_id)
        return None if record is None else self._letter(record)

    def retry_request(self, request_id: str, client: Any) -> Any:
        """Send the request of a letter once more and return the result, whatever failed and whatever its state.

        `client` has the method that the request fits, such as a `BedrockClient`. Raises `ValueError` if there is no
        such letter or another redrive holds it, and what the client raises; the letter is then dead again.
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
        """Send dead letters again, the oldest first, each by one redrive at a time, and return what became of them.

        At most `limit` are sent, `concurrency` at once, with the priority `batch` and within the client's quota.
        Letters whose cause needs a change first are refused, and so are those of another Region than the client's and
        those whose request was redacted, unless `force` is given; `remedied` names the causes that have been mended.
        `dry_run` sends nothing. `on_answer` is called with each letter and its result, in the thread that sent it.

        A letter is claimed for `lease` seconds, and nine tenths of them are the time limit of its call. Letters that
        another redrive holds are left to it; with `wait` this one waits for them and takes over what was not finished
        within the lease. `filters` are those of `page`. After 20 failures in a row it stops.
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
        """Give a letter up: it is not sent again. False if it was discarded already; `ValueError` if there is none, or
        a redrive holds it.
        """
        record = self.store.get(request_id)
        if record is None:
            raise ValueError(f"Request {request_id} not found")
        summary = record.summary
        if summary.state == "discarded":
            return False
        if summary.state == "claimed" and not self.store.has_lapsed(summary):
            raise ValueError(f"letter {request_id} is held by a redrive; discard it when that has ended")
        if not self.store.update(replace(summary, state="discarded", version=summary.version + 1), summary.version):
            raise ValueError(f"letter {request_id} was changed by somebody else just now; look at it again")
        return True

    def stats(self, **filters: Any) -> Stats:
        """Return the numbers of letters by state, and of the dead ones by cause and model."""
        return counted(self._summaries(wanted(self.store.now, **filters)))

    def keep(self, letter: Letter) -> Summary:
        """Keep a letter and return its summary. Raises `StoreUnavailable`."""
        content, envelope = letter.content, self._envelope
        request, partial = envelope.redacted(content.request), envelope.redacted(content.partial)
        summary = replace(letter.summary, sealed=envelope.seals, redacted=request != content.request)
        kept = replace(content, request=request, partial=partial)
        self.store.put(Record(summary, envelope.pack(kept.plain(), sealed=summary.sealed)))
        return summary

    def packed_answer(self, plain: Any, *, sealed: bool) -> bytes:
        """Return an answer in JSON's types as a store keeps it: sealed where its letter is."""
        return self._envelope.pack(plain, sealed=sealed)

    def create(self) -> list[str]:
        """Make the table or the file if it is not there, and what a table lacks; return what was done, in words. The
        table is billed by request, keeps letters that are finished for 30 days, and can be restored to any second.
        """
        return self.store.create()

    def close(self) -> None:
        """Release connections and files; a later call opens again what it needs."""
        self.store.close()

    def __repr__(self) -> str:
        return f"DeadLetterQueue({self.store.place!r})"

    def _records(
        self, limit: int, state: str, after: str | None, choice: Wanted, *, whole: bool
    ) -> tuple[list[Record], str | None]:
        """Return records of a state, or of one state after the other, and the cursor behind them."""
        if not is_number(limit, least=1, whole=True):
            raise ValueError(f"limit={shown(limit)}: give a number of letters, 1 or more")
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
        """Return the letters in records. One that cannot be read hides no others; where none can, that is raised."""
        letters, trouble = [], None
        for record in records:
            try:
                letters.append(self._letter(record))
            except StoreUnusable as error:
                trouble = error
                LOGGER.error("a dead letter is left out: %s", error)
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
            raise StoreUnusable(f"letter {summary.id}: {error}") from error
        except LetterTooNew as error:
            raise StoreUnusable(
                f"letter {summary.id} at {self.store.place} was written by a newer version of this package ({error}): "
                "update aws-bedrock-inference here"
            ) from error
        except ValueError as error:
            raise StoreUnusable(f"letter {summary.id} at {self.store.place} is damaged: {error}") from error

    def _summaries(self, choice: Wanted) -> Iterator[Summary]:
        for state in STATES:
            place: Place | None = None
            while True:
                page = self.store.page(state, choice, 10 * PAGE, place, newest=True, whole=False)
                yield from (record.summary for record in page.records)
                place = page.after
                if place is None:
                    break
