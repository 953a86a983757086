"""The error messages of the service, and the exceptions with which the simulator reports them."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

_DATA: dict[str, Any] = tomllib.loads(files(__package__).joinpath("error_texts.toml").read_text(encoding="utf-8"))
ERRORS: dict[str, dict[str, Any]] = _DATA["error"]


class ServiceError(Exception):
    """An error answer of the simulator: its code, message and HTTP status. By default, the message and the status are
    those that the service uses for this code.
    """

    def __init__(self, code: str, message: str = "", status: int | None = None) -> None:
        known = ERRORS.get(code, {})
        super().__init__(message or known.get("message", ""))
        self.code = code
        self.status = status or known.get("status", 500)
        self.namespace: str = known.get("namespace", "com.amazon.bedrock")
        self.headers: list[tuple[str, str]] = []


class ServiceMissing(ServiceError):
    """The error answer to a request for a service other than Bedrock, such as STS. The answer is XML, because the
    clients of such services expect XML.
    """


class ModelRefusal(ServiceError):
    """An error with which the model itself refuses a request, in the model's own words."""


def text(section: str, name: str, **values: object) -> str:
    """Return the message `name` from a section of `error_texts.toml`. `values` replace the placeholders in it."""
    sentence: str = _DATA[section][name]
    return sentence.format(**values) if values else sentence


def invalid(name: str, **values: object) -> ServiceError:
    """Return a validation error of the service, with the message `name` of the section `invalid`."""
    return ServiceError("ValidationException", text("invalid", name, **values))


def refused(name: str, **values: object) -> ModelRefusal:
    """Return a validation error of the model itself, with the message `name` of the section `model`."""
    return ModelRefusal("ValidationException", text("model", name, **values))
