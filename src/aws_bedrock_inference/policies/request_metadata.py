"""Send the caller's context along, for the account's own log of invocations."""

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
    """A policy that sends the context of each call of Converse as its `requestMetadata`, which AWS writes into the
    account's log of invocations. `names` are those to send; without one it is the whole context.

    The request's own `requestMetadata` stays, and comes first where there would be more than 16 names. Characters that
    AWS does not take are replaced by `_`. InvokeModel passes unchanged.

    Refuses nothing. Emits nothing.
    """

    def __init__(self, *names: str) -> None:
        given: tuple[Any, ...] = names  # whatever it really is
        if not all(isinstance(name, str) and name for name in given):
            wrong = ", ".join(map(shown, given))
            raise ValueError(f"RequestMetadata({wrong}): give names of the context, or none for all of it")
        self.names = names

    def around(self, step: Step, clock: Clock) -> Step:  # noqa: ARG002 - it needs no time
        """Return `step`, whose calls have their context in the request."""

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
