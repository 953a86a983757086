"""Find the service that a name or an operation belongs to.

One service has many names: `bedrock-agent-runtime` in boto3 and the AWS CLI, `monitoring` in an endpoint, `bedrock` in
a signature, `EventBridge` in prose. The error catalogue describes only a few services. It describes some AWS services
together: its service `bedrock-agents` contains `bedrock-agent` and `bedrock-agentcore`. The AWS services that the
catalogue does not describe are known only by their names.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache

from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.data import text_of_file

# Names that only the AWS CLI uses: awscli 2.31, customizations and aliases, read 2026-11-29.
_CLI = {"s3api": "s3", "ddb": "dynamodb", "deploy": "codedeploy", "configservice": "config"}


@lru_cache(maxsize=1024)
def resolve(name: str) -> str:
    """Return the catalogue's name of a service, or otherwise boto3's name. The result is empty if AWS does not use
    the name.
    """
    known = catalogue()
    name = name.strip().lower()
    name = _CLI.get(name, name)
    if name == ANY or name in known.services:
        return name
    home = known.homes.get(name)
    called = (service for service, about in known.services.items() if name in about["names"])
    return home or next(called, "") or _modelled(name)


def _modelled(name: str) -> str:
    """Search AWS's service models for a service whose id, endpoint or signing name is `name`. Return the service, or an
    empty string.
    """
    from aws_bedrock_inference.knowledge.modelled import has_model, service_names  # noqa: PLC0415 - imports botocore

    homes = catalogue().homes
    found = sorted(service_names(name), key=lambda each: (each not in homes, each))
    if found:
        home: str = homes.get(found[0], found[0])
        return home
    return name if has_model(name) else ""  # a service that AWS has retired, in an older boto3


def part(service: str, text: str) -> str:
    """Return the AWS service that a text is about, if an operation or an endpoint in the text shows it. Otherwise
    return `service`.

    `service` is a service of the catalogue. It can stand for several AWS services, and the result is one of them.
    """
    parts: dict[str, str] = catalogue().services.get(service, {}).get("parts", {})
    return next((name for name, pattern in parts.items() if re.search(pattern, text)), service)


@lru_cache(maxsize=4096)
def places(operation: str) -> tuple[tuple[str, ...], bool]:
    """Return the services that have an operation of this name, and True or False. If the value is False, the caller
    must also search the error's text for names of services.

    The error catalogue describes only some services of AWS. The result depends on the services that have the operation:

    * one service, which is in the catalogue: return this service and True;
    * several services, at least one of them in the catalogue: return those in the catalogue, and False;
    * only services outside the catalogue: return all of them, and True;
    * no service: return no services, and False.
    """
    here = catalogue().operations.get(operation)
    if here is None:
        elsewhere = _foreign().get(operation, ())
        return elsewhere, bool(elsewhere)
    return tuple(filter(None, here)), len(here) == 1


@cache
def _foreign() -> dict[str, tuple[str, ...]]:
    """Return a dictionary from the name of an operation to the AWS services that have the operation. An operation is
    omitted if a service of the error catalogue has it. Therefore no service of the catalogue is in the dictionary.
    """
    found: dict[str, tuple[str, ...]] = {}
    for service, names in json.loads(text_of_file("foreign_operations.json")).items():
        for name in names:
            found[name] = (*found.get(name, ()), service)
    return found
