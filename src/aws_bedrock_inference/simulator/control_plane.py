"""The control plane of the simulated account: the service `bedrock`, which describes models, inference profiles and
access.

The control plane answers GET requests, on the same port as the runtime (the service `bedrock-runtime`).

The fields of its answers are those of botocore 1.44.8 (service model bedrock, 2023-04-20).
"""

from __future__ import annotations

import tomllib
from base64 import b64encode
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from math import inf
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from aws_bedrock_inference.simulator.error_texts import ServiceError, invalid, text
from aws_bedrock_inference.simulator.foundation_settings import (
    APPLICATION,
    SYSTEM,
    EnforcedGuardrail,
    FoundationModel,
    InferenceProfile,
    TrustedAccess,
    moment,
)

if TYPE_CHECKING:
    from aws_bedrock_inference.simulator.request import Asked
    from aws_bedrock_inference.simulator.settings import Scenario

ACCOUNT = "123456789012"
_PAGE = 100
_MOST_A_PAGE = 1000

_LIFE = {
    "startOfLifeTime": "start_of_life",
    "legacyTime": "legacy",
    "publicExtendedAccessTime": "extended_access",
    "endOfLifeTime": "end_of_life",
}


class ControlPlane:
    """The models and inference profiles of the simulated account.

    If the scenario lists models or profiles, only the listed ones exist. The method `check` then refuses runtime calls
    to any other model id, but allows all calls to an ARN.

    If the scenario lists neither models nor profiles, the account has the models of `foundation.toml`. The method
    `check` then allows every runtime call.
    """

    def __init__(self, scenario: Scenario) -> None:
        models, profiles = scenario.foundation, scenario.profiles
        self._scenario = scenario
        self._own = bool(models or profiles)
        if not self._own:
            models, profiles = _shipped()
        self._models = models
        self._profiles = profiles

    def answer(  # noqa: PLR0911 - one case for each operation
        self, asked: Asked, query: str, seconds: float, now: float
    ) -> dict[str, Any]:
        """Return the body of the answer to a request. `seconds` is the time since the scenario was loaded. `now` is in
        seconds since the epoch.
        """
        wanted = {name: values[-1] for name, values in parse_qs(query).items()}
        region = asked.region
        match asked.operation:
            case "ListFoundationModels":
                found = [each for each in self._models if each.is_in(region) and each.lives(now)]
                return {"modelSummaries": [_summary(each, region, now) for each in found if _fits(each, wanted)]}
            case "GetFoundationModel":
                return {"modelDetails": _summary(self._model(asked.model, region, now), region, now)}
            case "GetFoundationModelAvailability":
                return self._availability(asked.model, region, seconds, now)
            case "ListInferenceProfiles":
                return self._page(region, wanted)
            case "GetUseCaseForModelAccess":
                if not self._scenario.use_case_form:
                    raise ServiceError("ResourceNotFoundException", text("access", "no-form"))
                return {"formData": b64encode(b'{"intendedUsers": "0"}').decode()}
            case "GetAccountDataRetention":
                return {"mode": self._retention(region)}
            case "ListTrustedAccessPrograms":
                return {"programSummaries": [_program(each) for each in self._scenario.trusted_access]}
            case "ListEnforcedGuardrailsConfiguration":
                return {"guardrailsConfig": [_enforced(each, region) for each in self._scenario.enforced_guardrails]}
        return self._profile(asked.model, region)

    def check(self, asked: Asked, seconds: float, now: float) -> None:
        """Refuse a runtime call if the scenario does not list the model, or if the account has no access to the model.

        Every call is allowed if the scenario lists neither models nor profiles. Every call to an ARN is allowed.
        """
        if not self._own or asked.base.startswith("arn:") or asked.model.startswith("arn:"):
            return
        model = next((each for each in self._models if each.id == asked.base and each.is_in(asked.region)), None)
        if model is None:
            raise invalid("model")
        if not model.lives(now):
            raise ServiceError("ResourceNotFoundException", text("access", "end-of-life"))
        if asked.pool == "on-demand" and not model.on_demand:
            raise invalid("profile", model=asked.model)
        if asked.model != asked.base and not any(
            each.id == asked.model and each.is_in(asked.region) for each in self._profiles
        ):
            raise invalid("model")
        agreement = model.agreement_at(seconds)
        if agreement == "PENDING":
            raise ServiceError("AccessDeniedException", text("access", "pending"))
        if agreement != "AVAILABLE" or not model.entitled or not model.authorized:
            raise ServiceError("AccessDeniedException")

    def _model(self, name: str, region: str, now: float) -> FoundationModel:
        wanted = name.partition("foundation-model/")[2] or name
        for each in self._models:
            if each.id == wanted and each.is_in(region) and each.lives(now):
                return each
        raise ServiceError("ResourceNotFoundException")

    def _availability(self, name: str, region: str, seconds: float, now: float) -> dict[str, Any]:
        model = next((each for each in self._models if each.id == name), None)
        if model is None:
            raise ServiceError("ResourceNotFoundException")
        agreement: dict[str, Any] = {"status": model.agreement_at(seconds)}
        if agreement["status"] == "ERROR":
            agreement["errorMessage"] = "A valid payment instrument must be provided."
        return {
            "modelId": model.id,
            "agreementAvailability": agreement,
            "authorizationStatus": "AUTHORIZED" if model.authorized else "NOT_AUTHORIZED",
            "entitlementAvailability": "AVAILABLE" if model.entitled else "NOT_AVAILABLE",
            "regionAvailability": "AVAILABLE" if model.is_in(region) and model.lives(now) else "NOT_AVAILABLE",
        }

    def _retention(self, region: str) -> str:
        own = (each.mode for each in self._scenario.retention if fnmatchcase(region, each.region))
        return next(own, self._scenario.data_retention)

    def _page(self, region: str, wanted: dict[str, str]) -> dict[str, Any]:
        kind = wanted.get("type")
        if kind not in (None, SYSTEM, APPLICATION):
            constraint = f"Member must satisfy enum value set: [{SYSTEM}, {APPLICATION}]"
            raise invalid("constraint", place="/type", constraint=constraint)
        found = [_profile_answer(each, region) for each in self._profiles if each.is_in(region)]
        found = [each for each in found if kind in (None, each["type"])]
        size, start = _number(wanted.get("maxResults"), _PAGE), _number(wanted.get("nextToken"), 0)
        size = max(1, min(size, _MOST_A_PAGE))
        page: dict[str, Any] = {"inferenceProfileSummaries": found[start : start + size]}
        if start + size < len(found):
            page["nextToken"] = str(start + size)
        return page

    def _profile(self, name: str, region: str) -> dict[str, Any]:
        for each in self._profiles:
            if each.is_in(region):
                found = _profile_answer(each, region)
                if name in (found["inferenceProfileId"], found["inferenceProfileArn"]):
                    return found
        raise ServiceError("ResourceNotFoundException", text("access", "no-profile"))


@cache
def _shipped() -> tuple[tuple[FoundationModel, ...], tuple[InferenceProfile, ...]]:
    tables = tomllib.loads(files(__package__).joinpath("foundation.toml").read_text(encoding="utf-8"))
    models = (FoundationModel(**_frozen(each)) for each in tables["foundation"])
    return tuple(models), tuple(InferenceProfile(**_frozen(each)) for each in tables["profiles"])


def _frozen(table: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}


def _number(given: str | None, default: int) -> int:
    if given is None:
        return default
    if not given.isdecimal() or len(given) > 9:  # noqa: PLR2004 - a longer text is not a number of profiles
        raise invalid("constraint", place="/nextToken", constraint="Member must be a token of an earlier answer")
    return int(given)


def _fits(model: FoundationModel, wanted: dict[str, str]) -> bool:
    kinds = _inference_types(model)
    return (
        wanted.get("byProvider", _provider(model)).lower() == _provider(model).lower()
        and wanted.get("byOutputModality", model.output[0]) in model.output
        and (wanted["byInferenceType"] in kinds if "byInferenceType" in wanted else True)
        and "byCustomizationType" not in wanted
    )


def _inference_types(model: FoundationModel) -> list[str]:
    return ["ON_DEMAND"] * model.on_demand + ["PROVISIONED"] * model.provisioned


def _provider(model: FoundationModel) -> str:
    return model.provider or model.id.partition(".")[0].capitalize()


def _summary(model: FoundationModel, region: str, now: float) -> dict[str, Any]:
    days = {member: getattr(model, name) for member, name in _LIFE.items()}
    legacy = moment(model.legacy) <= now or (not model.legacy and moment(model.end_of_life) < inf)
    return {
        "modelArn": _arn(model.id, region),
        "modelId": model.id,
        "modelName": model.name or model.id,
        "providerName": _provider(model),
        "inputModalities": list(model.input),
        "outputModalities": list(model.output),
        "responseStreamingSupported": model.streaming,
        "customizationsSupported": [],
        "inferenceTypesSupported": _inference_types(model),
        "modelLifecycle": {
            "status": "LEGACY" if legacy else "ACTIVE",
            **{member: f"{day}T00:00:00Z" for member, day in days.items() if day},
        },
    }


def _profile_answer(profile: InferenceProfile, region: str) -> dict[str, Any]:
    kind = "application-inference-profile" if profile.application else "inference-profile"
    destinations = [*profile.regions] or [region]
    return {
        "inferenceProfileName": profile.name or profile.id.replace(".", " ").replace(":", " "),
        "inferenceProfileArn": f"arn:aws:bedrock:{region}:{ACCOUNT}:{kind}/{profile.id}",
        "models": [
            {"modelArn": _arn(profile.model, each)} for each in [*destinations, *([""] if profile.everywhere else [])]
        ],
        "inferenceProfileId": profile.id,
        "status": "ACTIVE",
        "type": APPLICATION if profile.application else SYSTEM,
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
    }


def _program(program: TrustedAccess) -> dict[str, Any]:
    page = f"https://docs.example.com/{program.id}"
    return {
        "programId": program.id,
        "name": program.id.replace("-", " "),
        "description": "A program of the simulated provider.",
        "providerName": program.provider,
        "detailsUrl": page,
        "status": program.status,
        "source": "account",
        "resolvedFor": {"accountId": ACCOUNT},
        "optIn": "inherit",  # codespell:ignore
    }


def _enforced(guardrail: EnforcedGuardrail, region: str) -> dict[str, Any]:
    return {
        "configId": "config1",
        "guardrailArn": f"arn:aws:bedrock:{region}:{ACCOUNT}:guardrail/{guardrail.id}",
        "guardrailId": guardrail.id,
        "guardrailVersion": guardrail.version,
        "inputTags": "HONOR",
        "owner": "ACCOUNT",
    }


def _arn(model: str, region: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{model}"
