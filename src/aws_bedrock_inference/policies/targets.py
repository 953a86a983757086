"""The other routes of a `Fallback`. A route is a model in one Region and account. `Target` is the user's description
of a route. `Leg` is a route as one call uses it.
"""

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
    """Another route for calls of a `Fallback`: a model, and the endpoint and credentials with which it is called.

    * `model_id`: a model id, inference profile id or ARN.
    * `region_name`, `session` (of boto3 or botocore), `endpoint_url`: by default the same as in the client.
    * `role_arn`: a role to assume, often in another account. Pass its ARN, or an `AssumedRole` if it needs an
      external id or session tags.
    * `tier`: one of Bedrock's service tiers.
    * `quota`: the account's `Quota` for this model on this route. Without it, the target learns its limits from
      throttles.

    Raises `ValueError` for invalid options.
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
            raise ValueError(f"Target({shown(self.model_id)}): pass a model id, inference profile id or ARN")
        if _NO_ID.search(str(self.model_id)):
            raise ValueError(
                f"Target({shown(self.model_id)}): a model id contains no comma, space, quote or bracket; pass each id "
                "as a separate argument: Fallback('one-model-id', 'another-model-id')"
            )
        if self.region_name is not None and not _REGION.fullmatch(str(self.region_name)):
            raise ValueError(f"Target(region_name={shown(self.region_name)}): pass a Region such as 'us-west-2'")
        if self.endpoint_url is not None and not is_http(self.endpoint_url):
            raise ValueError(
                f"Target(endpoint_url={shown(self.endpoint_url)}): pass http://host:port or https://host:port"
            )
        if self.session is not None and not is_session(self.session):
            raise ValueError(f"Target(session={shown(self.session)}): {A_SESSION}")
        if self.role_arn is not None and not isinstance(self.role_arn, AssumedRole):
            object.__setattr__(self, "role_arn", AssumedRole(self.role_arn))
        if self.tier is not None and self.tier not in _TIERS:
            raise ValueError(f"Target(tier={shown_name(self.tier, _TIERS)}): pass one of {', '.join(_TIERS)}")
        if self.quota is not None and not isinstance(self.quota, Quota):
            raise ValueError(f"Target(quota={shown(self.quota)}): pass a Quota, such as Quota(tpm=2e6)")

    @property
    def here(self) -> bool:
        """True if calls to this target use the client's own endpoint and credentials."""
        return all(each is None for each in (self.region_name, self.endpoint_url, self.session, self.role_arn))


class Leg(NamedTuple):
    """A route (model, Region and account) as one call uses it. `target` is None if the route is the one that the caller
    requested. `number` is the position of the route in the list of routes, beginning with 0.
    """

    number: int
    route: Route
    place: Place | None
    health: Health
    target: Target | None = None
    quota: Quota | None = None
    tier: str = "default"

    def call(self, call: Call) -> Call:
        """Return `call` with the changes that are needed to send the call on this route."""
        if self.target is None:
            return call
        params = {**call.params, "modelId": self.route.model}
        if self.target.tier is not None:
            native = call.operation.startswith("invoke_model")  # InvokeModel sends the tier as a header
            params["serviceTier"] = self.target.tier if native else {"type": self.target.tier}
        return call._replace(
            params=params,
            route=self.route,
            estimate=estimate(call.operation, params, self.route.base),
            place=self.place,
            quota=self.quota,
        )

    def differs(self, other: Leg, differences: frozenset[str]) -> bool:
        """Return True if this route differs from `other` in at least one of `differences`, such as `model` or
        `region`; otherwise return False.
        """
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
    """Return the service tier of a call that is sent to the target `wanted`. If `wanted` is None, return the tier of
    the call on the requested route.
    """
    if wanted is not None and wanted.tier is not None:
        return wanted.tier
    tier = call.params.get("serviceTier")
    return str((tier.get("type") if isinstance(tier, Mapping) else tier) or "default")


def is_same(route: Route, other: Route) -> bool:
    """Return True if two routes are the same: the same model at the same endpoint, called with the same credentials.
    Otherwise return False.
    """
    return route == other and (route.endpoint, route.principal) == (other.endpoint, other.principal)


def route_of(found: Target, call: Call, place: Place | None) -> Route:
    """Return the route on which `call` reaches the target `found`. This route replaces the route that the caller
    requested. `place` is the endpoint and session of the target. If it is None, the call uses the client's own
    endpoint and session.
    """
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
