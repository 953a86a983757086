"""Alerts: a few rules examine the counts of all processes. Each incident raises one alert at its beginning and one at
its end.

    observe(alerts=Alerts("arn:aws:sns:eu-west-1:123456789012:oncall", store="redis://host", service="checkout"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.call import name_of
from aws_bedrock_inference.telemetry.alerts.alert import Alert
from aws_bedrock_inference.telemetry.alerts.sinks import Sns, Webhook, sink_of
from aws_bedrock_inference.telemetry.alerts.store import AlertStore, open_alert_store
from aws_bedrock_inference.telemetry.alerts.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.telemetry.alerts.counted import Limits

__all__ = ["Alert", "Alerts", "Sns", "Webhook"]


class Alerts:
    """Raises one alert for each incident of a service, and reports the end of the incident.

    Each of `sinks` receives every alert. A sink is `"log"` (the default), the URL of a webhook or a `Webhook`, the ARN
    of an Amazon SNS topic or an `Sns`, or a function. The function is called with an `Alert`, in a separate thread.

    `store` is a URL such as `redis://host` or `sqlite:///path`. The processes of a service combine their counts in
    the store, so that only one of them raises the alert. Without a store, each process examines only its own counts.
    `service` is the name of the service in the store and in its alerts. `quota` is the `Quota` of the clients.
    If `quota` is set, an alert is also raised for each quota that is nearly exhausted.
    """

    def __init__(
        self,
        *sinks: str | Callable[[Alert], Any],
        store: str | AlertStore | None = None,
        quota: Limits | None = None,
        service: str = "",
    ) -> None:
        self._given = sinks or ("log",), store, service
        self._sinks = [sink_of(sink) for sink in self._given[0]]
        if quota is not None and not hasattr(quota, "ledger"):
            raise ValueError(f"Alerts(quota={shown(quota)}): pass the Quota(...) that the clients use")
        self._store = open_alert_store(store) if isinstance(store, str) else store
        self._quota = quota
        self._service = name_of("service", service, "checkout") if service else ""

    def __eq__(self, other: object) -> bool:
        """Return whether `other` has the same settings, so that it raises the same alerts.

        If two `Alerts` are equal, `observe` runs only one of them.
        """
        return isinstance(other, Alerts) and self._given == other._given and self._quota is other._quota

    def __hash__(self) -> int:
        return hash(self._service)

    def sink(self) -> Watching:
        """Return the listener that `observe` adds. The listener counts events and raises alerts until it is closed."""
        return Watching(self._sinks, self._store, self._quota, self._service)
