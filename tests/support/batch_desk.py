"""A caller of batch jobs: boto3's own clients for a running simulator, and for a bucket of moto's."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.session import Session
from support.simulated_account import NOVA

if TYPE_CHECKING:
    from aws_bedrock_inference.testing import Simulator

ROLE = "arn:aws:iam::123456789012:role/batch"
INPUT, OUTPUT = "s3://records/in/prompts.jsonl", "s3://records/out/"


@cache
def _loader() -> Any:
    """One for all clients: it reads botocore's models once."""
    return Session().get_component("data_loader")


def client(service: str, url: str, region: str = "us-east-1") -> Any:
    """Return boto3's client, which neither retries requests nor refuses any by itself."""
    core = Session()
    core.register_component("data_loader", _loader())
    config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
    session: Any = boto3.Session("AKID", "secret", region_name=region, botocore_session=core)
    return session.client(service, endpoint_url=url, config=config)


def records(number: int, *, start: int = 0) -> bytes:
    """Lines of Converse requests, with the ids r0, r1, ..."""
    return b"".join(
        json.dumps(
            {"recordId": f"r{each}", "modelInput": {"messages": [{"role": "user", "content": [{"text": f"Q{each}"}]}]}}
        ).encode()
        + b"\n"
        for each in range(start, start + number)
    )


class BatchDesk:
    """The control plane, the bucket `records`, and the simulator's clock."""

    def __init__(self, sim: Simulator, s3_url: str) -> None:
        self.sim = sim
        self.s3_url = s3_url
        self.bedrock = client("bedrock", sim.url)
        self.s3 = client("s3", s3_url)
        self.s3.create_bucket(Bucket="records")

    def scenario(self, *jobs: dict[str, Any], **tables: Any) -> None:
        self.sim.scenario(**{"s3_endpoint": self.s3_url, "batch": {"minimum": 1}, "jobs": [*jobs], **tables})

    def put(self, body: bytes, uri: str = INPUT) -> None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)

    def create(self, name: str = "nightly", *, source: str = INPUT, output: str = OUTPUT, **more: Any) -> str:
        """Return the ARN of a new job."""
        answer = self.bedrock.create_model_invocation_job(
            **{
                "jobName": name,
                "roleArn": ROLE,
                "modelId": NOVA,
                "modelInvocationType": "Converse",
                "inputDataConfig": {"s3InputDataConfig": {"s3Uri": source}},
                "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": output}},
                **more,
            }
        )
        arn: str = answer["jobArn"]
        return arn

    def get(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.bedrock.get_model_invocation_job(jobIdentifier=job)
        return found

    def status(self, job: str) -> str:
        status: str = self.get(job)["status"]
        return status

    def counts(self, job: str) -> tuple[int, ...]:
        found = self.get(job)
        return tuple(found[f"{name}RecordCount"] for name in ("total", "processed", "success", "error"))

    def output(self, job: str) -> dict[str, bytes]:
        """Return the files that a job left, by their name in its folder."""
        folder = f"out/{job.rpartition('/')[2]}/"
        found = self.s3.list_objects_v2(Bucket="records", Prefix=folder).get("Contents", [])
        return {
            each["Key"].removeprefix(folder): self.s3.get_object(Bucket="records", Key=each["Key"])["Body"].read()
            for each in found
        }

    def results(self, job: str, file: str = "prompts.jsonl") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output(job)[f"{file}.out"].splitlines()]

    def close(self) -> None:
        self.bedrock.close()
        self.s3.close()
