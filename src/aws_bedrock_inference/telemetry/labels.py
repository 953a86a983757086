"""The labels of metrics that come from the caller's `context(...)`. Each value of a label creates a separate series
of metrics, so the number of values must stay small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.contexts import texts
from aws_bedrock_inference.knowledge.masking import masked_in

if TYPE_CHECKING:
    from aws_bedrock_inference.contexts import Context

OTHER = "other"
"""The label value that stands for all values beyond the limit."""


def reported(context: Context) -> Context:
    """Return a copy of a context without secrets that a program may have put into the context by mistake."""
    return tuple(masked_in(dict(context)).items())


class Labels:
    """The labels of one program's metrics.

    The metrics use at most `names` different labels. All further labels are omitted. Each label has at most `values`
    different values. All further values of the label are replaced by `other`.
    """

    def __init__(self, *, names: int = 8, values: int = 50) -> None:
        self._names = names
        self._values = values
        self._seen: dict[str, set[str]] = {}

    def of(self, context: Context) -> dict[str, str]:
        """Return the labels of a call that was made in `context`."""
        labels = {}
        for name, text in texts(reported(context)).items():
            seen = self._seen.get(name)
            if seen is None:
                if len(self._seen) >= self._names:
                    continue
                seen = self._seen.setdefault(name, set())
            if text not in seen and len(seen) < self._values:
                seen.add(text)
            labels[name] = text if text in seen else OTHER
        return labels
