"""Names of AWS services, and the service that an operation belongs to.

One service has many names: boto3 and the AWS CLI say `bedrock-agent-runtime`, the endpoint `monitoring`, the signature
`bedrock`, a person `EventBridge`. The catalogue describes a few services, each of which may be several of AWS's; any
other service of AWS is known by its name alone.
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
    """Return the catalogue's name of a service, else boto3's, or nothing for a name that AWS does not use."""
    known = catalogue()
    name = name.strip().lower()
    name = _CLI.get(name, name)
    if name == ANY or name in known.services:
        return name
    home = known.homes.get(name)
    called = (service for service, about in known.services.items() if name in about["names"])
    return home or next(called, "") or _modelled(name)


def _modelled(name: str) -> str:
    """Return the service that AWS's own models call so: by its id, endpoint or signature."""
    from aws_bedrock_inference.knowledge.modelled import has_model, service_names  # noqa: PLC0415 - imports botocore

    homes = catalogue().homes
    found = sorted(service_names(name), key=lambda each: (each not in homes, each))
    if found:
        home: str = homes.get(found[0], found[0])
        return home
    return name if has_model(name) else ""  # AWS retired it, and the installed boto3 is of before


def part(service: str, text: str) -> str:
    """Return AWS's name of the part of a service that a text names, by an operation or its endpoint; else the service.

    The catalogue holds several of AWS's services as one, and one of AWS's has several endpoints.
    """
    parts: dict[str, str] = catalogue().services.get(service, {}).get("parts", {})
    return next((name for name, pattern in parts.items() if re.search(pattern, text)), service)


@lru_cache(maxsize=4096)
def places(operation: str) -> tuple[tuple[str, ...], bool]:
    """Return the services that an operation may belong to, and whether no other service has one of this name.

    Services outside the catalogue are named only where no service of the catalogue has the operation.
    """
    here = catalogue().operations.get(operation)
    if here is None:
        elsewhere = _foreign().get(operation, ())
        return elsewhere, bool(elsewhere)
    return tuple(filter(None, here)), len(here) == 1


@cache
def _foreign() -> dict[str, tuple[str, ...]]:
    """Return the services of each operation that no service of the catalogue has; read at the first such question."""
    found: dict[str, tuple[str, ...]] = {}
    for service, names in json.loads(text_of_file("foreign_operations.json")).items():
        for name in names:
            found[name] = (*found.get(name, ()), service)
    return found
