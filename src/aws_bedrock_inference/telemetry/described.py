"""The attributes of routes and faults in spans and metrics, under the names of OpenTelemetry's conventions.

The attributes contain routes, codes, causes and counts. They contain no text of a request or an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.event_fields import code_of
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.telemetry.names import OWN, PROVIDER
from aws_bedrock_inference.telemetry.usage import all_input

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Route, Usage
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.telemetry.names import Names

Value = str | bool | int | float | tuple[str, ...]
Attributes = dict[str, Value]

CAUSE, DECISION = f"{OWN}cause", f"{OWN}decision"
OPERATION, TARGET = f"{OWN}operation", f"{OWN}target"
CONTEXT = f"{OWN}context."

OTHER = "_OTHER"
"""The value that the conventions define for an error without a name."""

EMBEDDINGS = "embeddings"

# A wrapped function has a name from its program; names of models, services and functions are shorter.
_LONGEST = 256


class Described:
    """Creates the attributes that spans and metrics have in common.

    The names of the attributes are those of one version of OpenTelemetry's conventions.
    """

    def __init__(self, names: Names) -> None:
        self.name = names.attributes
        self._operations = names.operations

    def operation(self, operation: str, route: Route) -> str:
        """Return the name of an operation in OpenTelemetry's conventions for generative AI.

        The result is empty if the conventions contain no name for the operation.
        """
        found = self._operations.get(operation, "")
        return EMBEDDINGS if found and "embed" in (route.base or route.model) else found

    def call(self, operation: str, route: Route) -> Attributes:
        """Return the attributes of a call of `operation` on `route`."""
        found = self.operation(operation, route)
        target = masked(route.model)[:_LONGEST]
        if not operation:  # an event without a route
            attributes: Attributes = {self.name["model"]: target}
        elif found:
            attributes = {
                self.name["operation"]: found,
                self.name["provider"]: PROVIDER,
                self.name["model"]: target,
            }
        else:
            attributes = {OPERATION: operation, TARGET: target}
        if route.region:
            attributes[self.name["region"]] = route.region
        return attributes

    def endpoint(self, route: Route) -> Attributes:
        """Return the attributes of a route's endpoint, for spans.

        Metrics do not have these attributes. They would cost time in every call, and the Region contains nearly the
        same information.
        """
        attributes: Attributes = {}
        if route.server:
            host, _, port = route.server.rpartition(":")
            attributes |= {self.name["host"]: host.strip("[]"), self.name["port"]: int(port)}
        return attributes

    def fault(self, fault: Fault) -> Attributes:
        """Return the attributes of a fault.

        If the program itself stopped reading a stream, there is no error attribute, because this is not an error.
        """
        if fault.cause == ABANDONED.cause:
            return {CAUSE: fault.cause}
        return {self.name["error"]: code_of(fault) or OTHER, CAUSE: fault.cause, DECISION: fault.decision.value}

    def usage(self, usage: Usage) -> Attributes:
        """Return the token counts of a call."""
        attributes: Attributes = {
            self.name["input_tokens"]: all_input(usage),
            self.name["output_tokens"]: usage.output_tokens,
        }
        if usage.cache_read_tokens:
            attributes[self.name["cache_read_tokens"]] = usage.cache_read_tokens
        if usage.cache_write_tokens:
            attributes[self.name["cache_write_tokens"]] = usage.cache_write_tokens
        return attributes
