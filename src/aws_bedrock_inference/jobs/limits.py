"""The limits of one batch job: the minimum and the maximum of its records and bytes.

The limits are quotas of each model. If Service Quotas does not list a limit, the value that AWS publishes applies;
`limits.toml` contains these values.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.service_quotas.names import model_of_id, model_of_name

if TYPE_CHECKING:
    from aws_bedrock_inference.service_quotas.table import QuotaTable

# A quota in GB is read as 10^9 bytes, the smaller of the two meanings.
_GB = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """The limits of one job. A job has from `least_records` to `most_records` records and at most `job_bytes` bytes.
    Each of its files has at most `file_records` records and `file_bytes` bytes. Raises `ValueError` for values that
    are not whole numbers above 0.
    """

    least_records: int
    most_records: int
    file_records: int
    file_bytes: int
    job_bytes: int

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not is_number(value := getattr(self, name), least=1, whole=True):
                raise ValueError(f"{name}={shown(value)}: use a whole number, 1 or more")
        if self.least_records > self.most_records:
            raise ValueError(
                f"least_records={self.least_records} is above most_records={self.most_records}. Decrease least_records"
            )


def limits_of(base_model_id: str, quotas: QuotaTable | None = None) -> JobLimits:
    """Return the limits of a job of the model.

    If `quotas` contains exactly one value for a limit of this model, this value is used. Otherwise, the value that AWS
    publishes for most models is used.
    """
    facts = _facts()
    value = {
        name: facts["job"][name] for name in ("least_records", "most_records", "file_records", "file_gb", "job_gb")
    }
    value |= _listed(base_model_id, quotas)
    return JobLimits(
        least_records=int(value["least_records"]),
        most_records=int(value["most_records"]),
        file_records=int(value["file_records"]),
        file_bytes=int(value["file_gb"] * _GB),
        job_bytes=int(value["job_gb"] * _GB),
    )


def _listed(base_model_id: str, quotas: QuotaTable | None) -> dict[str, float]:
    """Return the limits of the model in the account's quotas.

    If two quotas state different values for the same limit, this limit is omitted.
    """
    model = model_of_id(base_model_id)
    listed: dict[str, set[float]] = {}
    for found in quotas.found if quotas is not None and model is not None else ():
        named = _named(found.name)
        if named is not None and model_of_name(named[1]) == model and found.value:
            listed.setdefault(named[0], set()).add(found.value)
    return {name: values.pop() for name, values in listed.items() if len(values) == 1}


def _named(quota: str) -> tuple[str, str] | None:
    """Return the kind of limit and the name of the model that the name of a quota contains. Return None if the quota is
    not a limit of batch jobs.

    For example, the result for "Records per batch inference job for Nova Lite" is ("most_records", "Nova Lite").
    """
    for pattern, value in _patterns():
        found = pattern.fullmatch(quota)
        if found is not None:
            return value, found["model"]
    return None


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(entry["pattern"], re.IGNORECASE), entry["value"]) for entry in _facts()["quotas"]]


@cache
def _facts() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("limits.toml").read_text(encoding="utf-8"))
