"""Send CountTokens with a model id that the service accepts, or estimate the tokens if the service accepts no id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.dialects.usage import count_response
from aws_bedrock_inference.fault import Fault, Kind
from aws_bedrock_inference.forks import Locked
from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, cannot_count
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.policies.refusals import invalid_request
from aws_bedrock_inference.tokens.estimate import BodyError, estimate

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clients.routes import Routes
    from aws_bedrock_inference.flow import Flow, Step
    from aws_bedrock_inference.tokens.ratio import TokenGauge

# The maximum number of remembered ids. There is a maximum because ids can come from the users of a program.
_MOST = 1024

# Causes of rejections that apply to every request with the same model.
_OF_THE_MODEL = frozenset(
    {"on-demand-not-supported-use-inference-profile", "model-not-for-operation", "model-not-on-this-route"}
)


class Counting(Locked):
    """Remembers which ids CountTokens accepts.

    CountTokens rejects the id of an inference profile. The client then sends the id of the model behind the profile,
    and remembers for later calls that this id was accepted. CountTokens also rejects the ids of some models, such as
    models that can only be called through a profile. In this case, the client estimates the tokens, and the response
    contains `"estimated": True`. For later calls with the same id, the client estimates without a request.
    """

    def __init__(self, gauge: TokenGauge, routes: Routes) -> None:
        self._gauge = gauge
        self._routes = routes
        self._counted: dict[str, str | None] = {}
        super().__init__()

    def count(self, step: Step, call: Call) -> Flow:
        """Send the CountTokens call `call` and return its outcome. The function `step` sends the request.

        If CountTokens accepts no id of the model, the outcome contains an estimate.
        """
        given = call.params["modelId"]
        counted = self._counted.get(given, given)
        refused: Fault | None = None
        while counted is not None:
            outcome: Outcome = yield from step(_renamed(call, counted))
            refused = outcome.fault
            if refused is None or not _not_counted(refused, own=counted == given):
                if refused is None and counted != given:
                    self._remember(given, counted)
                return outcome
            base = self._routes.find(given).base  # also the model of an ARN, which `step` has looked up meanwhile
            counted = base if counted == given and base not in {given, UNKNOWN_MODEL} else None
        if refused is not None and self._remember(given, None):
            LOGGER.warning(
                "count_tokens on %s: AWS does not count the tokens of this model (error code %s, request id %s). From "
                "now on, count_tokens returns estimates for this model",
                call.route,
                refused.code,
                refused.request_id,
            )
        return self._guess(call)

    def _guess(self, call: Call) -> Outcome:
        content, base = call.params["input"], self._routes.find(call.params["modelId"]).base
        try:
            guess = estimate("converse", content.get("converse") or content.get("invokeModel") or {}, base, self._gauge)
        except BodyError as error:
            return Outcome(fault=invalid_request(f"count_tokens: {error}"))
        counted = count_response(guess.input_tokens)
        return Outcome({**counted, "estimated": True, "ResponseMetadata": {"RetryAttempts": 0}})

    def _remember(self, given: str, counted: str | None) -> bool:
        """Store the id `counted`, which is sent to CountTokens instead of the id `given`. `counted` is None if
        CountTokens accepts no id of the model. Return False if the same ids were already stored, otherwise True.
        """
        with self._lock:
            if given in self._counted and self._counted[given] == counted:
                return False
            if len(self._counted) >= _MOST:
                del self._counted[next(iter(self._counted))]
            self._counted[given] = counted
            return True


def _not_counted(refused: Fault, *, own: bool) -> bool:
    """Return True if the error `refused` shows that CountTokens does not accept the id that was sent.

    `own` is True if the caller passed the id that was sent. `own` is False if the caller passed a profile, and the
    client sent the id of the model behind the profile.

    Some callers have the permission to call a profile, but not the model behind the profile. If the client sends the id
    of this model, AWS denies access. Therefore, if `own` is False, the result is also True for errors such as denied
    access or an unknown model.
    """
    of_the_model = refused.kind in (Kind.DENIED, Kind.NOT_FOUND) or refused.cause in _OF_THE_MODEL
    return cannot_count(refused.message) or (not own and of_the_model)


def _renamed(call: Call, model: str) -> Call:
    return call if model == call.params["modelId"] else call._replace(params={**call.params, "modelId": model})
