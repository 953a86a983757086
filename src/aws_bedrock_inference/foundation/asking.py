"""Send requests about models, inference profiles and access to AWS's control-plane service `bedrock`. A request that
fails does not raise an exception: the result contains a `Missing`, which describes the failed request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from aws_bedrock_inference.fault import Kind, Origin
from aws_bedrock_inference.foundation.listing import Listing, Missing, model_of, profile_of
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.lifecycle import retention_modes
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.sessions import key_of, make_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.foundation.listing import FoundationModel, InferenceProfile

T = TypeVar("T")


class ControlPlane:
    """Sends requests about one account in one Region. A request that fails raises no exception. Its result is None, and
    a `Missing` is appended to the list `missing`. This `Missing` contains the name of the permission that the request
    needs.
    """

    def __init__(self, session: Any = None, *, region_name: str | None = None, endpoint_url: str | None = None) -> None:
        from botocore.config import Config  # noqa: PLC0415 - heavy, and only this code needs it

        # The SDK's own retries are enough, because speed does not matter for lists.
        config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})
        self._client, _, self._credentials = make_client(
            "bedrock", session, region_name=region_name, endpoint_url=endpoint_url, config=config
        )
        self.region: str = self._client.meta.region_name
        self.endpoint: str = self._client.meta.endpoint_url

    def whose(self) -> tuple[str, str]:
        """Return two texts: the account id, and the key under which this account's lists are stored. The account id is
        empty if the credentials do not contain it. The key is empty if there are no credentials.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            frozen = self._credentials.get_frozen_credentials() if self._credentials else None
        except (BotoCoreError, ClientError):
            frozen = None
        if frozen is None or not frozen.access_key:
            return "", ""
        account = getattr(frozen, "account_id", None) or ""
        return account, account or key_of(frozen.access_key)

    def lists(self, now: float) -> Listing:
        """Return the lists of models and profiles that the caller is allowed to read.

        The result also contains the account's data-retention mode if a listed model accepts only some modes.
        """
        missing: list[Missing] = []
        models = self._asked("ListFoundationModels", self._models, missing)
        profiles = self._asked("ListInferenceProfiles", self._profiles, missing)
        choosy = any(retention_modes(model.id) for model in models or ())
        return Listing(
            region=self.region,
            at=now,
            account=self.whose()[0],
            models=models,
            profiles=profiles,
            retention=self.retention(missing) if choosy else None,
            missing=tuple(missing),
        )

    def model(self, base: str, missing: list[Missing]) -> FoundationModel | None:
        """Return the model with this id. Return None if the Region has no such model, or if AWS did not answer."""

        def ask() -> FoundationModel:
            return model_of(self._client.get_foundation_model(modelIdentifier=base)["modelDetails"])

        return self._asked("GetFoundationModel", ask, missing)

    def profile(self, name: str, missing: list[Missing]) -> InferenceProfile | None:
        """Return the inference profile with this id or ARN. Return None if the Region has no such profile, or if AWS
        did not answer.
        """

        def ask() -> InferenceProfile:
            return profile_of(self._client.get_inference_profile(inferenceProfileIdentifier=name), self.region)

        return self._asked("GetInferenceProfile", ask, missing)

    def access(self, base: str, missing: list[Missing]) -> dict[str, Any] | None:
        """Return the account's access to a base model, as AWS reports it."""

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = self._client.get_foundation_model_availability(modelId=base)
            return answer

        return self._asked("GetFoundationModelAvailability", ask, missing)

    def use_case_form(self, missing: list[Missing]) -> bool | None:
        """Return whether the account's use-case form was submitted, or None if AWS did not answer."""

        def ask() -> bool:
            self._client.get_use_case_for_model_access()
            return True

        failures = len(missing)
        found = self._asked("GetUseCaseForModelAccess", ask, missing)
        return False if found is None and len(missing) == failures else found

    def retention(self, missing: list[Missing]) -> str | None:
        """Return the account's data-retention mode in the Region."""

        def ask() -> str:
            return str(self._client.get_account_data_retention()["mode"])

        return self._asked("GetAccountDataRetention", ask, missing)

    def _models(self) -> tuple[FoundationModel, ...]:
        return tuple(model_of(each) for each in self._client.list_foundation_models()["modelSummaries"])

    def _profiles(self) -> tuple[InferenceProfile, ...]:
        found = []
        for kind in ("SYSTEM_DEFINED", "APPLICATION"):
            pages = self._client.get_paginator("list_inference_profiles").paginate(
                typeEquals=kind, PaginationConfig={"PageSize": 1000}
            )
            found += [profile_of(each, self.region) for page in pages for each in page["inferenceProfileSummaries"]]
        return tuple(found)

    def _asked(self, operation: str, ask: Callable[[], T], missing: list[Missing]) -> T | None:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            return ask()
        except ClientError as error:
            if error.response["Error"].get("Code") == "ResourceNotFoundException":
                return None
            missing.append(_missing(operation, error))
        except (
            BotoCoreError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:  # a gateway may return something other than a list
            missing.append(_missing(operation, error))
        return None


def _missing(operation: str, error: Exception) -> Missing:
    text = " ".join(str(error).split()).rstrip(".")
    reason = masked(f"{type(error).__name__}: {text}")
    fault = classify(error)
    # Missing or refused credentials cannot be fixed by allowing a permission.
    denied = fault.kind is Kind.DENIED and fault.origin is not Origin.IDENTITY
    return Missing(permission=f"bedrock:{operation}", reason=reason, denied=denied)
