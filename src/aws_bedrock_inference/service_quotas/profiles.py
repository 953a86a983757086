"""Look up in AWS which model an application inference profile uses, and store the model for the process.

The ARN of such a profile does not contain the model, but the model determines the quota and the burndown rate. A
background thread sends the request to AWS. The first calls wait at most three seconds for the answer. If AWS does not
answer in this time, these calls continue with an unknown model. Their tokens are then counted with the highest burndown
rate of all models.
"""

from __future__ import annotations

import os
import threading
import warnings
from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.background import BackgroundFull, background
from aws_bedrock_inference.forks import renew_after_fork
from aws_bedrock_inference.knowledge.models import Target, target_of_models
from aws_bedrock_inference.sessions import make_client, of_aws
from aws_bedrock_inference.tokens.max_tokens_warning import Warned, outside

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.stores.request import Question

    Ask = Callable[[str], Target | None]

# The first calls wait at most this number of seconds for an answer. GetInferenceProfile takes 0.1 s, but a client must
# first be created for it.
PATIENCE = 3.0

# Seconds by which the end of the wait may be late.
GRACE = 1.0

# The seconds from a failed look-up of an ARN to the next look-up. Somebody may have granted the permission in the
# meantime.
AGAIN = 300.0

# The number of stored ARNs. If a program uses more ARNs, such as one for each customer, the oldest ARNs are looked up
# again.
_MOST = 4096


class UnknownModelWarning(UserWarning):
    """A warning that the model behind an ARN is unknown. Calls with this ARN are therefore counted with the highest
    burndown rate of all models.
    """


class _LookUp:
    """One request to AWS that finds out the model behind an ARN.

    `target` is the model. It remains None if the request fails. The event `done` is set when the request has ended.
    """

    def __init__(self, now: float, *, first: bool) -> None:
        self.target: Target | None = None
        self.done = threading.Event()
        self.started = now
        self.first = first


class Profiles:
    """For each ARN, the model that AWS has returned. Several threads and clients can share one object."""

    def __init__(self, *, clock: Clock = clocks.monotonic, patience: float = PATIENCE) -> None:
        self._clock = clock
        self._patience = patience
        self._lookups: dict[str, _LookUp] = {}
        self._warned = Warned()
        self._lock = threading.Lock()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """In a forked child, remove all look-ups without a result. The threads of look-ups in progress exist only in
        the parent, so in the child these look-ups would never end.
        """
        self._lock = threading.Lock()
        self._lookups = {arn: each for arn, each in self._lookups.items() if each.target is not None}

    def known(self, arn: str) -> Target | None:
        """Return the model behind `arn`, or None if it is not yet known. This method does not start a look-up."""
        lookup = self._lookups.get(arn)
        return lookup.target if lookup is not None else None

    def find(self, arn: str, ask: Ask, deadline: float = inf) -> Question[bool] | None:
        """Look up the model behind `arn` with a request to AWS, if necessary. The function `ask` sends the request.

        No request is started in three cases:

        * The model is known.
        * A request for this ARN is in progress.
        * A request for this ARN has failed, and was started less than five minutes ago.

        Return an object with which the call waits for the result, at most until `deadline`. Return None if the call
        does not have to wait. Calls wait only for the first request for an ARN, not for a request after a failed one.
        """
        now = self._clock()
        with self._lock:
            lookup = self._lookups.get(arn)
            if lookup is None or (lookup.target is None and now >= lookup.started + AGAIN):
                lookup = self._begin(arn, ask, now, first=lookup is None)
        left = min(lookup.started + self._patience, deadline) - now if lookup.first else 0.0
        if lookup.done.is_set() or left <= 0.0:
            return None
        from aws_bedrock_inference.stores.request import Question  # noqa: PLC0415 - it loads asyncio

        return Question(lambda: lookup.done.wait(left), left + GRACE, "GetInferenceProfile")

    def warn_once(self, arn: str) -> None:
        """Emit `UnknownModelWarning`, once for each ARN. The warning points to the caller's own line of code."""
        if self._warned.first(arn):
            warnings.warn(_warning(arn), UnknownModelWarning, stacklevel=outside())

    def _begin(self, arn: str, ask: Ask, now: float, *, first: bool) -> _LookUp:
        if len(self._lookups) >= _MOST:
            del self._lookups[next(iter(self._lookups))]
        lookup = self._lookups[arn] = _LookUp(now, first=first)

        def look() -> None:
            try:
                lookup.target = ask(arn)
            except Exception:  # noqa: BLE001, S110 - after any error the model is unknown, and a warning reports it
                pass
            finally:
                lookup.done.set()

        try:
            background.start(lookup, look)
        except BackgroundFull:
            lookup.done.set()
        return lookup


PROCESS = Profiles()


def asker(session: Any, runtime_url: str) -> Ask:
    """Return a function that finds out the model behind an ARN. The function sends the request GetInferenceProfile,
    with the credentials of `session`.

    The request is sent to the first of these endpoints that exists:

    * The endpoint outside AWS that the user has configured for the service `bedrock`.
    * `runtime_url`, the endpoint of the client's model calls, if it is outside AWS, such as a gateway.
    * AWS's own endpoint of `bedrock`.
    """
    clients: dict[tuple[int, str], Any] = {}

    def ask(arn: str) -> Target | None:
        region = arn.split(":")[3]
        mine = os.getpid(), region  # a forked child creates its own client, because connections belong to the parent
        if mine not in clients:
            clients[mine] = _control_plane(session, region, runtime_url)
        answer = clients[mine].get_inference_profile(inferenceProfileIdentifier=arn)
        return target_of_models(region, [model["modelArn"] for model in answer["models"]])

    return ask


def _control_plane(session: Any, region: str, runtime_url: str) -> Any:
    from botocore.config import Config  # noqa: PLC0415 - heavy, and only this code needs it

    config = Config(connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})
    client, _, _ = make_client("bedrock", session, region_name=region, config=config)
    if not of_aws(runtime_url) and of_aws(client.meta.endpoint_url):
        client, _, _ = make_client("bedrock", session, region_name=region, endpoint_url=runtime_url, config=config)
    return client


def _warning(arn: str) -> str:
    return (
        f"the model of {arn} is unknown, so its calls count at the highest burndown rate and share one quota with "
        "all other calls of unknown models. Allow bedrock:GetInferenceProfile, or specify the model: "
        "ModelArn(arn, model='us.anthropic.claude-...')"
    )
