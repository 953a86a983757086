"""Undocumented names of botocore, and the code that depends on each."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import boto3
import pytest
from botocore.credentials import DeferredRefreshableCredentials
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

NAMES = {
    "botocore.awsrequest:AWSRequest": "transports/endpoint.py reads the URL that botocore decided on",
    "botocore.client:BaseClient._make_api_call": "resilience/boto3_client.py wraps every call of a boto3 client",
    "botocore.credentials:Credentials.get_frozen_credentials": "transports/fast/signing.py signs with them",
    "botocore.credentials:DeferredRefreshableCredentials": "accounts/credentials.py fetches credentials at the first "
    "call",
    "botocore.credentials:RefreshableCredentials._advisory_refresh_timeout": "accounts/credentials.py renews "
    "short sessions later",
    "botocore.credentials:RefreshableCredentials._mandatory_refresh_timeout": "accounts/credentials.py uses "
    "credentials up to the last minute",
    "botocore.credentials:RefreshableCredentials.refresh_needed": "transports/fast/signing.py asks before it "
    "renews them on another thread",
    "botocore.eventstream:EventStreamBuffer": "transports/eventstream.py decodes streams",
    "botocore.eventstream:ParserError": "transports/eventstream.py tells a damaged stream",
    "botocore.httpsession:get_cert_path": "transports/connections.py trusts the authorities that boto3 trusts",
    "botocore.loaders:Loader": "transports/operations.py and simulator/validate.py load the service model",
    "botocore.model:ServiceModel.shape_for_error_code": "transports/operations.py reads modelled errors",
    "botocore.parsers:DEFAULT_TIMESTAMP_PARSER": "transports/fast/response.py reads times as boto3 does",
    "botocore.parsers:EventStreamJSONParser": "transports/operations.py reads the events of a stream",
    "botocore.parsers:create_parser": "transports/operations.py reads answers",
    "botocore.serialize:create_serializer": "transports/operations.py writes requests",
    "botocore.session:Session.get_component": "accounts/credentials.py keeps a session's roles beside it",
    "botocore.tokens:FrozenAuthToken": "transports/fast/signing.py sends bearer tokens",
    "botocore.utils:ensure_boolean": "transports/fast/response.py reads headers",
    "botocore.utils:get_environ_proxies": "transports/endpoint.py finds the proxy that boto3 would use",
    "botocore.utils:normalize_url_path": "transports/fast/signing.py signs the path as botocore does",
    "botocore.utils:percent_encode": "transports/operations.py writes paths",
    "botocore.utils:percent_encode_sequence": "transports/operations.py writes queries",
    "botocore.validate:ParamValidator.validate": "transports/operations.py refuses bad requests unsent",
}


@pytest.mark.parametrize(("name", "reason"), [pytest.param(*item, id=item[0]) for item in NAMES.items()])
def test_botocore_has_the_name(name: str, reason: str) -> None:
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    assert found is not None, f"botocore has no {name} any more: {reason}"


def test_a_boto3_session_contains_a_botocore_session() -> None:
    core = boto3.Session(region_name="us-east-1")._session
    assert callable(core.create_client), "sessions.py makes its clients with the session inside boto3's"


def test_refreshable_credentials_have_these_attributes() -> None:
    credentials = DeferredRefreshableCredentials(lambda: None, "test")
    assert vars(credentials).keys() >= {"_account_id", "_refresh_lock", "_frozen_credentials"}, (
        "transports/endpoint.py reads the account, forks.py replaces the lock, fast/signing.py signs meanwhile"
    )


def test_calls_of_a_client_go_through_one_method_with_these_arguments() -> None:
    client = boto3.Session(region_name="us-east-1").client("sts", aws_access_key_id="a", aws_secret_access_key="b")
    try:
        names = list(inspect.signature(client._make_api_call).parameters)
    finally:
        client.close()
    assert names in (["operation_name", "api_kwargs"], ["operation_name", "api_params"]), (
        "resilience/boto3_client.py gives them by position"
    )


def test_the_errors_of_a_validator_are_triples_of_reason_place_and_facts() -> None:
    model = ServiceModel(
        {
            "metadata": {"protocol": "json", "apiVersion": "1"},
            "operations": {},
            "shapes": {"S": {"type": "structure", "members": {"a": {"shape": "T"}}}, "T": {"type": "string"}},
        },
        "s",
    )
    report = ParamValidator().validate({"a": 1, "b": "secret"}, model.shape_for("S"))
    findings = {reason: (place, sorted(facts)) for reason, place, facts in report._errors}
    assert findings == {
        "invalid type": (".a", ["param", "valid_types"]),
        "unknown field": ("", ["unknown_param", "valid_names"]),
    }, "transports/operations.py says them in sentences without values"
