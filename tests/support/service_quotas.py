"""A Service Quotas endpoint whose quotas a test decides, on a real socket."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GEOGRAPHIC = "Cross-region model inference {} per minute for {}"
ON_DEMAND = "On-demand model inference {} per minute for {}"
GLOBAL = "Global cross-region model inference {} per minute for {}"

PAGE = 3


def quota(code: str, name: str, value: float, *, adjustable: bool = True, **fields: Any) -> dict[str, Any]:
    return {
        "ServiceCode": "bedrock",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": value,
        "Unit": "None",
        "Adjustable": adjustable,
        "GlobalQuota": False,
        **fields,
    }


# What an ordinary account is given; names and numbers as in public readings of Service Quotas.
DEFAULTS = [
    quota("L-CE33604C", ON_DEMAND.format("tokens", "Amazon Nova Pro"), 1_000_000, adjustable=False),
    quota("L-C0326783", GEOGRAPHIC.format("tokens", "Amazon Nova Pro"), 2_000_000),
    quota("L-ED46B8C5", GEOGRAPHIC.format("requests", "Amazon Nova Pro"), 500),
    quota("L-7C42E72A", GEOGRAPHIC.format("tokens", "Amazon Nova Lite"), 8_000_000),
    quota("L-89F8391A", GEOGRAPHIC.format("requests", "Amazon Nova Lite"), 2_000),
    quota("L-F4DDD3EB", GEOGRAPHIC.format("tokens", "Anthropic Claude Sonnet 4.5 V1"), 5_000_000),
    quota("L-8EA73537", GEOGRAPHIC.format("tokens", "Anthropic Claude Sonnet 4.5 V1 1M Context Length"), 1_000_000),
    quota("L-27C57EE8", GLOBAL.format("tokens", "Anthropic Claude Sonnet 4.5 V1"), 5_000_000),
    quota("L-9072D6F0", "(Guardrails) On-demand ApplyGuardrail requests per second", 50),
    quota("L-E3F10727", "Cross-Model Max Tokens Per Day", 700_000_000, adjustable=False),
]


class ServiceQuotas:
    """Lists `applied` and `defaults`, three a page, and accepts requests for increases.

    `refusals` maps an operation to the code and message of its refusal; `asked` has the received requests."""

    def __init__(self) -> None:
        self.defaults = [dict(each) for each in DEFAULTS]
        self.applied = [dict(each, QuotaAppliedAtLevel="ACCOUNT") for each in DEFAULTS]
        self.refusals: dict[str, tuple[str, str]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body go out together

            def do_POST(self) -> None:
                operation = self.headers["X-Amz-Target"].partition(".")[2]
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, content = fake.answer(operation, body)
                payload = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((operation, body))
        if operation in self.refusals:
            code, message = self.refusals[operation]
            return 400, {"__type": code, "Message": message}
        if operation == "RequestServiceQuotaIncrease":
            return 200, {"RequestedQuota": {"Id": "abc123", "Status": "PENDING", "CaseId": "171", **body}}
        listed = {"ListServiceQuotas": self.applied, "ListAWSDefaultServiceQuotas": self.defaults}[operation]
        start = int(body.get("NextToken", 0))
        more = {"NextToken": str(start + PAGE)} if start + PAGE < len(listed) else {}
        return 200, {"Quotas": listed[start : start + PAGE], **more}

    def apply(self, code: str, value: float) -> None:
        """Let the account have another value than the default."""
        for each in self.applied:
            if each["QuotaCode"] == code:
                each["Value"] = value

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
