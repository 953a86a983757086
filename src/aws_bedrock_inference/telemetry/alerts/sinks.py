"""The sinks of alerts: the log, a webhook, and an Amazon SNS topic. Each sink is called with one alert, and raises an
exception if the sink could not deliver the alert.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.fault import Decision, Fault
from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.sessions import is_http, make_client
from aws_bedrock_inference.telemetry.alerts.delivery import NotDelivered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.telemetry.alerts.alert import Alert

LOGGER = logging.getLogger("aws_bedrock_inference.alerts")

# Transient statuses of a webhook: time-out, too early, too many requests, and all server errors.
_PASSING = frozenset({408, 425, 429})
_SERVERS = 500

_URL = re.compile(r"[!-~]+")
_HEADER = re.compile(r"[\t -~\xa0-\xff]+")

# SNS accepts a subject of fewer than 100 characters of ASCII without line breaks (API reference of Publish, 2026-11).
_SUBJECT = 99


def to_log(alert: Alert) -> None:
    """Write `alert` to the logger `aws_bedrock_inference.alerts`. The level is WARNING at the beginning of an
    incident and INFO at its end. The log record's attribute `alert` contains the whole alert.
    """
    level = logging.INFO if alert.state == "ended" else logging.WARNING
    LOGGER.log(level, "%s", alert.summary, extra={"alert": alert.to_dict()})


class Webhook:
    """Posts alerts to a URL as JSON.

    `headers` are sent with each alert. If `secret` is set, each alert is signed: the header `X-Signature` contains
    `sha256=` and an HMAC-SHA256 in hexadecimal. The signed text is the value of the header `X-Timestamp`, a dot and the
    body.

    Redirects are not followed. A status of 2xx means that the alert is delivered. After the status 408, 425, 429 or
    5xx, the delivery is retried.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret: str | bytes | None = None,
        timeout: float = 10.0,
        clock: Clock = clocks.wall,
    ) -> None:
        if not is_http(url) or not _URL.fullmatch(url):
            raise ValueError(f"Webhook({shown(url)}): pass a URL that begins with https:// or http://")
        if urlsplit(url).username is not None:
            raise ValueError(
                "Webhook(<URL hidden>): the URL contains a user name or password. Remove it from the URL, "
                "and pass headers={'Authorization': 'Basic …'} instead"
            )
        for name, value in (headers or {}).items():
            if not (_is_header(name) and name.isascii() and _is_header(value)):
                raise ValueError(
                    f"Webhook(headers={{{shown(name)}: {shown(value)}}}): pass texts of one line; the name in ASCII, "
                    "the value in Latin-1"
                )
        if not is_number(timeout, above=0):
            raise ValueError(f"Webhook(timeout={shown(timeout)}): pass seconds above 0")
        self.name = f"the webhook at {urlsplit(url).hostname}"  # its path may be a secret
        self._url = url
        self._headers = dict(headers or {})
        self._secret = secret.encode() if isinstance(secret, str) else secret
        self._timeout = timeout
        self._clock = clock
        self._opener = urllib.request.build_opener(_NoRedirect)

    def __repr__(self) -> str:
        return f"Webhook({urlsplit(self._url).hostname!r})"

    def __call__(self, alert: Alert) -> None:
        """Post `alert`."""
        body = json.dumps(alert.to_dict(), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "X-Alert-Id": alert.id, **self._headers}
        if self._secret is not None:
            now = str(int(self._clock()))
            signed = hmac.new(self._secret, now.encode() + b"." + body, hashlib.sha256)
            headers |= {"X-Timestamp": now, "X-Signature": f"sha256={signed.hexdigest()}"}
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - http or https
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            with error:
                raise NotDelivered(_refusal(error)) from None
        except urllib.error.URLError as error:
            raise error.reason if isinstance(error.reason, Exception) else error from None


def _is_header(value: object) -> bool:
    return isinstance(value, str) and bool(_HEADER.fullmatch(value))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect, because a redirected POST would become a GET."""


def _refusal(error: urllib.error.HTTPError) -> Fault:
    passes = error.code in _PASSING or error.code >= _SERVERS
    after = error.headers.get("Retry-After", "")
    return Fault(
        code=f"HTTP {error.code}",
        message="",
        cause="webhook-refused",
        decision=Decision.RETRY if passes else Decision.FAIL,
        status=error.code,
        retry_after=float(after) if after.isascii() and after.isdigit() else None,
    )


class Sns(Locked):
    """Publishes alerts to an Amazon SNS topic: JSON for programs, a human-readable text for e-mail, and one line for
    phones.

    `session` is a boto3 or botocore session. By default, boto3's default session is used. The session's credentials
    need the permission sns:Publish on the topic.
    """

    def __init__(self, arn: str, *, session: Any = None, endpoint_url: str | None = None) -> None:
        super().__init__()
        arn = str(arn).removeprefix("sns://")
        parts = arn.split(":")
        if len(parts) != 6 or parts[0] != "arn" or parts[2] != "sns" or not all(parts[1:]):  # noqa: PLR2004
            raise ValueError(f"Sns({shown(arn)}): pass the ARN of a topic, arn:aws:sns:REGION:ACCOUNT:NAME")
        self.name = f"the topic {parts[5]}"
        self._arn, self._region = arn, parts[3]
        self._session, self._endpoint = session, endpoint_url
        self._client: Any = None

    def __repr__(self) -> str:
        return f"Sns({self.name!r})"

    def after_fork(self) -> None:
        """Forget the parent's connections in a forked child."""
        super().after_fork()
        self._client = None

    def __call__(self, alert: Alert) -> None:
        """Publish `alert`."""
        texts = {"default": json.dumps(alert.to_dict()), "email": as_text(alert), "sms": alert.summary[:140]}
        subject = "".join(char if " " <= char <= "~" else "?" for char in alert.summary)[:_SUBJECT]
        fifo = {"MessageGroupId": alert.incident, "MessageDeduplicationId": alert.id}
        self._publisher().publish(
            TopicArn=self._arn,
            Subject=subject,
            Message=json.dumps(texts),
            MessageStructure="json",
            **(fifo if self._arn.endswith(".fifo") else {}),
        )

    def _publisher(self) -> Any:
        with self._lock:
            if self._client is None:
                from botocore.config import Config  # noqa: PLC0415 - heavy; only who publishes needs it

                # The outlet already retries deliveries, so botocore must not retry.
                config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)
                options = {"region_name": self._region, "endpoint_url": self._endpoint, "config": config}
                self._client, _, _ = make_client("sns", self._session, **options)
            return self._client


def as_text(alert: Alert) -> str:
    """Return the human-readable text of an alert, for e-mail."""
    lines = [alert.summary, "", alert.meaning, *(f"* {remedy}" for remedy in alert.remedies), alert.link, ""]
    facts = {
        "Began": alert.start,
        "Ended": alert.end,
        "Models": ", ".join(alert.models),
        "Regions": ", ".join(alert.regions),
        "Operations": ", ".join(alert.operations),
        "Tenants": ", ".join(alert.tenants),
        "Causes": ", ".join(f"{cause} ({count:,})" for cause, count in alert.causes.items()),
        "Dead letters": f"{alert.letters:,}" if alert.letters else "",
        "Sample": ", ".join(alert.sample.values()),
    }
    return "\n".join([*(line for line in lines), *(f"{name}: {fact}" for name, fact in facts.items() if fact)])


def sink_of(given: Any) -> Callable[[Alert], Any]:
    """Return the sink for `given`: `log`, a URL, the ARN of a topic, or a function. Raises `ValueError` for any other
    value.
    """
    if callable(given):
        sink: Callable[[Alert], Any] = given
        return sink
    if isinstance(given, str):
        if given == "log":
            return to_log
        if given.startswith(("sns://", "arn:")):
            return Sns(given)
        if given.startswith(("https://", "http://")):
            return Webhook(given)
    raise ValueError(
        f"Alerts({shown(given)}): pass 'log', 'https://…', 'arn:aws:sns:…', a Webhook, an Sns, or a function"
    )
