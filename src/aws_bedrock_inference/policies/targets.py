"""The other routes of a `Fallback`: what the user names, and what becomes of a call that goes there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.accounts import AssumedRole
from aws_bedrock_inference.bounds import hashed, shown, shown_name
from aws_bedrock_inference.call import Route
from aws_bedrock_inference.knowledge.models import target
from aws_bedrock_inference.place import server_of
from aws_bedrock_inference.policies.quota import Quota
from aws_bedrock_inference.sessions import A_SESSION, is_http, is_session
from aws_bedrock_inference.tokens.estimate import estimate

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.place import Place
    from aws_bedrock_inference.rules.health import Health

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_NO_ID = re.compile(r"[\s,;'\"()\[\]{}]")
_TIERS = ("default", "flex", "priority", "reserved")


@dataclass(frozen=True, slots=True)
class Target:
    """Another route for calls: a model, and where and as whom to call it.

    `model_id` is a model id, inference profile id or ARN. What is not given is as in the client: `region_name`,
    `session` (boto3's or botocore's) and `endpoint_url`. `role_arn` is a role to call with, often one of another
    account: its ARN, or an `AssumedRole` where it needs an external id or session tags. `tier` is one of Bedrock's
    service tiers. `quota` is the account's `Quota` for this model there; without one the target learns its own from
    throttles alone.

    Raises `ValueError` for what cannot be right.
    """

    model_id: str
    _: KW_ONLY
    region_name: str | None = None
    session: Any = field(default=None, repr=False)
    role_arn: str | AssumedRole | None = None
    endpoint_url: str | None = None
    tier: str | None = None
    quota: Quota | None = None

    def __post_init__(self) -> None:
        if not str(self.model_id or "").strip():
            raise ValueError(f"Target({shown(self.model_id)}): give a model id, inference profile id or ARN")
        if _NO_ID.search(str(self.model_id)):
            raise ValueError(
                f"Target({shown(self.model_id)}): no model id has a comma, space, quote or bracket in it; give each "
                "by itself: Fallback('one-model-id', 'another-model-id')"
            )
        if self.region_name is not None and not _REGION.fullmatch(str(self.region_name)):
            raise ValueError(f"Target(region_name={shown(self.region_name)}): give a Region such as 'us-west-2'")
        if self.endpoint_url is not None and not is_http(self.endpoint_url):
            raise ValueError(
                f"Target(endpoint_url={shown(self.endpoint_url)}): give http://host:port or https://host:port"
            )
        if self.session is not None and not is_session(self.session):
            raise ValueError(f"Target(session={shown(self.session)}): {A_SESSION}")
        if self.role_arn is not None and not isinstance(self.role_arn, AssumedRole):
            object.__setattr__(self, "role_arn", AssumedRole(self.role_arn))
        if self.tier is not None and self.tier not in _TIERS:
            raise ValueError(f"Target(tier={shown_name(self.tier, _TIERS)}): give one of {', '.join(_TIERS)}")
        if self.quota is not None and not isinstance(self.quota, Quota):
            raise ValueError(f"Target(quota={shown(self.quota)}): give a Quota, such as Quota(tpm=2e6)")

    @property
    def here(self) -> bool:
        """True if its calls go to the client's own endpoint."""
        return all(each is None for each in (self.region_name, self.endpoint_url, self.session, self.role_arn))


class Leg(NamedTuple):
    """One route as a call takes it. `target` is None for the route that was asked for; `number` is its place in the
    list, from 0.
    """

    number: int
    route: Route
    place: Place | None
    health: Health
    target: Target | None = None
    quota: Quota | None = None
    tier: str = "default"

    def call(self, call: Call) -> Call:
        """Return `call` as it is sent on this route."""
        if self.target is None:
            return call
        params = {**call.params, "modelId": self.route.model}
        if self.target.tier is not None:
            native = call.operation.startswith("invoke_model")  # there it is a header
            params["serviceTier"] = self.target.tier if native else {"type": self.target.tier}
        return call._replace(
            params=params,
            route=self.route,
            estimate=estimate(call.operation, params, self.route.base),
            place=self.place,
            quota=self.quota,
        )

    def differs(self, other: Leg, differences: frozenset[str]) -> bool:
        """Return whether this route differs from the other one in at least one of these."""
        here, there = self.route, other.route
        return any(
            {
                "model": here.base != there.base,
                "region": here.region != there.region or here.endpoint != there.endpoint,
                "pool": here.pool != there.pool or self.tier != other.tier,
                "account": here.account != there.account or here.principal != there.principal,
            }[name]
            for name in differences
        )


def tier_of(call: Call, wanted: Target | None = None) -> str:
    """Return the service tier of a call as it goes to a target, None for the route that was asked for."""
    if wanted is not None and wanted.tier is not None:
        return wanted.tier
    tier = call.params.get("serviceTier")
    return str((tier.get("type") if isinstance(tier, Mapping) else tier) or "default")


def is_same(route: Route, other: Route) -> bool:
    """Return whether two routes are one: the same model at the same endpoint, called by the same identity."""
    return route == other and (route.endpoint, route.principal) == (other.endpoint, other.principal)


def route_of(found: Target, call: Call, place: Place | None) -> Route:
    """Return the route of a target's calls, for a call that was made for another one."""
    split = target(found.model_id)
    if place is None or found.here:
        return replace(call.route, model=str(found.model_id), base=split.base, pool=split.pool)
    return Route(
        str(found.model_id),
        place.region,
        place.account,
        split.base,
        split.pool,
        endpoint=hashed(place.url),
        principal=place.principal,
        server=server_of(place.url),
    )
