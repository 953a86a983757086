"""Probes of the model: whether the Region has it, how it is called, and whether the account may call it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.doctor.findings import Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.foundation.check import refuses_retention

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import World
    from aws_bedrock_inference.foundation.check import Check

_MODEL = "model"

_CALLS = (
    "bedrock:ListFoundationModels",
    "bedrock:ListInferenceProfiles",
    "bedrock:GetFoundationModel",
    "bedrock:GetInferenceProfile",
    "bedrock:GetFoundationModelAvailability",
    "bedrock:GetUseCaseForModelAccess",
    "bedrock:GetAccountDataRetention",
)


@probe(
    _MODEL,
    needs=["identity"],
    tells=[
        *("invalid-model-identifier", "model-not-in-region", "model-end-of-life", "legacy-model-access-lapsed"),
        *("on-demand-not-supported-use-inference-profile", "model-access-not-granted", "marketplace-agreement-pending"),
        *("use-case-form-missing", "data-retention-refused", "marketplace-subscription-missing"),
    ],
    calls=_CALLS,
)
def model(world: World) -> Finding:
    """Look for the model: in the Region's lists, alive, and open to this account."""
    if world.model_id is None:
        return skipped("No model was named.")
    check = world.models.check(world.model_id)
    tried = f"asked bedrock in {world.region} for {world.model_id}, its profiles, agreement and lifecycle"
    cause = _cause(check)
    if cause:
        return failed(" ".join(check.problems), tried, cause=cause, BASE_MODEL=check.base)
    if check.problems:
        return warning(" ".join(check.problems), tried)
    if check.notes:
        return warning(" ".join(check.notes), tried)
    return ok(f"{world.model_id} can be called, as far as its lists tell.", tried)


def _cause(check: Check) -> str:
    """Return the cause of the first problem that ends calls; empty where no cause stands for it."""
    if check.known is False:
        return "invalid-model-identifier"
    for wrong, cause in (
        (check.needs_profile and bool(check.problems), "on-demand-not-supported-use-inference-profile"),
        (check.use_case_form is False, "use-case-form-missing"),
        (check.agreement == "PENDING", "marketplace-agreement-pending"),
        (check.agreement in {"NOT_AVAILABLE", "ERROR"}, "model-access-not-granted"),
        (check.region == "NOT_AVAILABLE", "model-not-in-region"),
        (refuses_retention(check.base, check.retention), "data-retention-refused"),
        (bool(check.problems) and check.end_of_life is not None, "model-end-of-life"),
    ):
        if wrong:
            return cause
    return ""


PROBES = (model,)
