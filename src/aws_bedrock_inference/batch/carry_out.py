"""Carry out `bedrock run`: create a client, and send the records of the input until the run ends.

A `Job` contains the options of one run. It is not a batch job of Bedrock.
"""

from __future__ import annotations

import asyncio  # noqa: TID251 - the batch runner lives in asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.batch.bill import billed, check_limit
from aws_bedrock_inference.batch.deadline.night import asker_of, night_of
from aws_bedrock_inference.batch.ending import Ending
from aws_bedrock_inference.batch.fates import State
from aws_bedrock_inference.batch.interruption import interruptible
from aws_bedrock_inference.batch.letters import keep_letters
from aws_bedrock_inference.batch.work import asked, closed_files, opened_files
from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
from aws_bedrock_inference.events import QuotaQueued, StoreChanged
from aws_bedrock_inference.flow import Pipeline
from aws_bedrock_inference.policies import DeadLetter, Degrade, Quota, standard

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.batch.job import Job
    from aws_bedrock_inference.batch.journal import Journal
    from aws_bedrock_inference.batch.records import BadLine
    from aws_bedrock_inference.batch.tally import Tally
    from aws_bedrock_inference.call import Route

# The maximum number of calls in flight. If no quota is set, only this number limits the load. If a quota is set, the
# quota limits the load, so this number can be larger.
CONCURRENCY = 64
_CONCURRENCY_WITH_QUOTA = 512

# The maximum number of calls that wait for quota. A few are enough to use all of the quota; more would only wait
# longer.
_ENOUGH_WAITING = 8


async def carry_out(
    job: Job, tally: Tally, *, complain: Callable[[BadLine], None], say: Callable[[str], None]
) -> Ending:
    """Send the records of a run, and return how the run ended. `job` contains the options of the run.

    `tally` counts the records, `complain` receives invalid lines, and `say` receives all other messages. Ctrl-C and
    SIGTERM end the run cleanly at any time. Raises `ValueError` if the input or an output file cannot be used.
    """
    check_limit(job.max_cost)
    with interruptible(tally, say) as interruption:
        quota, pipeline = governing(job)
        client = AsyncBedrockClient(
            job.model,
            region_name=job.region,
            endpoint_url=job.endpoint_url,
            session=job.session,
            pipeline=pipeline,
            timeout=job.timeout,
            priority="batch",
        )
        client.listen(tally.hear)
        client.listen(partial(_report_store, say))
        if job.max_tokens is None:
            client.listen(_unbounded_reported(say))
        async with client:
            # The files are opened in a thread, so that the event loop can handle an interruption while long files are
            # compared.
            journal, output = await asyncio.to_thread(opened_files, job, say)
            tally.bill.begin(journal.facts(), journal.counts()[State.ANSWERED])
            ending = Ending(broken="The run ended with an error.")
            concurrency = concurrency_of(job)
            night = night_of(job, client.region_name, concurrency=concurrency, say=say)
            try:
                ending = await asked(
                    job,
                    journal,
                    output,
                    lambda: asker_of(job, billed(client, job, tally.bill), night),
                    tally,
                    concurrency=concurrency,
                    room=_room(client, quota),
                    complain=complain,
                    started=interruption.of,
                    night=night,
                )
            except ValueError as refused:
                ending = Ending(stopped=str(refused))
                raise
            finally:
                keep = partial(_keep_letters, job, tally, journal, ending, region=client.region_name, say=say)
                trouble = await asyncio.to_thread(closed_files, job, journal, output, ending, last=keep)
            return Ending(broken=trouble) if trouble and not ending.broken else ending


def concurrency_of(job: Job) -> int:
    """Return the maximum number of calls that the run has in flight."""
    limited = job.rpm is not None or job.tpm is not None
    return job.concurrency or (_CONCURRENCY_WITH_QUOTA if limited else CONCURRENCY)


def governing(job: Job) -> tuple[Quota, Pipeline]:
    """Return the quota and the pipeline for the calls of a run. The policies `Degrade` and `DeadLetter` are removed.

    The run itself records failures and sends failed records again. `Degrade` would replace a failure by a substitute
    answer, so the run would not see the failure. `DeadLetter` would store a dead letter for a record that the run sends
    again.
    """
    if job.pipeline is None:
        quota = Quota(rpm=job.rpm, tpm=job.tpm, store=job.store)
        return quota, standard(quota)
    policies = [policy for policy in job.pipeline.policies if not isinstance(policy, (Degrade, DeadLetter))]
    return next(policy for policy in policies if isinstance(policy, Quota)), Pipeline(*policies)


def _keep_letters(job: Job, tally: Tally, journal: Journal, ending: Ending, **where: Any) -> None:
    """Store the failed records as dead letters, if the job or its pipeline contains the policy `DeadLetter`."""
    policies = job.pipeline.policies if job.pipeline is not None else ()
    letters = job.dead_letters or next((policy for policy in policies if isinstance(policy, DeadLetter)), None)
    if letters is not None:
        tally.letters = keep_letters(letters, job, journal, ending, **where)


def _report_store(say: Callable[[str], None], event: object) -> None:
    if isinstance(event, StoreChanged):
        say(
            event.message
            if event.available
            else f"{event.message}. The quota is not shared until the store is available again."
        )


def _unbounded_reported(say: Callable[[str], None]) -> Callable[[object], None]:
    """Return a listener that recommends --max-tokens after the first throttle that a token limit caused.

    If neither --max-tokens nor the record sets a maximum, the call reserves tokens for the model's longest answer.
    Fewer calls then fit into the quota.
    """
    said = False

    def hear(event: object) -> None:
        nonlocal said
        fault = getattr(event, "fault", None)
        if not said and fault is not None and fault.limit == "tokens":
            said = True
            say(
                "Throttled for tokens. --max-tokens is not set, so each record without its own maximum reserves the "
                "model's maximum from the quota. Set --max-tokens to the length that answers need, so that "
                "more calls fit into the quota."
            )

    return hear


def _room(client: AsyncBedrockClient, quota: Quota) -> Callable[[], bool]:
    """Return a function that returns whether the run may send more records.

    The function returns False while at least `_ENOUGH_WAITING` calls wait in the queue of the quota.
    """
    routes: set[Route] = set()

    def hear(event: object) -> None:
        if isinstance(event, QuotaQueued):
            routes.add(event.route)

    client.listen(hear)
    return lambda: sum(map(quota.waiting, routes)) < _ENOUGH_WAITING
