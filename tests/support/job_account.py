"""An account of moto's that can run batch jobs: a bucket, and a role that Bedrock may assume."""

from __future__ import annotations

import json

from support.batch_desk import client

ROLE = "arn:aws:iam::123456789012:role/batch"

_TRUST = {"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}


def open_account(url: str, bucket: str) -> None:
    """Make the role and the bucket."""
    iam, s3 = client("iam", url), client("s3", url)
    policy = {"Version": "2012-10-17", "Statement": [_TRUST]}
    iam.create_role(RoleName="batch", AssumeRolePolicyDocument=json.dumps(policy))
    s3.create_bucket(Bucket=bucket)
    iam.close()
    s3.close()
