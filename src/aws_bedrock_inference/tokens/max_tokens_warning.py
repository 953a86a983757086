"""Warn once for each model if requests set no max_tokens. Each such request reserves the model's maximum of output
tokens from the quota.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from aws_bedrock_inference.forks import Locked

if TYPE_CHECKING:
    from types import FrameType

# The number of models that cause a warning in one process. It is limited because users of the program may choose the
# ids.
_MOST = 1024
_PACKAGE = __package__.partition(".")[0]


class UnboundedAnswerWarning(UserWarning):
    """A warning that `max_tokens` is not set, so that each call reserves the model's maximum of output tokens."""


class Warned(Locked):
    """The models for which a warning was already emitted. Threads can share a `Warned`."""

    def __init__(self) -> None:
        self._models: set[str] = set()
        super().__init__()

    def first(self, model: str) -> bool:
        """Return whether to emit a warning for `model` now, and store the model.

        The result is True only for the first call with this model. If too many models are already stored, the result is
        False for every new model, and the new model is not stored.
        """
        if model in self._models:
            return False
        with self._lock:
            if model in self._models or len(self._models) >= _MOST:
                return False
            self._models.add(model)
            return True


PROCESS = Warned()


def unbounded_warning(model: str, reserved: int, tpm: float) -> str:
    """Return the text that explains the cost of a missing max_tokens. `reserved` is the number of tokens that each
    answer of `model` reserves. `tpm` is the quota in tokens per minute.
    """
    calls = int(tpm // reserved)
    if calls:
        at_once = f"that is {calls:,} call{'' if calls == 1 else 's'} at a time"
    else:
        at_once = "that is more than a minute's quota, so no call can be admitted"
    return (
        f"max_tokens is not set, so each call to {model} reserves {reserved:,} tokens of the quota for its answer; "
        f"at {tpm:,.0f} per minute {at_once}. Set max_tokens to the length that answers need."
    )


def warn_unbounded(model: str, reserved: int, tpm: float, *, warned: Warned = PROCESS) -> None:
    """Emit `UnboundedAnswerWarning`, unless `warned` already contains the model. The warning points to the caller's own
    line of code.

    `tpm` is the quota in tokens per minute. Call this function only if a quota is known. Without a quota, the client
    reserves no tokens, so the warning would be wrong.
    """
    if warned.first(model):
        warnings.warn(unbounded_warning(model, reserved, tpm), UnboundedAnswerWarning, stacklevel=outside())


def outside() -> int:
    """Return the `stacklevel` with which `warnings.warn` shows the first caller outside this package."""
    level = 0
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - `skip_file_prefixes` comes with Python 3.12
    while frame is not None:
        level += 1
        if frame.f_globals.get("__name__", "").partition(".")[0] != _PACKAGE:
            return level
        frame = frame.f_back
    return level
