"""The tables of a scenario for the control plane (the service `bedrock`): models and inference profiles."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from math import inf

RETENTION_MODES = ("default", "none", "aws_review", "provider_data_share", "inherit")
PARTICIPATIONS = ("requestable", "eligible", "enabled", "disabled", "revoked")
AGREEMENTS = ("AVAILABLE", "PENDING", "NOT_AVAILABLE", "ERROR")
MODALITIES = ("TEXT", "IMAGE", "EMBEDDING")
SYSTEM, APPLICATION = "SYSTEM_DEFINED", "APPLICATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundationModel:
    """A model, its lifecycle, and the access of the account to the model.

    `regions` are shell patterns. Dates are days in UTC, such as `2026-12-31`. On its end-of-life day, a model stops
    existing. `agreement` is the state of the Marketplace agreement. A pending agreement becomes complete
    `agreement_after` seconds after the scenario was loaded.
    """

    id: str
    name: str = ""
    provider: str = ""
    input: tuple[str, ...] = ("TEXT",)
    output: tuple[str, ...] = ("TEXT",)
    streaming: bool = True
    on_demand: bool = True
    provisioned: bool = False
    regions: tuple[str, ...] = ("*",)
    start_of_life: str = ""
    legacy: str = ""
    extended_access: str = ""
    end_of_life: str = ""
    agreement: str = "AVAILABLE"
    agreement_after: float = inf
    authorized: bool = True
    entitled: bool = True

    def __post_init__(self) -> None:
        if self.agreement not in AGREEMENTS:
            raise ValueError(f"agreement is {self.agreement!r:.80}; use one of {', '.join(AGREEMENTS)}")
        for modality in (*self.input, *self.output):
            if modality not in MODALITIES:
                raise ValueError(f"{modality!r:.80} is not a modality; use one of {', '.join(MODALITIES)}")
        for day in (self.start_of_life, self.legacy, self.extended_access, self.end_of_life):
            moment(day)

    def lives(self, now: float) -> bool:
        """Return whether the model has not yet reached its end of life at the time `now` (seconds since the epoch)."""
        return now < moment(self.end_of_life)

    def is_in(self, region: str) -> bool:
        """Return whether the model is available in the Region."""
        return any(fnmatchcase(region, pattern) for pattern in self.regions)

    def agreement_at(self, seconds: float) -> str:
        """Return the state of the Marketplace agreement, `seconds` after the scenario was loaded."""
        return "AVAILABLE" if self.agreement == "PENDING" and seconds >= self.agreement_after else self.agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceProfile:
    """An inference profile, which distributes the calls of one model among several Regions.

    The profile can be called from each Region in `regions`. With `everywhere`, the profile is global: it can be called
    from every Region.
    """

    id: str
    model: str
    regions: tuple[str, ...] = ()
    everywhere: bool = False
    application: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not self.regions and not self.everywhere:
            raise ValueError("regions is missing; list the Regions, or set everywhere = true")

    def is_in(self, region: str) -> bool:
        """Return whether the profile can be called from the Region."""
        return self.everywhere or region in self.regions


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """The data-retention mode of the account in the Regions that match a shell pattern."""

    region: str
    mode: str

    def __post_init__(self) -> None:
        if self.mode not in RETENTION_MODES:
            raise ValueError(f"mode is {self.mode!r:.80}; use one of {', '.join(RETENTION_MODES)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedAccess:
    """A trusted access program of a model provider. `status` is the account's status in the program."""

    id: str
    provider: str
    status: str = "requestable"

    def __post_init__(self) -> None:
        if self.status not in PARTICIPATIONS:
            raise ValueError(f"status is {self.status!r:.80}; use one of {', '.join(PARTICIPATIONS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnforcedGuardrail:
    """A guardrail that the account enforces on all calls of a Region."""

    id: str
    version: str = "1"


def moment(day: str) -> float:
    """Return the start of a day in UTC, in seconds since the epoch. Return infinity for an empty text."""
    if not day:
        return inf
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise ValueError(f"{day!r:.40} is not a date; write dates as 2026-12-31") from None
