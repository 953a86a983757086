"""The policy that sends the caller's context with each Converse call. AWS then writes the context to the account's
model invocation log. The context is the names and values that `context(...)` has set.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import shown
from aws_bedrock_inference.contexts import MOST_NAMES, texts

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Flow, Step

_CONVERSE = frozenset({"converse", "converse_stream"})
_REFUSED = re.compile(r"[^a-zA-Z0-9\s:_@$#=/+,\-.]", re.ASCII)  # in botocore's model of Converse


class RequestMetadata:
    """A policy that sends the caller's context with each Converse call as `requestMetadata`. AWS writes this
    context to the account's model invocation log.

    * `names`: the names that are sent, with their values. The other names of the context are not sent. Without `names`,
      the whole context is sent.

    The request's own `requestMetadata` is also sent, and takes precedence. AWS accepts at most 16 names. If the request
    and the context together have more names, some names of the context are not sent. Characters that AWS does not
    accept are replaced with `_`. Calls of InvokeModel are sent unchanged.

    Refuses no call. Emits nothing. Raises `ValueError` for invalid names.
    """

    def __init__(self, *names: str) -> None:
        given: tuple[Any, ...] = names  # it may have any type
        if not all(isinstance(name, str) and name for name in given):
            wrong = ", ".join(map(shown, given))
            raise ValueError(
                f"RequestMetadata({wrong}): pass names that your code sets with context(...), such as "
                "RequestMetadata('team'), or pass no names to send all"
            )
        self.names = names

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - it does not use the time
        """Return a step that adds the caller's context (set with `context(...)`) to each Converse request, and then
        runs `step` (the rest of the pipeline).
        """

        def flow(call: Call) -> Flow:
            return step(self._with_context(call) if call.context and call.operation in _CONVERSE else call)

        return flow

    def _with_context(self, call: Call) -> Call:
        own = dict(call.params.get("requestMetadata") or {})
        for name, text in texts(call.context).items():
            if name not in own and len(own) < MOST_NAMES and (not self.names or name in self.names):
                own[name] = _REFUSED.sub("_", text)
        return call._replace(params={**call.params, "requestMetadata": own}) if own else call

    def __repr__(self) -> str:
        return f"RequestMetadata({', '.join(map(repr, self.names))})"
