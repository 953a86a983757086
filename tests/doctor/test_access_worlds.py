"""Broken credentials, models, access or permissions: the doctor names the cause and blames no healthy part."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pytest
from botocore.credentials import SSOProvider
from botocore.loaders import create_loader
from botocore.session import Session
from doctor.conftest import MODEL, evaluated

from aws_bedrock_inference.clock import wall
from aws_bedrock_inference.doctor.examine import examine
from aws_bedrock_inference.doctor.findings import Report
from aws_bedrock_inference.doctor.probes import PROBES
from aws_bedrock_inference.doctor.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from doctor.conftest import Broken

    from aws_bedrock_inference.doctor.findings import Check

NOVA = "amazon.nova-lite-v1:0"
HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
FABLE = "anthropic.claude-fable-5"
ACCOUNT = "123456789012"

# The areas that these worlds break.
AREAS = ("identity", "model", "access", "permissions")


LOADER = create_loader()  # of botocore's models of services: to read them takes longer than a diagnosis


@pytest.fixture(autouse=True)
def session(broken: Broken) -> None:
    """Create a separate session for each environment, with its settings."""
    core = Session()
    core.register_component("data_loader", LOADER)
    broken.environ.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=core))


def look(model_id: str = MODEL, **settings: Any) -> Report:
    """Return the findings of the probes of these areas, without the network and without the quotas of other
    services."""
    world = World(model_id=model_id, **{"limit": 30.0, "wait": 15.0, **settings})
    return Report(tuple(examine([each for each in PROBES.values() if each.area in ("environment", *AREAS)], world)))


def at(moment: float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return datetime.fromtimestamp(moment, UTC).strftime(form)


def by_status(report: Report, status: str) -> dict[str, str]:
    """Return the cause of each check of these areas that ended so, by probe."""
    found = (check for check in report.checks if check.area in AREAS and check.status.value == status)
    return {check.probe: check.finding.cause for check in found}


def check_of(report: Report, probe: str) -> Check:
    (check,) = [check for check in report.checks if check.probe == probe]
    return check


def foundation(*models: dict[str, Any], **tables: Any) -> dict[str, Any]:
    """Return a scenario with these models, and a profile of the United States for each."""
    regions = ["us-east-1", "us-west-2"]
    profiles = [{"id": f"us.{each['id']}", "model": each["id"], "regions": regions} for each in models]
    return {"foundation": list(models), "profiles": profiles, **tables}


# ---- credentials


def short_key(region: str = "us-east-1", *, ends_in: float = 6 * 3600, lasts: int = 43_200) -> str:
    made = wall() + ends_in - lasts
    scope = quote(f"ASIAIOSFODNN7EXAMPLE/{at(made, '%Y%m%d')}/{region}/bedrock/aws4_request", safe="")
    query = f"Action=CallWithBearerToken&X-Amz-Credential={scope}&X-Amz-Date={at(made, '%Y%m%dT%H%M%SZ')}"
    url = f"bedrock.amazonaws.com/?{query}&X-Amz-Expires={lasts}&X-Amz-Signature=0a1b&Version=1"
    return f"bedrock-api-key-{base64.b64encode(url.encode()).decode()}"


def long_key(user: str = "BedrockAPIKey-k7qz") -> str:
    return f"ABSK{base64.b64encode(f'{user}-at-{ACCOUNT}:c2VjcmV0LXNlY3JldC1zZWNyZXQ='.encode()).decode()}"


def keys_that_ended(broken: Broken) -> None:
    broken.environ.setenv("AWS_SESSION_TOKEN", "token")
    broken.environ.setenv("AWS_CREDENTIAL_EXPIRATION", at(wall() - 600))


def keys_without_secret(broken: Broken) -> None:
    broken.environ.delenv("AWS_SECRET_ACCESS_KEY")


def secret_without_key(broken: Broken) -> None:
    broken.environ.delenv("AWS_ACCESS_KEY_ID")


def profile(broken: Broken, tmp_path: Any, text: str) -> None:
    """Let a profile supply the credentials."""
    path = tmp_path / "config"
    path.write_text(f"[default]\n{text}\n")
    broken.environ.setenv("AWS_CONFIG_FILE", str(path))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        broken.environ.delenv(name)


def login_that_ended(broken: Broken, tmp_path: Any, ends_in: float = -60) -> None:
    settings = "sso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n"
    profile(broken, tmp_path, f"{settings}sso_account_id = {ACCOUNT}\nsso_role_name = dev")
    broken.environ.setattr(SSOProvider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path))
    token = {"accessToken": "a", "expiresAt": at(wall() + ends_in), "region": "us-east-1"}
    name = hashlib.sha1(b"https://example.awsapps.com/start").hexdigest()  # noqa: S324 - botocore's name of the file
    (tmp_path / f"{name}.json").write_text(json.dumps(token))


def role_that_does_not_trust(broken: Broken, tmp_path: Any) -> None:
    role = f"role_arn = arn:aws:iam::{ACCOUNT}:role/app\nsource_profile = base"
    profile(broken, tmp_path, f"{role}\n[profile base]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = s")
    said = f"User: arn:aws:iam::{ACCOUNT}:user/me is not authorized to perform: sts:AssumeRole on resource: arn"
    broken.aws.answers["AssumeRole"] = (403, "AccessDenied", said)


def web_token_that_ended(broken: Broken, tmp_path: Any) -> None:
    (tmp_path / "token").write_text("header.claims.signature")
    profile(broken, tmp_path, f"role_arn = arn:aws:iam::{ACCOUNT}:role/app\nweb_identity_token_file = {tmp_path}/token")
    broken.aws.answers["AssumeRoleWithWebIdentity"] = (400, "ExpiredTokenException", "Token expired: 1 must be after 2")


@pytest.mark.parametrize(
    ("damage", "cause", "says"),
    [
        (keys_that_ended, "credentials-expired", "expired 10 minutes ago"),
        (keys_without_secret, "credentials-missing", "AWS_SECRET_ACCESS_KEY"),
        (secret_without_key, "credentials-missing", "AWS_SECRET_ACCESS_KEY is set without AWS_ACCESS_KEY_ID"),
    ],
)
def test_unusable_keys_are_named(broken: Broken, damage: Callable[[Broken], None], cause: str, says: str) -> None:
    damage(broken)
    report = look()
    assert by_status(report, "failed") == {"credentials": cause}
    assert says in check_of(report, "credentials").finding.message
    assert check_of(report, "credentials").remedies


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (login_that_ended, "sso-token-expired"),
        (role_that_does_not_trust, "sts-assume-role-denied"),
        (web_token_that_ended, "web-identity-token-expired"),
    ],
)
def test_credentials_that_cannot_be_fetched_are_named(broken: Broken, tmp_path: Any, damage: Any, cause: str) -> None:
    damage(broken, tmp_path)
    report = look()
    assert by_status(report, "failed") == {"credentials": cause}
    assert ACCOUNT not in json.dumps(report.to_json())


def test_the_command_that_logs_in_names_the_profile(broken: Broken, tmp_path: Any) -> None:
    login_that_ended(broken, tmp_path)
    remedies = check_of(look(), "credentials").remedies
    assert "aws sso login --profile default" in [remedy.run for remedy in remedies]


def test_keys_that_expire_soon_are_a_warning(broken: Broken) -> None:
    broken.environ.setenv("AWS_SESSION_TOKEN", "token")
    broken.environ.setenv("AWS_CREDENTIAL_EXPIRATION", at(wall() + 750))
    report = look()
    assert by_status(report, "failed") == {}
    assert "expire in 1" in check_of(report, "credentials").finding.message
    assert by_status(report, "warning") == {"credentials": "credentials-expired"}


def test_a_login_that_expires_soon_is_a_warning(broken: Broken, tmp_path: Any) -> None:
    login_that_ended(broken, tmp_path, ends_in=300)
    role = {"accessKeyId": "ASIAEXAMPLE", "secretAccessKey": "s", "sessionToken": "t"}
    broken.aws.gets["/federation/credentials"] = {"roleCredentials": role | {"expiration": int(wall() + 3600) * 1000}}
    report = look()
    assert by_status(report, "failed") == {}
    assert by_status(report, "warning") == {"credentials": "sso-token-expired"}
    assert "The login expires in 5 minutes" in check_of(report, "credentials").finding.message


def test_keys_in_the_environment_that_override_a_profile_are_named(broken: Broken, tmp_path: Any) -> None:
    (tmp_path / "config").write_text("[profile dev]\nregion = us-east-1\n")
    broken.environ.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    broken.environ.setenv("AWS_PROFILE", "dev")
    report = look()
    assert by_status(report, "failed") == {}
    assert "They override the profile dev" in check_of(report, "credentials").finding.message


@pytest.mark.parametrize(
    ("key", "status", "says"),
    [
        (lambda: short_key(ends_in=-7200 - 5), "failed", "expired 2 hours ago"),
        (lambda: short_key("us-west-2"), "failed", "is valid only in us-west-2, but calls go to us-east-1"),
        (lambda: short_key(ends_in=300), "warning", "It expires in 5 minutes"),
        (short_key, "ok", "expires in 6 hours at the latest. The API key overrides AWS_ACCESS_KEY_ID"),
        (long_key, "ok", "long-term API key"),
        (lambda: "bedrock-api-key-%%%", "ok", "short-term API key"),
        (lambda: "not-a-key", "warning", "does not have the form"),
    ],
)
def test_the_type_region_and_expiry_of_an_api_key_are_shown(
    broken: Broken, key: Callable[[], str], status: str, says: str
) -> None:
    given = key()
    broken.environ.setenv("AWS_BEARER_TOKEN_BEDROCK", given)
    report = look()
    check = check_of(report, "credentials")
    assert (check.status.value, check.finding.cause) == (status, "" if status == "ok" else "bedrock-api-key-invalid")
    assert says in check.finding.message
    assert by_status(report, "failed") == ({"credentials": "bedrock-api-key-invalid"} if status == "failed" else {})
    assert given not in json.dumps(report.to_json())


def test_permissions_are_checked_for_the_user_of_a_long_term_key_and_not_other_credentials(broken: Broken) -> None:
    broken.environ.setenv("AWS_BEARER_TOKEN_BEDROCK", long_key())
    assert by_status(look(), "failed") == {}  # boto3 sends no key over HTTP, so the simulator's lists stay unread
    asked = [params for operation, params in broken.aws.asked if operation == "SimulatePrincipalPolicy"]
    assert {params["PolicySourceArn"] for params in asked} == {f"arn:aws:iam::{ACCOUNT}:user/BedrockAPIKey-k7qz"}
    assert "bedrock:CallWithBearerToken" in {params["ActionNames.member.1"] for params in asked}


def test_a_short_term_key_does_not_reveal_whose_permissions_apply(broken: Broken) -> None:
    broken.environ.setenv("AWS_BEARER_TOKEN_BEDROCK", short_key())
    assert check_of(look(), "permissions").status.value == "skipped"


# ---- identity


@pytest.mark.parametrize(
    ("key", "token", "says"),
    [
        ("ASIAEXAMPLE", "", "begins with ASIA, and its session token is missing"),
        ("AKIAEXAMPLE", "t", "other credentials"),
    ],
)
def test_a_refused_key_without_its_token_is_explained(broken: Broken, key: str, token: str, says: str) -> None:
    broken.environ.setenv("AWS_ACCESS_KEY_ID", key)
    if token:
        broken.environ.setenv("AWS_SESSION_TOKEN", token)
    broken.aws.answers["GetCallerIdentity"] = (403, "InvalidClientTokenId", "The security token is invalid.")
    report = look()
    assert by_status(report, "failed") == {"identity": "invalid-access-key"}
    assert says in check_of(report, "identity").finding.message


@pytest.mark.parametrize(
    "settings",
    [
        {"account": "999988887777"},
        {"model_id": "arn:aws:bedrock:us-east-1:999988887777:application-inference-profile/a1b2c3d4e5f6"},
    ],
)
def test_an_unexpected_account_is_a_warning(broken: Broken, settings: dict[str, str]) -> None:
    report = look(**settings)
    message = check_of(report, "identity").finding.message
    assert check_of(report, "identity").status.value == "warning"
    assert "ends in 9012" in message
    assert "ends in 7777" in message


# ---- the model


def test_a_model_of_another_region_is_located(broken: Broken) -> None:
    broken.sim.scenario({"foundation": [{"id": NOVA}, {"id": "meta.llama-x-v1:0", "regions": ["eu-*"]}]})
    report = look(model_id="meta.llama-x-v1:0")
    assert by_status(report, "failed") == {"model": "model-not-in-region"}
    assert "It is available in eu-central-1 and eu-west-1" in check_of(report, "model").finding.message


def test_a_profile_of_another_geography_is_located(broken: Broken) -> None:
    eu = {"id": f"eu.{NOVA}", "model": NOVA, "regions": ["eu-central-1", "eu-west-1"]}
    broken.sim.scenario(foundation({"id": NOVA}, profiles=[eu]))
    report = look(model_id=f"eu.{NOVA}")
    assert by_status(report, "failed") == {"model": "model-not-in-region"}


def test_the_remedies_for_a_model_that_needs_a_profile_contain_the_profile_id(broken: Broken) -> None:
    broken.sim.scenario(foundation({"id": HAIKU, "on_demand": False}))
    report = look(model_id=HAIKU)
    assert by_status(report, "failed") == {"model": "on-demand-not-supported-use-inference-profile"}
    commands = " ".join(remedy.run for remedy in check_of(report, "model").remedies)
    assert f"grep -F {HAIKU}" in commands
    assert f"--inference-profile-identifier us.{HAIKU}" in commands


@pytest.mark.parametrize(
    ("models", "asked"),
    [
        ([{"id": NOVA}], "anthropic.claude-3-sonnet-20240229-v1:0"),  # gone from the lists, its day in our table
        ([{"id": NOVA}], "us.anthropic.claude-3-7-sonnet-20250219-v1:0"),
    ],
)
def test_a_model_past_its_end_of_life_is_named(broken: Broken, models: list[dict[str, Any]], asked: str) -> None:
    broken.sim.scenario(foundation(*models))
    report = look(model_id=asked)
    assert by_status(report, "failed") == {"model": "model-end-of-life"}
    assert "The last day of" in check_of(report, "model").finding.message


def test_a_model_that_is_still_listed_after_its_end_of_life_is_named(broken: Broken) -> None:
    broken.sim.scenario(foundation({"id": NOVA, "end_of_life": "2099-06-01"}))
    after = datetime(2099, 7, 1, tzinfo=UTC).timestamp()
    report = look(model_id=NOVA, wall=lambda: after)
    assert by_status(report, "failed") == {"model": "model-end-of-life"}


LAPSED = "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model"


def test_a_legacy_model_that_lapsed_without_calls_is_named(broken: Broken) -> None:
    broken.sim.scenario(foundation({"id": NOVA, "legacy": "2026-01-01", "end_of_life": "2099-06-01"}))
    assert by_status(look(), "failed") == {}
    report = broken.diagnose(f"ResourceNotFoundException: {LAPSED} in the last 30 days.")
    assert by_status(report, "failed") == {"legacy": "legacy-model-access-lapsed"}
    assert (report.cause, report.proved) == ("legacy-model-access-lapsed", True)


def test_an_endpoint_with_the_path_of_another_api_is_named(broken: Broken) -> None:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"{broken.sim.url}/openai/v1")
    assert by_status(look(), "failed") == {"wire-shape": "endpoint-url-wrong"}


def test_the_mantle_endpoint_used_for_converse_is_named(broken: Broken) -> None:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://bedrock-mantle.us-east-1.api.aws")
    report = look()
    assert (report.cause, by_status(report, "failed")) == ("endpoint-url-wrong", {})


def test_a_model_without_converse_is_a_warning(broken: Broken) -> None:
    report = look(model_id="amazon.titan-embed-text-v2:0")
    assert by_status(report, "failed") == {}
    assert by_status(report, "warning")["wire-shape"] == "model-not-for-operation"


def test_a_mantle_error_about_a_model_of_the_runtime_is_explained(broken: Broken) -> None:
    report = broken.diagnose(f"model `{MODEL}` isn't supported on this route")
    assert by_status(report, "failed") == {"wire-shape": "model-not-on-this-route"}
    assert "Converse" in check_of(report, "wire-shape").finding.message


# ---- access


@pytest.mark.parametrize(
    ("model", "tables", "probe", "cause"),
    [
        ({"agreement": "PENDING"}, {}, "agreement", "marketplace-agreement-pending"),
        ({"agreement": "ERROR"}, {}, "agreement", "payment-instrument-invalid"),
        ({"authorized": False}, {}, "agreement", "model-access-not-granted"),
        ({"entitled": False}, {}, "agreement", "model-access-not-granted"),
        ({}, {"use_case_form": False}, "use-case-form", "use-case-form-missing"),
    ],
)
def test_missing_model_access_is_named(
    broken: Broken, model: dict[str, Any], tables: dict[str, Any], probe: str, cause: str
) -> None:
    broken.sim.scenario(foundation({"id": HAIKU, **model}, **tables))
    report = look(model_id=f"us.{HAIKU}")
    assert by_status(report, "failed") == {probe: cause}
    assert check_of(report, probe).remedies


def refused_marketplace(params: dict[str, Any]) -> str:
    marketplace = params["ActionNames.member.1"].startswith("aws-marketplace:")
    return evaluated("implicitDeny" if marketplace else "allowed")(params)


def test_an_agreement_that_the_caller_may_not_create_is_named(broken: Broken) -> None:
    broken.sim.scenario(foundation({"id": HAIKU, "agreement": "NOT_AVAILABLE"}))
    assert by_status(look(model_id=f"us.{HAIKU}"), "warning") == {"agreement": "marketplace-subscription-missing"}
    broken.aws.answers["SimulatePrincipalPolicy"] = refused_marketplace
    report = look(model_id=f"us.{HAIKU}")
    assert by_status(report, "failed") == {"agreement": "marketplace-permission-missing"}
    commands = [remedy.run for remedy in check_of(report, "agreement").remedies]
    assert f"aws bedrock get-foundation-model-availability --model-id {HAIKU}" in commands


@pytest.mark.newer_botocore
def test_the_data_retention_mode_of_each_destination_is_checked(broken: Broken) -> None:
    modes = {"data_retention": "provider_data_share", "retention": [{"region": "us-west-2", "mode": "default"}]}
    broken.sim.scenario(foundation({"id": FABLE}, **modes))
    report = look(model_id=f"us.{FABLE}")
    assert by_status(report, "failed") == {"data-retention": "data-retention-refused"}
    message = check_of(report, "data-retention").finding.message
    assert message.endswith(", but the mode is 'default' in us-west-2.")
    assert by_status(look(model_id=FABLE), "failed") == {}


@pytest.mark.newer_botocore
def test_the_data_retention_mode_of_a_project_overrides_that_of_the_account(broken: Broken) -> None:
    broken.environ.setenv("AWS_ENDPOINT_URL_BEDROCK", broken.aws.url)
    broken.aws.gets |= {
        "/foundation-models": {"modelSummaries": [{"modelId": FABLE}]},
        "/inference-profiles": {"inferenceProfileSummaries": []},
        "/data-retention": {"mode": "aws_review"},
        "/projects/proj_a1": {"dataRetention": {"mode": "none"}},
    }
    assert by_status(look(model_id=FABLE), "failed") == {}
    report = look(model_id=FABLE, project="proj_a1")
    assert by_status(report, "failed") == {"data-retention": "data-retention-refused"}
    assert "'none' in us-east-1" in check_of(report, "data-retention").finding.message


@pytest.mark.usefixtures("session")
def test_an_operation_that_the_sdk_does_not_know_is_skipped() -> None:
    older = LOADER.load_service_model("bedrock", "service-2")
    operations = {name: each for name, each in older["operations"].items() if "TrustedAccess" not in name}

    class Older:
        def __getattr__(self, name: str) -> Any:
            return getattr(LOADER, name)

        def load_service_model(self, service: str, kind: str, api_version: str | None = None) -> Any:
            found = LOADER.load_service_model(service, kind, api_version)
            return found | {"operations": operations} if (service, kind) == ("bedrock", "service-2") else found

    boto3.DEFAULT_SESSION._session.register_component("data_loader", Older())  # type: ignore[union-attr]
    check = check_of(look(), "trusted-access")
    assert check.status.value == "skipped"
    assert "does not know bedrock:ListTrustedAccessPrograms" in check.finding.message


@pytest.mark.newer_botocore
def test_a_global_profile_warns_that_other_regions_may_have_another_retention_mode(broken: Broken) -> None:
    everywhere = [{"id": f"global.{FABLE}", "model": FABLE, "everywhere": True}]
    broken.sim.scenario(foundation({"id": FABLE}, data_retention="aws_review", profiles=everywhere))
    finding = check_of(look(model_id=f"global.{FABLE}"), "data-retention").finding
    assert finding.status.value == "warning"
    assert "Any other commercial Region" in finding.message


@pytest.mark.newer_botocore
def test_a_trusted_access_program_that_is_not_open_explains_its_error(broken: Broken) -> None:
    program = {"id": "anthropic-frontier", "provider": "Anthropic", "status": "eligible"}
    broken.sim.scenario(foundation({"id": HAIKU}, trusted_access=[program]))
    report = look(model_id=f"us.{HAIKU}")
    assert by_status(report, "warning") == {"trusted-access": "trusted-access-required"}
    asked = broken.diagnose("trusted-access-required", model_id=f"us.{HAIKU}")
    assert by_status(asked, "failed") == {"trusted-access": "trusted-access-required"}
    assert "anthropic-frontier (eligible)" in check_of(asked, "trusted-access").finding.message


@pytest.mark.newer_botocore
def test_an_enforced_guardrail_is_named(broken: Broken) -> None:
    broken.sim.scenario({"enforced_guardrails": [{"id": "gr9k2m4x7p1q", "version": "3"}]})
    report = look()
    assert by_status(report, "warning") == {"enforced-guardrails": "guardrail-blocked"}
    assert "gr9k2m4x7p1q (version 3)" in check_of(report, "enforced-guardrails").finding.message


@pytest.mark.newer_botocore
@pytest.mark.parametrize(
    ("operation", "probe"),
    [
        ("ListFoundationModels", "model"),
        ("GetFoundationModelAvailability", "agreement"),
        ("GetUseCaseForModelAccess", "use-case-form"),
        ("GetAccountDataRetention", "data-retention"),
        ("ListTrustedAccessPrograms", "trusted-access"),
        ("ListEnforcedGuardrailsConfiguration", "enforced-guardrails"),
    ],
)
def test_a_missing_permission_of_the_doctor_is_a_warning_that_names_it(
    broken: Broken, operation: str, probe: str
) -> None:
    denied = {"kind": "error", "code": "AccessDeniedException", "operation": operation}
    broken.sim.scenario(foundation({"id": FABLE}, data_retention="aws_review", faults=[denied]))
    report = look(model_id=f"us.{FABLE}")
    assert by_status(report, "failed") == {}
    assert list(by_status(report, "warning")) == [probe]
    assert f"bedrock:{operation}" in check_of(report, probe).finding.message


# ---- permissions


def only_in(place: str, decision: str, more: str = "") -> Callable[[dict[str, Any]], str]:
    """Return an answer that is another one for resources in one place."""

    def answer(params: dict[str, Any]) -> str:
        theirs = [value for name, value in params.items() if name.startswith("ResourceArns.member.")]
        return evaluated(decision, more)(params) if any(place in each for each in theirs) else evaluated()(params)

    return answer


def test_permissions_are_checked_in_the_region_of_each_destination(broken: Broken) -> None:
    broken.aws.answers["SimulatePrincipalPolicy"] = only_in(":us-west-2:", "explicitDeny")
    report = look()
    assert by_status(report, "failed") == {"permissions": "iam-denied-explicit-deny"}
    check = check_of(report, "permissions")
    assert "bedrock:InvokeModel on arn:aws:bedrock:us-west-2::foundation-model/" in check.finding.message
    command = next(remedy.run for remedy in check.remedies if "simulate-principal-policy" in remedy.run)
    assert "--policy-source-arn arn:aws:iam::ACCOUNT:role/team/app --action-names bedrock:InvokeModel " in command
    assert "--resource-arns arn:aws:bedrock:us-west-2::foundation-model/" in command
    asked = [params for operation, params in broken.aws.asked if operation == "SimulatePrincipalPolicy"]
    regions = {params["ContextEntries.member.1.ContextKeyValues.member.1"] for params in asked}
    assert regions == {"us-east-1", "us-east-2", "us-west-2"}


def test_a_denial_by_a_permissions_boundary_is_distinguished_from_one_by_a_policy(broken: Broken) -> None:
    said = "<AllowedByPermissionsBoundary>false</AllowedByPermissionsBoundary>"
    detail = f"<PermissionsBoundaryDecisionDetail>{said}</PermissionsBoundaryDecisionDetail>"
    broken.aws.answers["SimulatePrincipalPolicy"] = evaluated("implicitDeny", detail)
    report = look()
    assert by_status(report, "failed") == {"permissions": "iam-denied-permissions-boundary"}
    runs = [remedy.run for remedy in check_of(report, "permissions").remedies]
    assert "aws iam get-role --role-name app --query 'Role.PermissionsBoundary'" in runs


def test_a_result_that_depends_on_unknown_condition_values_blames_nothing(broken: Broken) -> None:
    missing = "<MissingContextValues><member>aws:SourceVpce</member></MissingContextValues>"
    broken.aws.answers["SimulatePrincipalPolicy"] = evaluated("implicitDeny", missing)
    finding = check_of(look(), "permissions").finding
    assert finding.status.value == "warning"
    assert "aws:SourceVpce" in finding.message


def test_permissions_on_a_project_are_checked_too(broken: Broken) -> None:
    broken.aws.answers["SimulatePrincipalPolicy"] = only_in(":project/proj_a1", "implicitDeny")
    assert by_status(look(project="proj_a1"), "failed") == {"permissions": "iam-denied-identity-policy"}
    arn = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:project/proj_a1"
    said = f"not authorized to perform: bedrock:InvokeModel on resource: {arn}"
    report = broken.diagnose(f"AccessDeniedException: User: arn:aws:iam::{ACCOUNT}:user/jane is {said}")
    assert by_status(report, "failed") == {"permissions": "iam-denied-identity-policy"}
    assert report.proved


def test_permissions_for_a_global_profile_are_also_checked_without_a_region(broken: Broken) -> None:
    everywhere = [{"id": f"global.{NOVA}", "model": NOVA, "everywhere": True}]
    broken.sim.scenario({"foundation": [{"id": NOVA}], "profiles": everywhere})
    broken.aws.answers["SimulatePrincipalPolicy"] = only_in(":bedrock:::", "explicitDeny")
    report = look(model_id=f"global.{NOVA}")
    assert by_status(report, "failed") == {"permissions": "iam-denied-explicit-deny"}
    values = [
        value for _, params in broken.aws.asked for key, value in params.items() if key.startswith("ContextEntries")
    ]
    assert "unspecified" in values


@pytest.mark.parametrize("name", [NOVA, f"{NOVA}:300k", f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}"])
def test_a_base_model_needs_permissions_on_the_model_alone(broken: Broken, name: str) -> None:
    assert check_of(look(model_id=name), "permissions").status.value == "ok"
    (asked,) = [params for operation, params in broken.aws.asked if operation == "SimulatePrincipalPolicy"]
    resources = {value for key, value in asked.items() if key.startswith("ResourceArns.")}
    assert resources == {f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}"}


def caller(arn: str) -> str:
    return f"<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"


@pytest.mark.parametrize(
    ("arn", "says"),
    [
        (f"arn:aws:iam::{ACCOUNT}:root", "The root user"),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/jane", "A federated user"),
    ],
)
def test_the_permissions_of_root_and_federated_users_are_skipped(broken: Broken, arn: str, says: str) -> None:
    broken.aws.answers["GetCallerIdentity"] = caller(arn)
    finding = check_of(look(), "permissions").finding
    assert finding.status.value == "skipped"
    assert finding.message.startswith(says)


def test_a_role_with_an_unknown_path_names_the_permission_to_read_it(broken: Broken) -> None:
    del broken.aws.answers["GetRole"]
    broken.aws.answers["SimulatePrincipalPolicy"] = (404, "NoSuchEntity", "Role app does not exist.")
    assert "Allow iam:GetRole" in check_of(look(), "permissions").finding.message


def test_a_caller_without_permission_to_simulate_is_told_its_name(broken: Broken) -> None:
    broken.aws.answers["GetCallerIdentity"] = caller(f"arn:aws:iam::{ACCOUNT}:user/jane")
    del broken.aws.answers["SimulatePrincipalPolicy"]
    report = look()
    assert by_status(report, "failed") == {}
    assert "iam:SimulatePrincipalPolicy" in check_of(report, "permissions").finding.message


# ---- the account's own profiles, and silence

APPLICATION = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"


def test_a_profile_of_the_account_leads_to_its_model_and_its_destinations(broken: Broken) -> None:
    own = {"id": "a1b2c3d4e5f6", "model": HAIKU, "regions": ["us-east-1", "us-west-2"], "application": True}
    broken.sim.scenario({"foundation": [{"id": HAIKU, "on_demand": False}], "profiles": [own]})
    report = look(model_id=APPLICATION)
    assert by_status(report, "failed") | by_status(report, "warning") == {}
    assert HAIKU in check_of(report, "agreement").finding.message
    asked = [params for operation, params in broken.aws.asked if operation == "SimulatePrincipalPolicy"]
    assert {params["ResourceArns.member.1"].split(":")[3] for params in asked} == {"us-east-1", "us-west-2"}
    assert ACCOUNT not in json.dumps(report.to_json())


def test_a_missing_application_profile_is_named(broken: Broken) -> None:
    report = look(model_id=APPLICATION)
    assert by_status(report, "failed") == {"model": "invalid-model-identifier"}
    assert ACCOUNT not in json.dumps(report.to_json())


def test_a_silent_control_plane_does_not_blame_the_model(broken: Broken) -> None:
    silent = [{"kind": "stall", "operation": each} for each in CONTROL]
    broken.sim.scenario(foundation({"id": FABLE}, data_retention="aws_review", faults=silent))
    report = look(model_id=f"us.{FABLE}", wait=0.1)
    assert by_status(report, "failed") == {}
    assert "not answered" in check_of(report, "model").finding.message
    assert check_of(report, "legacy").status.value == "skipped"
    assert "The other Regions" in check_of(report, "data-retention").finding.message


CONTROL = ("ListFoundationModels", "ListInferenceProfiles", "GetInferenceProfile", "GetFoundationModelAvailability")


@pytest.mark.parametrize(
    ("cause", "probes"),
    [
        ("data-retention-refused", "data-retention"),
        ("use-case-form-missing", "use-case-form"),
        ("iam-denied-scp", "permissions"),
        ("bedrock-api-key-invalid", "credentials"),
    ],
)
def test_an_error_runs_the_probe_of_its_cause_and_fewer_than_half_of_all(
    broken: Broken, cause: str, probes: str
) -> None:
    ran = [check.probe for check in broken.diagnose(cause).checks]
    assert probes in ran
    assert 2 * len(ran) < len(PROBES)
