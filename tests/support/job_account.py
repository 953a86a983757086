"""An account of moto's that can run batch jobs: a bucket, and a role that Bedrock may assume."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from support.batch_desk import client

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ROLE = "arn:aws:iam::123456789012:role/batch"

_TRUST = {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}


def open_account(url: str, bucket: str) -> None:
    """Create the role and the bucket."""
    iam, s3 = client("iam", url), client("s3", url)
    policy = {"Version": "2012-10-17", "Statement": [_TRUST]}
    iam.create_role(RoleName="batch", AssumeRolePolicyDocument=json.dumps(policy))
    s3.create_bucket(Bucket=bucket)
    iam.close()
    s3.close()


def enter_account(patch: pytest.MonkeyPatch, sim_url: str, moto_url: str, bucket: str, cache: Path) -> None:
    """Create the role and the bucket, and set the environment so that the program and its children use them: Bedrock
    is the simulator, everything else is moto's server."""
    environment = {
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_ENDPOINT_URL_BEDROCK": sim_url,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": sim_url,
        "AWS_ENDPOINT_URL_SERVICE_QUOTAS": sim_url,  # which knows none
        "AWS_ACCESS_KEY_ID": "AKIDSIMULATOR",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(cache),
    }
    for name, value in environment.items():
        patch.setenv(name, value)
    open_account(moto_url, bucket)
