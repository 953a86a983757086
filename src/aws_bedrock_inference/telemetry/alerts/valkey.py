"""An alert store on a Redis or Valkey server, for the processes of many machines. All times are the server's time."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from aws_bedrock_inference.stores.request import STORE_TIMEOUT, Question
from aws_bedrock_inference.stores.server import Server
from aws_bedrock_inference.stores.server_errors import Purpose
from aws_bedrock_inference.telemetry.alerts.store import DUE, MOST_REPORTS, TURN, Turn

PURPOSE = Purpose("share alerts", "bedrock:alerts:*", "EVAL, EVALSHA, SCRIPT LOAD, TIME and those of lists and hashes")

# Milliseconds after which unused keys expire. The store must remember the first occurrence of each cause for a month.
_FORGOTTEN = 31 * 24 * 3600 * 1000

_REPORT = """
local reports, room = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = tonumber(ARGV[3]) or (tonumber(time[1]) + tonumber(time[2]) / 1000000)
local said = string.format('%.3f', now)
if redis.call('LLEN', reports) < tonumber(ARGV[4]) then
  redis.call('RPUSH', reports, said .. ' ' .. ARGV[1])
end
local looked, taken = tonumber(redis.call('HGET', room, 'looked')), tonumber(redis.call('HGET', room, 'taken'))
if looked and now - looked >= 0 and now - looked < tonumber(ARGV[5]) then return {} end
if taken and now - taken >= 0 and now - taken < tonumber(ARGV[6]) then return {} end
redis.call('HSET', room, 'taken', said, 'token', ARGV[2])
redis.call('PEXPIRE', reports, ARGV[7])
redis.call('PEXPIRE', room, ARGV[7])
return {said, redis.call('HGET', room, 'memory') or '', redis.call('LRANGE', reports, 0, -1)}
"""

_SETTLE = """
local reports, room = KEYS[1], KEYS[2]
if redis.call('HGET', room, 'token') ~= ARGV[1] then return 0 end
redis.call('HSET', room, 'memory', ARGV[2], 'looked', ARGV[3])
redis.call('HDEL', room, 'token', 'taken')
redis.call('LTRIM', reports, ARGV[4], -1)
return 1
"""


class ValkeyAlerts:
    """Stores the reports of processes in a list, and the state of the alert rules in a hash.

    `place` is the URL of the server without user, password and options. `timeout` is the maximum number of seconds for
    connecting, and for each exchange with the server.
    """

    def __init__(self, url: str, *, timeout: float = STORE_TIMEOUT) -> None:
        self._server = Server(url, PURPOSE, timeout=timeout, text=True)
        self.place = self._server.place
        self._timeout = timeout

    def report(self, service: str, text: str) -> Question[Turn | None]:
        """Store a report of a process.

        If the stored reports are due for examination, return a `Turn`. The caller must then examine these reports.
        Otherwise, return None.
        """
        return Question(partial(self._report, service, text), 2 * self._timeout, self.place)

    def settle(self, service: str, turn: Turn, memory: str) -> Question[bool]:
        """Store `memory` as the new state of the alert rules. Delete the reports that `turn` contains. Return True.

        If another process has received a newer `Turn`, change nothing and return False.
        """
        return Question(partial(self._settle, service, turn, memory), 2 * self._timeout, self.place)

    def close(self) -> None:
        """Close the connections. The next request opens a new one."""
        self._server.close()

    def __repr__(self) -> str:
        return f"ValkeyAlerts({self.place!r})"

    def _report(self, service: str, text: str, now: float | None = None) -> Turn | None:
        token = uuid.uuid4().hex
        with self._server.errors():
            at = "" if now is None else repr(now)
            answer = self._run(_REPORT, service, text, token, at, MOST_REPORTS, DUE, TURN, _FORGOTTEN)
            if not answer:
                return None
            at, memory, reports = answer
            pairs = (report.partition(" ") for report in reports)
            return Turn(token, float(at), memory, tuple((float(then), text) for then, _, text in pairs))

    def _settle(self, service: str, turn: Turn, memory: str) -> bool:
        with self._server.errors():
            return bool(self._run(_SETTLE, service, turn.token, memory, repr(turn.now), len(turn.reports)))

    def _run(self, script: str, service: str, *arguments: Any) -> Any:
        keys = [f"bedrock:alerts:{{{service}}}:reports", f"bedrock:alerts:{{{service}}}:memory"]
        return self._server.client().register_script(script)(keys, list(arguments))
