"""Read a request to the simulator: its operation, its model, and its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.knowledge.models import split_profile
from aws_bedrock_inference.simulator.error_texts import ServiceError, ServiceMissing
from aws_bedrock_inference.simulator.signature import caller, region

if TYPE_CHECKING:
    from collections.abc import Mapping

# Operations by the last part of the path /model/{modelId}/...: botocore 1.44.5, bedrock-runtime 2023-09-30.
_OPERATIONS = {
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
    "count-tokens": "CountTokens",
}
# The paths of the control plane, for lists and for single objects. botocore 1.44.8, bedrock 2023-04-20.
_CONTROL = {
    "foundation-models": ("ListFoundationModels", "GetFoundationModel"),
    "inference-profiles": ("ListInferenceProfiles", "GetInferenceProfile"),
    "use-case-for-model-access": ("GetUseCaseForModelAccess", ""),
    "data-retention": ("GetAccountDataRetention", ""),
    "trusted-access-programs": ("ListTrustedAccessPrograms", ""),
    "enforcedGuardrailsConfiguration": ("ListEnforcedGuardrailsConfiguration", ""),
    "foundation-model-availability": ("", "GetFoundationModelAvailability"),
}
_OTHER_SERVICE = (
    "This is the simulator of Bedrock. It has no STS, and no other service that accepts forms. Unset the setting that "
    "leads to the simulator, for example AWS_ENDPOINT_URL_STS, so that the request goes to AWS."
)
_JOB, _ALL_JOBS = "model-invocation-job", "model-invocation-jobs"
JOBS = frozenset(f"{verb}ModelInvocationJob" for verb in ("Create", "Get", "Stop")) | {"ListModelInvocationJobs"}
"""The operations of batch jobs."""

CONTROL = frozenset(name for names in _CONTROL.values() for name in names if name) | JOBS
"""The operations of the control plane."""


class Request(NamedTuple):
    """The request as it was received. The path is decoded, and header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Asked(NamedTuple):
    """The operation, the model and the caller of a request.

    `model` is the id or ARN as it was sent. `base` is the id of its base model, without the prefix of an inference
    profile. `body` is the parsed JSON body. `format` is the name of the body's format for InvokeModel. `body` and
    `format` are empty until the body is read.
    """

    operation: str
    model: str
    base: str
    pool: str
    region: str
    caller: str
    body: dict[str, Any] = {}  # noqa: RUF012 - never changed
    format: str = ""

    @property
    def streaming(self) -> bool:
        """True if the answer is an event stream."""
        return self.operation.endswith("Stream")

    @property
    def native(self) -> bool:
        """True for InvokeModel and InvokeModelWithResponseStream, whose bodies are in the model's own format."""
        return self.operation.startswith("InvokeModel")

    @property
    def control(self) -> bool:
        """True if the operation belongs to the control plane."""
        return self.operation in CONTROL


def asked(request: Request, home: str) -> Asked:
    """Return the operation, the model and the caller, from the path and the signature. `home` is the Region of
    requests that do not name a Region. Raises ServiceError.
    """
    head, _, rest = request.path.removeprefix("/").partition("/")
    if head in (_JOB, _ALL_JOBS):
        model, operation = _asked_of_jobs(request.method, head, rest)
    elif request.method == "GET" and head in _CONTROL:
        model, operation = rest, _CONTROL[head][bool(rest)]
    else:
        model, _, last = rest.rpartition("/")
        operation = _OPERATIONS.get(last, "") if request.method == "POST" and head == "model" and model else ""
    if not operation:
        if request.body.startswith(b"Action="):
            raise ServiceMissing("InvalidAction", _OTHER_SERVICE, 400)
        raise ServiceError("UnknownOperationException")
    base, pool = split_profile(model)
    authorization = request.headers.get("authorization", "")
    return Asked(operation, model, base, pool, region(authorization) or home, caller(authorization))


def _asked_of_jobs(method: str, head: str, rest: str) -> tuple[str, str]:
    """Return the id or ARN of a batch job, and the name of the operation. The id is empty if a request creates or
    lists jobs. The operation is empty if the request matches no operation of batch jobs.
    """
    if head == _ALL_JOBS:
        return "", "ListModelInvocationJobs" if method == "GET" and not rest else ""
    if method == "GET" and rest:
        return rest, "GetModelInvocationJob"
    if method == "POST" and not rest:
        return "", "CreateModelInvocationJob"
    job = rest.removesuffix("/stop")
    return job, "StopModelInvocationJob" if method == "POST" and job and job != rest else ""


def is_about_jobs(request: Request) -> bool:
    """Return whether a request is an operation of batch jobs."""
    return request.path.removeprefix("/").partition("/")[0] in (_JOB, _ALL_JOBS)
