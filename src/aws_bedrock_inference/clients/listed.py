"""Check the model ids of calls against the stored lists of the account's models, without a request to AWS."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.foundation.check import NEAR, no_such_id, offered
from aws_bedrock_inference.foundation.listing import FoundationModel
from aws_bedrock_inference.foundation.remembered import recall
from aws_bedrock_inference.knowledge import lifecycle
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.sessions import of_aws
from aws_bedrock_inference.tokens.max_tokens_warning import Warned, outside

if TYPE_CHECKING:
    from datetime import date

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.foundation.listing import Listing
    from aws_bedrock_inference.transports.endpoint import Endpoint


class EndOfLifeWarning(UserWarning):
    """A warning that AWS will remove a model soon, or has already removed the model. The warning contains the model's
    last day.
    """


ENDING, UNLISTED = Warned(), Warned()


class Listed:
    """Checks model ids against the stored lists of the account's models in one Region. If no lists are stored, no call
    is refused.
    """

    def __init__(self, endpoint: Endpoint, wall: Clock = clocks.wall) -> None:
        self._endpoint = endpoint
        self._wall = wall

    def refusal(self, name: str, base: str) -> str | None:
        """Return the reason to refuse a call of the model `name` without sending it. Return None if the call can be
        sent.

        If the stored lists do not contain the model, the age of the lists decides. If the lists are less than 24 hours
        old, the call is refused. If the lists are older, the call is sent, and one warning is logged.

        If the last day of the model is at most 90 days away or has passed, one `EndOfLifeWarning` is emitted.
        """
        now = self._wall()
        listing = recall(None, self._endpoint.whose, self._endpoint.region, self._endpoint.url)
        if listing is not None and listing.lacks(name):
            if listing.is_young(now):
                return f"{no_such_id(name, listing)} The list was read today; `bedrock models sync` reads it again"
            if UNLISTED.first(name):
                LOGGER.warning(
                    "%s: the stored list of the models in %s does not contain this model. The list is older than 24 "
                    "hours, so the call is sent; run `bedrock models sync` to read a new list",
                    name,
                    listing.region,
                )
        self._warn_of_end(base, listing, now)
        return None

    def _warn_of_end(self, base: str, listing: Listing | None, now: float) -> None:
        last = self._last_day(base, listing)
        if last is None or last - datetime.fromtimestamp(now, UTC).date() > NEAR or not ENDING.first(base):
            return
        heir = lifecycle.successor(base, offered(listing) if listing else None)
        told = f"Its successor is {heir}; use it instead." if heir else "Choose another model."
        warnings.warn(
            f"the last day of {base} is {last}. After this day, AWS refuses calls of this model. {told}",
            EndOfLifeWarning,
            stacklevel=outside(),
        )

    def _last_day(self, base: str, listing: Listing | None) -> date | None:
        """Return the last day on which a model can be called, or None if no last day is known.

        If the stored list of the Region's models contains the lifecycle of the model, the date comes from this list.
        Otherwise, the date comes from AWS's documentation.
        """
        model = listing.find(base) if listing is not None else None
        if isinstance(model, FoundationModel) and model.lifecycle:
            return model.end_of_life
        return lifecycle.end_of_life(base) if of_aws(self._endpoint.url) else None
