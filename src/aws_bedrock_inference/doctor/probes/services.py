"""Probes that check resources of other services that an error names: a bucket, a table, a function, a rule, a role, a
queue.

A "probe" is one read-only check of the doctor. Each of these probes reads the resource that the error's text names, and
evaluates the resource's state. These probes run only when the doctor diagnoses an error.
"""

from __future__ import annotations

from aws_bedrock_inference.doctor import states
from aws_bedrock_inference.doctor.part import Part, part_probe
from aws_bedrock_inference.doctor.probes.pattern import pattern

_S3 = (
    Part(
        probe="bucket",
        what="The bucket",
        service="s3",
        operation="head_bucket",
        names={"Bucket": "BUCKET"},
        permission="s3:ListBucket",
        missing=("s3-bucket-missing",),
        states=("s3-wrong-region-redirect",),
        may_tell=("lambda-code-object-unreadable",),
        denied=("s3-access-denied", "s3-head-without-reason"),
        by_status={404: "s3-bucket-missing"},
        judge=states.bucket,
        refused=states.bucket_refused,
    ),
    Part(
        probe="object",
        what="The object",
        service="s3",
        operation="head_object",
        names={"Bucket": "BUCKET", "Key": "KEY"},
        permission="s3:GetObject",
        missing=("s3-key-missing",),
        states=("s3-object-archived",),
        may_tell=("s3-restore-running",),
        denied=("s3-access-denied", "s3-head-without-reason", "lambda-code-object-unreadable"),
        by_status={404: "s3-key-missing"},
        judge=states.stored_object,
        refused=states.object_refused,
        needs=("identity", "bucket"),
    ),
    Part(
        probe="public-block",
        what="The bucket",
        service="s3",
        operation="get_public_access_block",
        names={"Bucket": "BUCKET"},
        permission="s3:GetBucketPublicAccessBlock",
        missing=(),
        needs=("identity", "bucket"),
        may_tell=("s3-access-denied-public-block",),
        judge=states.public_block,
    ),
)
_STORES = (
    Part(
        probe="table",
        what="The table",
        service="dynamodb",
        operation="describe_table",
        names={"TableName": "TABLE"},
        permission="dynamodb:DescribeTable",
        missing=("dynamodb-table-missing", "resource-not-found"),
        may_tell=("dynamodb-index-missing", "dynamodb-provisioned-throughput", "kms-denied"),
        judge=states.table,
    ),
    Part(
        probe="stream",
        what="The stream",
        service="kinesis",
        operation="describe_stream_summary",
        names={"StreamName": "STREAM"},
        permission="kinesis:DescribeStreamSummary",
        missing=("kinesis-stream-missing", "resource-not-found"),
        judge=states.stream,
    ),
    Part(
        probe="queue",
        what="The queue",
        service="sqs",
        operation="get_queue_attributes",
        names={"QueueUrl": "QUEUE_URL"},
        fixed={"AttributeNames": ["ApproximateNumberOfMessagesNotVisible"]},
        permission="sqs:GetQueueAttributes",
        missing=("sqs-queue-missing",),
        may_tell=("sqs-in-flight-limit",),
        judge=states.queue,
    ),
    Part(
        probe="topic",
        what="The topic",
        service="sns",
        operation="get_topic_attributes",
        names={"TopicArn": "TOPIC"},
        permission="sns:GetTopicAttributes",
        missing=("sns-topic-missing",),
    ),
)
_LAMBDA = (
    Part(
        probe="function",
        what="The function",
        service="lambda",
        operation="get_function_configuration",
        names={"FunctionName": "FUNCTION"},
        permission="lambda:GetFunctionConfiguration",
        missing=("lambda-function-missing", "resource-not-found"),
        states=("lambda-function-failed-state", "lambda-resource-conflict-updating", "lambda-vpc-not-ready"),
        may_tell=tuple(sorted(set(states.facts()["lambda"].values()))),
        judge=states.function,
    ),
    Part(
        probe="concurrency",
        what="The function",
        service="lambda",
        operation="get_function_concurrency",
        names={"FunctionName": "FUNCTION"},
        permission="lambda:GetFunctionConcurrency",
        missing=(),
        needs=("identity", "function"),
        may_tell=("lambda-throttled-concurrency",),
        judge=states.concurrency,
    ),
)
_EVENTS = (
    Part(
        probe="event-bus",
        what="The event bus",
        service="events",
        operation="describe_event_bus",
        names={"Name": "BUS"},
        permission="events:DescribeEventBus",
        missing=("events-bus-missing", "resource-not-found"),
    ),
    Part(
        probe="rule",
        what="The rule",
        service="events",
        operation="describe_rule",
        names={"Name": "RULE"},
        optional={"EventBusName": "BUS"},
        permission="events:DescribeRule",
        missing=("events-rule-missing", "resource-not-found"),
        may_tell=("events-managed-rule",),
        judge=states.rule,
    ),
    Part(
        probe="rule-targets",
        what="The rule",
        service="events",
        operation="list_targets_by_rule",
        names={"Rule": "RULE"},
        optional={"EventBusName": "BUS"},
        permission="events:ListTargetsByRule",
        missing=(),
        needs=("identity", "rule"),
        may_tell=("events-rule-has-targets", "events-target-limit"),
        judge=states.targets,
    ),
)
_LOGS = (
    Part(
        probe="log-group",
        what="The log group",
        service="logs",
        operation="describe_log_groups",
        names={"logGroupNamePrefix": "GROUP"},
        permission="logs:DescribeLogGroups",
        missing=("logs-group-missing", "resource-not-found"),
        judge=states.log_group,
    ),
    Part(
        probe="log-stream",
        what="The log stream",
        service="logs",
        operation="describe_log_streams",
        names={"logGroupName": "GROUP", "logStreamNamePrefix": "LOG_STREAM"},
        permission="logs:DescribeLogStreams",
        missing=("logs-stream-missing",),
        judge=states.log_stream,
        needs=("identity", "log-group"),
    ),
)
_IAM = (
    Part(
        probe="role",
        what="The role",
        service="iam",
        operation="get_role",
        names={"RoleName": "ROLE"},
        permission="iam:GetRole",
        missing=("iam-entity-missing",),
        may_tell=("lambda-role-not-assumable", "assume-role-trust", "sts-assume-role-denied", "states-permissions"),
        judge=states.role,
    ),
    Part(
        probe="user",
        what="The user",
        service="iam",
        operation="get_user",
        names={"UserName": "USER"},
        permission="iam:GetUser",
        missing=("iam-entity-missing",),
    ),
    Part(
        probe="key",
        what="The key",
        service="kms",
        operation="describe_key",
        names={"KeyId": "KMS_KEY"},
        permission="kms:DescribeKey",
        missing=("kms-denied",),
        judge=states.key,
    ),
)
_STATES = (
    Part(
        probe="state-machine",
        what="The state machine",
        service="stepfunctions",
        operation="describe_state_machine",
        names={"stateMachineArn": "STATE_MACHINE"},
        permission="states:DescribeStateMachine",
        missing=("states-machine-missing", "resource-not-found"),
        judge=states.state_machine,
    ),
    Part(
        probe="execution",
        what="The execution",
        service="stepfunctions",
        operation="describe_execution",
        names={"executionArn": "EXECUTION"},
        permission="states:DescribeExecution",
        missing=("states-machine-missing",),
        may_tell=("states-task-failed", "states-timeout"),
        judge=states.execution,
    ),
)

PROBES = (*map(part_probe, (*_S3, *_STORES, *_LAMBDA, *_EVENTS, *_LOGS, *_IAM, *_STATES)), pattern)
