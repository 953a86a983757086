"""`Models`: what an account can call in one Region, read from AWS, kept on disk, usable offline."""

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

# Seconds after which lists that could not be read are asked for again: permissions are granted by people.
AGAIN = 300.0


class Models(Locked):
    """The models and inference profiles that an account can call in one Region.

    `session` is boto3's or botocore's, None for boto3's default one; `endpoint_url` is one of `bedrock`, not of the
    runtime. The lists are read at the first question and serve for `max_age` seconds. They are kept in the directory
    `cache` (None: `aws-bedrock-inference` in `$XDG_CACHE_HOME` or `~/.cache`); when AWS cannot be asked, older ones
    serve, and `missing` says why. `clock` is the time of day.

    No permission is required. Each that is missing leaves something unknown, and `missing` names it. Threads can share
    an object.
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
            raise ValueError(f"Models(max_age={shown(max_age)}): give seconds, 0 to read anew at each question")
        super().__init__()
        self._asked = session, region_name, endpoint_url
        self._max_age = max_age
        self._cache = cache
        self._clock = clock
        self._listing: Listing | None = None
        self._failed = -inf  # when the lists could not be read

    @cached_property
    def _aws(self) -> ControlPlane:
        session, region_name, endpoint_url = self._asked
        return ControlPlane(session, region_name=region_name, endpoint_url=endpoint_url)

    @property
    def region_name(self) -> str:
        """The Region of the lists."""
        return self._aws.region

    @property
    def age(self) -> float:
        """The seconds since the lists were read."""
        return max(0.0, self._clock() - self.listing().at)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """The lists that could not be read: each with the permission that it needs, and the reason."""
        return self.listing().missing

    def all(self) -> tuple[FoundationModel, ...]:
        """Return the foundation models of the Region; none when nobody may list them (see `missing`)."""
        return self.listing().models or ()

    def profiles(self) -> tuple[InferenceProfile, ...]:
        """Return the inference profiles that can be called from the Region, AWS's own and the account's."""
        return self.listing().profiles or ()

    def get(self, id: str) -> FoundationModel | InferenceProfile | None:  # noqa: A002 - the word that people use
        """Return the model or profile of an id or ARN, or None if the lists do not have it."""
        return self.listing().find(str(id))

    def check(self, id: str) -> Check:  # noqa: A002 - as `get`
        """Return what is known of an id or ARN: whether the Region has it, its life, the account's access, problems.

        Access is asked anew each time; the rest comes from the lists, or where nobody may list, from a question about
        this id alone.
        """
        name = str(id)
        listing = self.listing()
        missing = list(listing.missing)
        found = listing.find(name)
        profile = found if isinstance(found, InferenceProfile) else None
        base = profile.base if profile is not None else target(id).base
        if profile is None and self._is_to_be_asked(name, listing):
            profile = self._aws.profile(name, missing)
            base = profile.base if profile is not None else base
        real = base not in ("", UNKNOWN_MODEL) and not base.startswith("arn:")
        model = next((each for each in listing.models or () if each.id == base), None)
        unlisted = self._unlisted(name, listing)
        told = len(missing)
        asked = model is None and real and unlisted is None
        if asked:
            model = self._aws.model(base, missing)
        known = True if found or profile or (model and name == base) else unlisted
        if asked and model is None and name == base and len(missing) == told:
            known = False  # AWS knows none of that id
        access = self._aws.access(base, missing) if real and known is not False else None
        form = lifecycle.asks_for_a_form(base) and known is not False
        form_given = self._aws.use_case_form(missing) if form else None
        retention = self._aws.retention(missing) if lifecycle.retention_modes(base) and known is not False else None
        read = checks.Read(name, base, known, model, profile, access, form_given, retention, missing)
        return checks.made(read, listing, self._clock())

    def resolve(self, id: str, within: str | Iterable[str] | None = None) -> str:  # noqa: A002 - as `get`
        """Return the id to call in the Region for the model of `id`: itself, the model's own id or a profile.

        `within` is a shell pattern of Regions, or several: no destination of what is returned lies outside of them,
        judged by the profile's destinations. A global profile is returned only where `id` is one and nothing, or `*`,
        is asked. The account's own profiles are returned only where `id` is one.

        Raises `NotResolvable` when there is none, and when the destinations are not known.
        """
        listing = self.listing()
        name = str(id)
        if listing.find(name) is None and self._is_to_be_asked(name, listing):
            found = self._aws.profile(name, [])
            known = () if found is None else (found,)
            listing = replace(listing, profiles=(*(listing.profiles or ()), *known))
        return resolved(name, within, listing)

    def sync(self) -> Listing:
        """Read the lists now, and keep them. When neither can be read, the older ones stay."""
        with self._lock:
            return self._sync()

    def sync_every(self, seconds: float) -> Callable[[], None]:
        """Read the lists again every so many seconds, in a thread of this process. The returned function ends that, and
        waits for a reading that is going on.
        """
        if not is_number(seconds, above=0):
            raise ValueError(f"sync_every({shown(seconds)}): give seconds above 0")
        ended = threading.Event()
        self._aws  # noqa: B018 - without a Region this raises, here and not in the thread

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
        """Return the lists as they are now: those in memory, on disk, or read anew, whichever are young enough."""
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

    def _is_to_be_asked(self, name: str, listing: Listing) -> bool:
        """Return whether only GetInferenceProfile can tell what an unlisted id leads to."""
        return can_be_looked_up(name) or (listing.profiles is None and target(name).pool != "on-demand")

    def _unlisted(self, name: str, listing: Listing) -> bool | None:
        """Return False for an id that young and whole lists do not have; without such lists, nobody knows."""
        whole = listing.models is not None and listing.profiles is not None
        return False if whole and not name.startswith("arn:") and listing.is_young(self._clock()) else None
