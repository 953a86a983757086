"""Probes that check the account's access to the model: the agreement with the provider, the use-case form, access
programs, the data-retention mode, and guardrails. A "probe" is one read-only check of the doctor; it returns a
"finding".
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.doctor.findings import NO_MODEL, Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.judged import ALLOWED, find_principal, judge, judgements
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.foundation.check import AGREEMENT_MINUTES, refuses_retention
from aws_bedrock_inference.knowledge import lifecycle
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from aws_bedrock_inference.doctor.world import Answer, World

_ACCESS = "access"

_CALLS = ("bedrock:ListFoundationModels", "bedrock:ListInferenceProfiles", "bedrock:GetInferenceProfile")
_MARKETPLACE = ("aws-marketplace:Subscribe", "aws-marketplace:ViewSubscriptions")

_SUBSCRIPTION, _PENDING = "marketplace-subscription-missing", "marketplace-agreement-pending"
_PERMISSION, _NOT_GRANTED = "marketplace-permission-missing", "model-access-not-granted"
_FORM, _RETENTION, _PROGRAM = "use-case-form-missing", "data-retention-refused", "trusted-access-required"
# Reasons in the error of an agreement that failed.
_REASONS = ("payment-instrument-invalid", "provider-country-unsupported")


def _base(world: World) -> tuple[str, Finding | None]:
    """Return the base model of the model id. If the base model is unknown, return a finding (the result of a probe)
    that states this.
    """
    if world.model_id is None:
        return "", skipped(NO_MODEL)
    if not world.route.base:
        return "", skipped(f"The model behind {world.model_id.rpartition('/')[2]} is unknown.")
    return world.route.base, None


@probe(
    _ACCESS,
    needs=["model"],
    tells=[_SUBSCRIPTION, _PENDING, _PERMISSION, _NOT_GRANTED, *_REASONS, "model-not-in-region"],
    calls=[*_CALLS, "bedrock:GetFoundationModelAvailability", "iam:SimulatePrincipalPolicy", "iam:GetRole"],
)
def agreement(world: World) -> Finding:
    """Check the account's access to the model, as AWS reports it in four values: the agreement with the model's
    provider, the authorization, the entitlement and the Region.
    """
    base, why_not = _base(world)
    if why_not is not None:
        return why_not
    tried = f"called bedrock:GetFoundationModelAvailability for {base} in {world.region}"
    answer = world.ask("bedrock", "get_foundation_model_availability", modelId=base)
    if answer.why is not None:
        return _unread(answer, "bedrock:GetFoundationModelAvailability", "the account's access to the model", tried)
    cause, message = _missing(answer.value, base)
    if not cause and answer.value["regionAvailability"] != "AVAILABLE" and world.route.bare:
        cause, message = "model-not-in-region", f"{base} is not available in {world.region}."
    if cause:
        return failed(message, tried, cause=cause, BASE_MODEL=base)
    if answer.value["agreementAvailability"]["status"] != "AVAILABLE":
        return _no_agreement(world, base, tried)
    return ok(f"The account has access to {base}.", tried)


def _missing(access: dict[str, Any], base: str) -> tuple[str, str]:
    """Return the cause that prevents calls to the model, and a message about it. Both are empty if no such cause is
    known.
    """
    agreement = access["agreementAvailability"]
    if agreement["status"] == "PENDING":
        return _PENDING, f"The agreement for {base} is being created. This takes up to {AGREEMENT_MINUTES} minutes."
    if agreement["status"] == "ERROR":
        reason = masked(agreement.get("errorMessage", ""), accounts=True)
        cause = explain(reason).cause if reason else ""
        message = f"The agreement for {base} failed: {reason or 'AWS states no reason.'}"
        return cause if cause in _REASONS else _SUBSCRIPTION, message
    if access["authorizationStatus"] != "AUTHORIZED":
        return _NOT_GRANTED, f"The account is not authorized to use {base}."
    if access["entitlementAvailability"] != "AVAILABLE":
        return _NOT_GRANTED, f"The account has no entitlement to {base}."
    return "", ""


def _no_agreement(world: World, base: str, tried: str) -> Finding:
    """Return the finding (the result of the probe) for an account that has no agreement with the model's provider.

    The first call to the model creates the agreement, but only if the caller has the permissions for AWS Marketplace.
    If one of these permissions is missing, the finding is failed. Otherwise, it is failed only if the error to diagnose
    suggests that the account has no access to the model. Without such an error, the finding is a warning.
    """
    none = f"The account has no agreement for {base}."
    principal = find_principal(world)
    judged = [] if principal.reason else judgements(judge(world, principal, _MARKETPLACE, ["*"]))
    refused = [each.action for each in judged if each.decision != ALLOWED and not each.missing]
    if refused:
        tried = f"{tried}, and iam:SimulatePrincipalPolicy for the right to create one"
        message = f"{none} The caller cannot create an agreement, because the caller lacks {' and '.join(refused)}."
        return failed(message, tried, cause=_PERMISSION, BASE_MODEL=base)
    found = failed if world.asked_about(_SUBSCRIPTION, _NOT_GRANTED) else warning
    first = f"The first call creates an agreement if the caller has {' and '.join(_MARKETPLACE)}."
    return found(f"{none} {first}", tried, cause=_SUBSCRIPTION, BASE_MODEL=base)


@probe(_ACCESS, needs=["model"], tells=[_FORM], calls=[*_CALLS, "bedrock:GetUseCaseForModelAccess"])
def use_case_form(world: World) -> Finding:
    """Check whether the account has submitted the form that the model's provider requires."""
    base, why_not = _base(world)
    if why_not is not None:
        return why_not
    if not lifecycle.asks_for_a_form(base):
        return ok(f"The provider of {base} requires no use-case form.", "read the package's list of providers")
    tried = "called bedrock:GetUseCaseForModelAccess"
    answer = world.ask("bedrock", "get_use_case_for_model_access")
    if answer.why is None:
        return ok("The account has submitted the provider's use-case form.", tried)
    if answer.code == "ResourceNotFoundException":
        return failed("The account has not submitted the provider's use-case form.", tried, cause=_FORM)
    return _unread(answer, "bedrock:GetUseCaseForModelAccess", "the state of the use-case form", tried)


@probe(
    _ACCESS,
    needs=["model"],
    tells=[_RETENTION],
    calls=[*_CALLS, "bedrock:GetAccountDataRetention", "bedrock:GetProject"],
)
def data_retention(world: World) -> Finding:
    """Compare the data-retention mode of each Region that can process the call with the modes that the model accepts.
    The modes that a model accepts come from this package's list of models.
    """
    base, why_not = _base(world)
    if why_not is not None:
        return why_not
    modes = lifecycle.retention_modes(base)
    if not modes:
        return ok(
            f"{base} accepts every data-retention mode, as far as this package's list shows.",
            "read the package's list of models",
        )
    regions = world.route.regions
    tried = f"called bedrock:GetAccountDataRetention in {', '.join(regions)}"
    found, unread = _modes(world, regions)
    refusing = [f"'{mode}' in {place}" for place, mode in found.items() if refuses_retention(base, mode)]
    if refusing:
        accepted = " or ".join(f"'{mode}'" for mode in modes)
        message = f"{base} accepts only the data-retention mode {accepted}, but the mode is {', '.join(refusing)}."
        return failed(message, tried, cause=_RETENTION)
    if unread is not None:
        return _unread(
            unread, "bedrock:GetAccountDataRetention", "the data-retention mode of each Region on the route", tried
        )
    fits = f"{base} accepts the data-retention mode of {', '.join(regions)}."
    more = world.route.open_end
    return warning(f"{fits} {more}", tried) if more else ok(fits, tried)


def _modes(world: World, regions: tuple[str, ...]) -> tuple[dict[str, str], Answer | None]:
    """Return two values: the data-retention mode of each Region, and the first answer of AWS that is an error. The
    second value is None if AWS answered all requests for the modes.

    A Bedrock project can have its own mode. In the project's Region, this mode replaces the account's mode.
    """
    questions = [partial(world.ask, "bedrock", "get_account_data_retention", region_name=each) for each in regions]
    if world.project:
        questions.append(partial(world.ask, "bedrock", "get_project", projectIdentifier=world.project))
    answers = world.ask_all(questions)
    modes = {place: str(each.value["mode"]) for place, each in zip(regions, answers, strict=False) if each.why is None}
    own = answers[-1].value.get("dataRetention", {}).get("mode", "inherit") if world.project else "inherit"
    if own != "inherit":  # the project's mode replaces the account's in its Region
        modes[world.region] = own
    return modes, next((each for each in answers if each.why is not None), None)


@probe(_ACCESS, needs=["model"], tells=[_PROGRAM], calls=[*_CALLS, "bedrock:ListTrustedAccessPrograms"])
def trusted_access(world: World) -> Finding:
    """Check whether the account is enabled in the trusted access programs of the model's provider."""
    base, why_not = _base(world)
    if why_not is not None:
        return why_not
    tried = "called bedrock:ListTrustedAccessPrograms"
    params = {"projectIdentifier": world.project} if world.project else {}
    answer = world.ask("bedrock", "list_trusted_access_programs", **params)
    if answer.why is not None:
        return _unread(answer, "bedrock:ListTrustedAccessPrograms", "the trusted access programs", tried)
    provider = base.partition(".")[0]
    theirs = [each for each in answer.value["programSummaries"] if each["providerName"].lower() == provider]
    closed = [each for each in theirs if each["status"] != "enabled"]
    if not closed:
        return ok(f"No trusted access program of {provider} excludes the account.", tried)
    listed = ", ".join(f"{each['programId']} ({each['status']})" for each in closed)
    message = (
        f"The account is not enabled in access programs of {provider}: {listed}. AWS does not list which models "
        "require such a program."
    )
    return (failed if world.asked_about(_PROGRAM) else warning)(message, tried, cause=_PROGRAM)


@probe(
    _ACCESS,
    needs=["model"],
    tells=["guardrail-blocked"],
    calls=[*_CALLS, "bedrock:ListEnforcedGuardrailsConfiguration"],
)
def enforced_guardrails(world: World) -> Finding:
    """List the guardrails that the account enforces on all calls. Guardrails that an organization enforces cannot be
    listed.
    """
    base, why_not = _base(world)
    if why_not is not None:
        return why_not
    tried = f"called bedrock:ListEnforcedGuardrailsConfiguration in {world.region}"
    answer = world.ask("bedrock", "list_enforced_guardrails_configuration")
    if answer.why is not None:
        return _unread(answer, "bedrock:ListEnforcedGuardrailsConfiguration", "the enforced guardrails", tried)
    put = [each for each in answer.value["guardrailsConfig"] if _concerns(each, base)]
    if not put:
        return ok(
            f"The account enforces no guardrail in {world.region}. Guardrails that an organization enforces "
            "cannot be listed.",
            tried,
        )
    names = ", ".join(f"{each.get('guardrailId')} (version {each.get('guardrailVersion')})" for each in put)
    fields = {"GUARDRAIL": str(put[0].get("guardrailId", ""))}
    message = (
        f"The account enforces a guardrail on calls in {world.region}, which can block or change answers: {names}."
    )
    return warning(message, tried, cause="guardrail-blocked", **fields)


def _concerns(config: dict[str, Any], base: str) -> bool:
    """Return whether the configuration of an enforced guardrail applies to the model `base`.

    The configuration lists the models to which the guardrail applies. The entry `ALL` means every model. The
    configuration can also list models to which the guardrail does not apply.
    """
    models = config.get("modelEnforcement") or {}
    included, excluded = models.get("includedModels", ["ALL"]), models.get("excludedModels", [])
    return base not in excluded and ("ALL" in included or base in included)


def _unread(answer: Answer, permission: str, what: str, tried: str) -> Finding:
    if answer.error is None:
        return skipped(f"The installed botocore does not know {permission}, so {what} could not be read.")
    return warning(f"{what[0].upper()}{what[1:]} could not be read: {answer.why_not(permission)}.", tried)


PROBES = (agreement, use_case_form, data_retention, trusted_access, enforced_guardrails)
