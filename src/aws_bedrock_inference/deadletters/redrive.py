"""Send many dead letters again, within the client's quota.

Some letters are refused (not sent), for example if a person must first fix the cause of the failure. All other letters
are claimed and sent. While a letter is claimed, no other redrive sends it.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextvars import copy_context
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.deadletters.claims import claim, owner_name, patient, put_back, recorded
from aws_bedrock_inference.deadletters.letter import Redriven
from aws_bedrock_inference.deadletters.making import failure_text, summary_after
from aws_bedrock_inference.deadletters.sending import answer_of, batch_client, region_of, send, unsendable
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.deadletters.filters import Wanted
    from aws_bedrock_inference.deadletters.letter import Letter, State, Summary
    from aws_bedrock_inference.deadletters.queue import DeadLetterQueue
    from aws_bedrock_inference.deadletters.store import Page, Place

# The fraction of a lease that a call may take.
_OF_LEASE = 0.9

# A redrive stops after this many consecutive failures, because so many failures have a common cause.
MOST_FAILURES = 20

# Letters per page.
_PAGE = 50

# Maximum seconds between two checks of letters that other redrives have claimed.
_LOOK = 1.0


class RedriveResult(NamedTuple):
    """The result of one dead letter in a redrive: `sent`, `failed` or `refused`, and the reason."""

    id: str
    result: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RedriveReport:
    """The counts of a redrive. `sent` dead letters were answered, and `failed` letters failed again.

    `refused` letters were not sent, for one of three reasons. The same request would fail again, the request cannot be
    sent unchanged, or the letter failed in a Region other than the client's Region. `leased`
    letters are claimed by other redrives. In a dry run, `sent` and `refused` are the counts of letters that would be
    sent or refused. If the redrive ended early, `stopped` is the reason. `results` has one entry for each letter.
    """

    sent: int = 0
    failed: int = 0
    refused: int = 0
    leased: int = 0
    stopped: str = ""
    results: tuple[RedriveResult, ...] = ()


class Redrive:
    """One redrive of the dead letters that `wanted` selects. `sleep` is the function that waits."""

    def __init__(
        self,
        queue: DeadLetterQueue,
        client: Any,
        wanted: Wanted,
        *,
        limit: int | None,
        force: bool,
        remedied: tuple[str, ...],
        lease: float,
        concurrency: int,
        on_answer: Callable[[Letter, Any], object] | None,
        sleep: Callable[[float], object] = clocks.sleep,
    ) -> None:
        for name, value in (("limit", limit), ("concurrency", concurrency)):
            if value is not None and not is_number(value, least=1, whole=True):
                raise ValueError(f"redrive({name}={shown(value)}): use a whole number, 1 or more")
        if not is_number(lease, above=0):
            raise ValueError(f"redrive(lease={shown(lease)}): use a number of seconds above 0")
        self._queue = queue
        self._client = batch_client(client)
        self._region = region_of(client)
        self._wanted = wanted
        self._limit = limit
        self._force = force
        self._remedied = remedied
        self._lease = lease
        self._concurrency = concurrency
        self._on_answer = on_answer
        self._sleep = sleep
        self._owner = owner_name()
        self._results: list[RedriveResult] = []
        self._numbers = Counter[str]()
        self._running: set[Future[RedriveResult | None]] = set()
        self._meets_others = False
        self._in_a_row = 0
        self._stopped = ""

    def run(self, *, dry_run: bool, wait: bool) -> RedriveReport:
        """Send the dead letters and return their results."""
        if dry_run:
            return self._planned()
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="bedrock-redrive") as pool:
            try:
                for summary in self._claimable(wait=wait):
                    if not self._has_room():
                        break
                    self._running.add(pool.submit(copy_context().run, self._one, summary))
            except StoreUnavailable as trouble:
                if not self._results:
                    raise
                self._stopped = str(trouble)
            self._collect(everything=True)
        return self._report()

    def _planned(self) -> RedriveReport:
        for summary in self._of_state("dead"):
            if self._limit is not None and self._numbers["sent"] >= self._limit:
                break
            reason = self._refusal(summary)
            self._add(RedriveResult(summary.id, "refused" if reason else "sent", reason))
        return self._report()

    def _report(self) -> RedriveReport:
        try:
            leased = sum(1 for _ in self._of_state("claimed"))
        except StoreUnavailable as trouble:  # return the known results nevertheless
            leased, self._stopped = 0, self._stopped or str(trouble)
        return RedriveReport(**self._numbers, leased=leased, stopped=self._stopped, results=tuple(self._results))

    def _add(self, result: RedriveResult) -> None:
        self._results.append(result)
        self._numbers[result.result] += 1

    def _claimable(self, *, wait: bool) -> Iterator[Summary]:
        """Yield the letters in the state `dead`, then the claimed letters whose claim has expired. With `wait`, repeat
        the search for expired claims until all claims of other redrives have ended.
        """
        yield from self._of_state("dead")
        while True:
            held = 0
            for summary in self._of_state("claimed"):
                if summary.owner == self._owner:
                    continue
                if self._queue.store.has_lapsed(summary):
                    yield summary
                else:
                    held += 1
            if not (wait and held):
                return
            self._sleep(min(_LOOK, self._lease / 10))

    def _of_state(self, state: State) -> Iterator[Summary]:
        place: Place | None = None
        while True:
            page = patient(partial(self._page, state, place))
            # Redrives that run together start at different letters of a page, so that they rarely claim the same
            # letter.
            start = hash(self._owner) % max(1, len(page.records)) if self._meets_others else 0
            yield from (record.summary for record in (*page.records[start:], *page.records[:start]))
            place = page.after
            if place is None:
                return

    def _page(self, state: State, after: Place | None) -> Page:
        return self._queue.store.page(state, self._wanted, _PAGE, after, newest=False, whole=False)

    def _has_room(self) -> bool:
        """Wait until another dead letter can be sent, and return True. Return False if the redrive has reached its
        limit or has stopped, so that no further letter may be sent.

        The method waits while `concurrency` calls are in flight. It also waits while the calls in flight can reach the
        limit. Example: the limit is 100, 98 letters were sent or failed again, and 2 calls are in flight.
        """
        while True:
            self._collect(everything=False)
            sent = self._numbers["sent"] + self._numbers["failed"]
            if self._stopped or (self._limit is not None and sent >= self._limit):
                return False
            if len(self._running) < self._concurrency and (
                self._limit is None or sent + len(self._running) < self._limit
            ):
                return True
            wait_for(self._running, return_when=FIRST_COMPLETED)

    def _collect(self, *, everything: bool) -> None:
        done = wait_for(self._running).done if everything else {each for each in self._running if each.done()}
        self._running -= done
        for future in done:
            try:
                result = future.result()
            except StoreUnavailable as trouble:
                self._stopped = str(trouble)
                continue
            if result is None:
                continue
            self._add(result)
            if result.result != "refused":
                self._in_a_row = 0 if result.result == "sent" else self._in_a_row + 1
            if self._in_a_row >= MOST_FAILURES:
                self._stopped = f"{MOST_FAILURES} dead letters in a row failed again; the last failure: {result.reason}"

    def _one(self, summary: Summary) -> RedriveResult | None:
        """Send one dead letter and return its result. Return None if another redrive has claimed the letter."""
        reason = self._refusal(summary)
        try:
            letter = None if reason else patient(lambda: self._queue.get(summary.id))
        except StoreUnusable as trouble:  # the letter cannot be decrypted, or is damaged
            letter, reason = None, str(trouble)
        if letter is not None:
            reason = unsendable(letter)
        if reason:
            if summary.state == "claimed":
                put_back(self._queue, summary)
            return RedriveResult(summary.id, "refused", reason)
        claimed = None if letter is None else claim(self._queue, summary, self._owner, self._lease)
        if letter is None or claimed is None:
            self._meets_others = True
            return None
        try:
            result = send(letter, self._client, self._lease * _OF_LEASE)
            answer = answer_of(result)
        except Exception as error:  # noqa: BLE001 - after any exception of the client, the letter is dead again
            now, text = self._queue.store.now(), failure_text(error)
            entry = Redriven(now, "failed", self._owner, text)
            recorded(self._queue, claimed, "dead", entry, **summary_after(claimed, error, now))
            return RedriveResult(summary.id, "failed", text)
        except BaseException:  # the program ends: the request may have been sent
            recorded(self._queue, claimed, "dead", Redriven(self._queue.store.now(), "unknown", self._owner))
            raise
        entry = Redriven(self._queue.store.now(), "success", self._owner)
        problem = recorded(self._queue, claimed, "redriven", entry, answer)
        if self._on_answer is not None:
            try:
                self._on_answer(letter, result)
            except Exception:  # noqa: BLE001 - the function is the user's
                LOGGER.exception("on_answer failed for dead letter %s, which contains the answer", summary.id)
        return RedriveResult(summary.id, "sent", problem)

    def _refusal(self, summary: Summary) -> str:
        """Return the reason why a dead letter is refused. Return an empty text if it can be sent."""
        if self._force:
            return ""
        if summary.needs_change and not any(fnmatchcase(summary.cause, each) for each in self._remedied):
            return f"{summary.cause}: the same request fails again until its cause is fixed"
        if summary.redacted:
            return "its request was redacted, so it differs from the failed request"
        if summary.region and self._region and self._region != summary.region:
            return f"it failed in {summary.region}, but the client calls {self._region}"
        return ""
