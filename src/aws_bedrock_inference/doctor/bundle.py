"""Write the file for a bug report. The file contains the doctor's report and the versions of the software, such as
Python and boto3. It contains no secrets.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import __version__
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from aws_bedrock_inference.doctor.findings import Report

_PACKAGES = ("boto3", "botocore", "aiobotocore", "aiohttp", "h11", "urllib3", "langchain-aws", "anthropic", "litellm")
_SETTINGS = ("AWS_", "BEDROCK_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_")


def bundle(report: Report, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the content of a bug report. It contains only the names of settings, not their values."""
    found = {each.metadata["Name"].lower(): each.version for each in distributions() if each.metadata["Name"]}
    return {
        "package": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: found[name] for name in _PACKAGES if name in found},
        "set": sorted(name for name in environ if name.upper().startswith(_SETTINGS)),
        "report": report.to_json(),
    }


def write_bundle(file: Path, report: Report) -> None:
    """Write the bug report to `file`. No other user is allowed to read this file."""
    text = masked(json.dumps(bundle(report), indent=2), accounts=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write(text + "\n")
