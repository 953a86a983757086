"""Send the caller's context with each call, for the account's model invocation log."""

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
    """A policy that sends the context of each Converse call as its `requestMetadata`, which AWS writes to the
    account's model invocation log. `names` are the names to send; without names, the whole context is sent.

    The request's own `requestMetadata` is kept, and takes precedence if there would be more than 16 names. Characters
    that AWS does not accept are replaced with `_`. Calls of InvokeModel pass unchanged.

    Refuses nothing. Emits nothing.
    """

    def __init__(self, *names: str) -> None:
        given: tuple[Any, ...] = names  # it may have any type
        if not all(isinstance(name, str) and name for name in given):
            wrong = ", ".join(map(shown, given))
            raise ValueError(f"RequestMetadata({wrong}): pass names of the context, or no names to send all of it")
        self.names = names

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - it does not use the time
        """Return `step`, and add the context to its requests."""

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
