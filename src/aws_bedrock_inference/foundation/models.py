"""Read the models that an account can call in one Region. The lists come from AWS and are stored on disk, so that they
are also available without a connection.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.foundation import check as checks
from aws_bedrock_inference.foundation.asking import ControlPlane
from aws_bedrock_inference.foundation.listing import A_DAY, FoundationModel, InferenceProfile
from aws_bedrock_inference.foundation.remembered import recall, remember
from aws_bedrock_inference.foundation.resolving import resolved
from aws_bedrock_inference.knowledge import lifecycle
from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, can_be_looked_up, target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.foundation.check import Check
    from aws_bedrock_inference.foundation.listing import Listing, Missing

# The seconds from a failed attempt to read the lists to the next attempt. Somebody may have granted the permission in
# the meantime.
AGAIN = 300.0


class Models(Locked):
    """The models and inference profiles that an account can call in one Region. Threads can share an object.

    * `session`: a session of boto3 or botocore. Default: boto3's default session.
    * `endpoint_url`: an endpoint of the control-plane service `bedrock`, not of `bedrock-runtime`.
    * `max_age`: the maximum age of stored lists in seconds. Default: one day. If the stored lists are older, they are
      read from AWS again when they are needed.
    * `cache`: the directory that stores the lists. Default: `aws-bedrock-inference` in `$XDG_CACHE_HOME` or `~/.cache`.
    * `clock`: returns the time of day.

    If AWS does not answer, older stored lists are used, and `missing` states the reason. No permission is required. If
    a permission is missing, some facts are unknown, and `missing` names the permission.

    Raises `ValueError` for an invalid `max_age`.
    """

    def __init__(
        self,
        session: Any = None,
        *,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        max_age: float = A_DAY,
        cache: str | Path | None = None,
        clock: Clock = clocks.wall,
    ) -> None:
        if not is_number(max_age, least=0, infinite=True):
            raise ValueError(
                f"Models(max_age={shown(max_age)}): pass the seconds for which the lists of models are used, "
                "or 0 to read the lists for each request"
            )
        super().__init__()
        self._asked = session, region_name, endpoint_url
        self._max_age = max_age
        self._cache = cache
        self._clock = clock
        self._listing: Listing | None = None
        self._failed = -inf  # the time of the last failed read

    @cached_property
    def _aws(self) -> ControlPlane:
        session, region_name, endpoint_url = self._asked
        return ControlPlane(session, region_name=region_name, endpoint_url=endpoint_url)

    @property
    def region_name(self) -> str:
        """The Region whose models and inference profiles are listed."""
        return self._aws.region

    @property
    def age(self) -> float:
        """The number of seconds since the lists of models and profiles were read."""
        return max(0.0, self._clock() - self.listing().at)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """The requests that AWS did not answer, each with the permission that it needs and the reason."""
        return self.listing().missing

    def all(self) -> tuple[FoundationModel, ...]:
        """Return the foundation models of the Region. The result is empty if they could not be listed (see
        `missing`).
        """
        return self.listing().models or ()

    def profiles(self) -> tuple[InferenceProfile, ...]:
        """Return the inference profiles that can be called from the Region: AWS's own profiles and the profiles that
        the account has created.
        """
        return self.listing().profiles or ()

    def get(self, id: str) -> FoundationModel | InferenceProfile | None:  # noqa: A002 - the name that users expect
        """Return the model or profile with this id or ARN, or None if the lists do not contain it."""
        return self.listing().find(str(id))

    def check(self, id: str) -> Check:  # noqa: A002 - as `get`
        """Return the state of an id or ARN: whether the Region has it, its lifecycle, the account's access to it, and
        problems.

        Each call of this method reads these facts from AWS, unless the id does not exist:

        * whether the account has access to the model;
        * whether the account has submitted the use-case form, if the model requires this form;
        * the account's data-retention mode, if the model accepts only some modes.

        The other facts come from the lists of models and profiles. If the lists do not show whether the id exists, AWS
        is queried for this one id. This is the case, for example, if the caller has no permission to read the lists.
        """
        name = str(id)
        listing = self.listing()
        missing = list(listing.missing)
        found = listing.find(name)
        profile = found if isinstance(found, InferenceProfile) else None
        base = profile.base if profile is not None else target(id).base
        if profile is None and self._needs_query(name, listing):
            profile = self._aws.profile(name, missing)
            base = profile.base if profile is not None else base
        real = base not in ("", UNKNOWN_MODEL) and not base.startswith("arn:")
        model = next((each for each in listing.models or () if each.id == base), None)
        listed = self._listed(name, listing)
        failures = len(missing)
        asked = model is None and real and listed is None
        if asked:
            model = self._aws.model(base, missing)
        known = True if found or profile or (model and name == base) else listed
        if asked and model is None and name == base and len(missing) == failures:
            known = False  # AWS has no model with that id
        access = self._aws.access(base, missing) if real and known is not False else None
        form = lifecycle.asks_for_a_form(base) and known is not False
        form_given = self._aws.use_case_form(missing) if form else None
        retention = self._aws.retention(missing) if lifecycle.retention_modes(base) and known is not False else None
        read = checks.Read(name, base, known, model, profile, access, form_given, retention, missing)
        return checks.made(read, listing, self._clock())

    def resolve(self, id: str, within: str | Iterable[str] | None = None) -> str:  # noqa: A002 - as `get`
        """Return the id with which to call a model from this Region. `id` names the model. The result is `id` itself,
        the model's own id, or an inference profile of the model.

        * `within`: a shell pattern of allowed Regions, such as `eu-*`, or several patterns. Each destination Region of
          the returned id matches one of the patterns. These Regions come from the list that AWS returns, not from the
          profile's prefix.

        A global profile is returned only if `id` is a global profile and `within` is None or `*`. A profile that the
        account has created is returned only if `id` is that profile.

        Raises `NotResolvable` if no id meets these conditions, or if the destination Regions are unknown.
        """
        listing = self.listing()
        name = str(id)
        if listing.find(name) is None and self._needs_query(name, listing):
            found = self._aws.profile(name, [])
            known = () if found is None else (found,)
            listing = replace(listing, profiles=(*(listing.profiles or ()), *known))
        return resolved(name, within, listing)

    def sync(self) -> Listing:
        """Read the lists of models and profiles from AWS now, and store them. If neither list can be read, the stored
        lists remain in use.
        """
        with self._lock:
            return self._sync()

    def sync_every(self, seconds: float) -> Callable[[], None]:
        """Start a background thread that reads the lists of models and profiles from AWS after every interval of
        `seconds`. Return a function that stops the thread. If the thread is reading at that time, the function waits
        until the thread has finished.
        """
        if not is_number(seconds, above=0):
            raise ValueError(f"sync_every({shown(seconds)}): pass seconds above 0")
        ended = threading.Event()
        self._aws  # noqa: B018 - without a Region this raises here instead of in the thread

        def work() -> None:
            while not ended.wait(seconds):
                self.sync()

        def end() -> None:
            ended.set()
            thread.join()

        thread = threading.Thread(target=work, name="bedrock-models", daemon=True)
        thread.start()
        return end

    def listing(self) -> Listing:
        """Return the current lists of models and profiles, from memory or from disk. If they are older than `max_age`,
        read them from AWS.
        """
        now = self._clock()
        with self._lock:
            held = self._listing
            if held is not None and (self._is_fresh(held, now) or 0 <= now - self._failed < AGAIN):
                return held
            kept = recall(self._cache, self._whose, self._aws.region, self._aws.endpoint)
            if kept is not None and self._is_fresh(kept, now):
                self._listing = kept
                return kept
            return self._sync()

    @property
    def _whose(self) -> str:
        return self._aws.whose()[1]

    def _is_fresh(self, listing: Listing, now: float) -> bool:
        return 0 <= now - listing.at < self._max_age and not listing.empty

    def _sync(self) -> Listing:
        found = self._aws.lists(self._clock())
        if found.empty:
            self._failed = found.at
            older = self._listing or recall(self._cache, self._whose, found.region, self._aws.endpoint)
            self._listing = found if older is None or older.empty else replace(older, missing=found.missing)
        else:
            self._failed = -inf
            self._listing = found
            remember(self._cache, self._whose, self._aws.endpoint, found)
        return self._listing

    def _needs_query(self, name: str, listing: Listing) -> bool:
        """Return True if the model behind the id `name` can be found only with GetInferenceProfile. This is the case
        for a profile that an account has created, and for every profile if the list of profiles could not be read.
        """
        return can_be_looked_up(name) or (listing.profiles is None and target(name).pool != "on-demand")

    def _listed(self, name: str, listing: Listing) -> bool | None:
        """Return False if the id `name` certainly does not exist in the Region, and None if this is unknown.

        The caller uses the result only if neither the list of models nor the list of profiles contains the id. If both
        lists were read within the last 24 hours, such an id does not exist. If the lists are older, AWS may have added
        the id after they were read, so the result is None. The result for an ARN is also None, because an ARN can name
        a resource that is in neither list.
        """
        whole = listing.models is not None and listing.profiles is not None
        return False if whole and not name.startswith("arn:") and listing.is_young(self._clock()) else None
