"""The patterns that find the values of placeholders in a text. A placeholder is a word in a command, such as `FUNCTION`
or `BUCKET`. A value from the error's text replaces it.
"""

from __future__ import annotations

import re

_REGION = r"(?:us|eu|ap|sa|ca|me|af|il|mx|cn)(?:-gov|-iso[a-z]?)?-[a-z]{4,9}-\d"
_VENDORS = (
    *("anthropic.", "amazon.", "meta.", "mistral.", "cohere.", "ai21.", "deepseek.", "openai.", "qwen.", "stability."),
    *("writer.", "luma.", "twelvelabs.", "moonshot.", "moonshotai.", "google.", "nvidia.", "minimax.", "zai."),
)
_MODEL = rf"(?:{'|'.join(map(re.escape, _VENDORS))})(?=[\w.]{{1,60}}-)[a-z][\w.-]{{1,100}}(?::\d{{1,4}}[a-z]?){{0,2}}"
_GEOGRAPHY = r"(?:us|eu|apac|us-gov|jp|au|ca|global)\."
_ARN = r"\barn:aws[a-z-]{0,10}"
_ACCOUNT = r"(?:\d{1,12}|[*Xx]{3,14})"  # people replace it with such characters
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_IAM = r"[\w+=.@-]{1,64}"
# The role of a session in a shortened ARN: `User: ...:assumed-role/worker/me`.
_SHORTENED = r"\bassumed[-_ ]role/ ?"
# The separators between a name and its value in sentences, JSON, XML and program output.
_IS = r"[\"']?(?:\s{0,3}[:=]\s{0,3}|>|\s(?:named\s)?)[\"'`]?"

# Services that assume roles and whose principal has the same name as the service.
_TAKERS = "codebuild|codepipeline|firehose|glue|lambda|sagemaker|scheduler"

# For each placeholder, the patterns of its value, most reliable first.
PATTERNS: dict[str, tuple[str, ...]] = {
    "FUNCTION": (
        rf"{_ARN}:lambda:[a-z0-9-]{{1,20}}:{_ACCOUNT}?:function:([\w-]{{1,64}})",
        r"/aws/lambda/([\w-]{1,64})",
        rf"\bfunction[ _]?name{_IS}([\w-]{{1,64}})",
    ),
    "BUCKET": (
        rf"{_ARN}:s3:::({_BUCKET})",
        rf"\bs3a?://({_BUCKET})",
        rf"(?i:\bbucket(?:[ _]?name)?)[\"']?(?:\s{{0,3}}[:=]\s{{0,3}}[\"']|=|>|\s[\"'`])({_BUCKET})(?![\w-])",
        rf"(?i:\bbucket(?:[ _]?name)?)(?::\s?|\s)(?=[a-z0-9]{{0,40}}[\d.-])({_BUCKET})(?![\w-])",
        rf"AWS::S3::Bucket\b[^\n]{{0,200}}\n\s{{0,200}}({_BUCKET})\s{{1,3}}already exists",
        rf"\b({_BUCKET})\.s3[.-](?:[a-z0-9-]{{1,20}}\.)?amazonaws\.com",
    ),
    "KEY": (
        rf"{_ARN}:s3:::[a-z0-9.-]{{3,63}}/([^\s\"'<>*]{{1,512}})",
        r"\bs3a?://[a-z0-9.-]{3,63}/([^\s\"'<>*]{1,512})",
        r"<Key>([^<>\s]{1,512})</Key>",
        r"[\"']Key[\"']:\s?[\"']([^\s\"'<>]{1,512})[\"']",
    ),
    "TABLE": (
        rf"{_ARN}:dynamodb:[a-z0-9-]{{1,20}}:{_ACCOUNT}?:table/([\w.-]{{3,255}})",
        r"\bTable(?:[ _]?Name)?[\"']?\s{0,2}[:=]\s{0,2}[\"']?(?!arn:)([\w.-]{3,255})",
    ),
    "GROUP": (
        rf"{_ARN}:logs:[a-z0-9-]{{1,20}}:{_ACCOUNT}?:log-group:([\w./#-]{{1,512}})",
        rf"\blog[ _-]?group(?:[ _-]?name)?{_IS}(?=[\w./#-]{{0,200}}[/\d-])([\w./#-]{{1,512}})",
        r"(?<![\w/.-])(/aws/[\w./#-]{1,512})",
    ),
    "ROLE": (
        rf"\bon resource:?\s?[\"']?\S{{1,60}}:role/(?:[\w./-]{{1,200}}/)?({_IAM})",
        rf"{_ARN}:iam::{_ACCOUNT}:role/(?:[\w./-]{{1,200}}/)?({_IAM})",
        rf"\brole with name ({_IAM})",
        rf"\bIAM Role \(({_IAM})\)",
        rf"{_SHORTENED}({_IAM})",
    ),
    "CALLER": (
        rf"\buser: ?\S{{1,60}}:role/(?:[\w./-]{{1,200}}/)?({_IAM})",
        rf"{_SHORTENED}({_IAM})",
    ),
    "USER": (
        rf"{_ARN}:iam::{_ACCOUNT}:user/(?:[\w./-]{{1,200}}/)?({_IAM})",
        rf"\buser with name ({_IAM})",
    ),
    "PRINCIPAL": (
        rf"\buser: ?[\"']?({_ARN}:iam::{_ACCOUNT}:(?:role|user)/[\w+=,.@/-]{{1,300}})",
        rf"{_SHORTENED}({_IAM})",
        rf"(?<!resource:\s)(?<!resource\s)({_ARN}:iam::{_ACCOUNT}:(?:role|user)/[\w+=,.@/-]{{1,300}})",
    ),
    "ACTION": (
        r"not authorized to perform:? ?([a-z0-9-]{2,30}:[\w*]{1,80})",
        r"\ballows the ([a-z0-9-]{2,30}:\w{1,80})",
    ),
    "RESOURCE": (rf"on resource:?\s?[\"']?({_ARN}:[^\s\"'\\]{{1,299}}(?<!:))(?=[\s\"'\\]|$)",),
    "MODEL": (
        rf"(?:foundation-model|inference-profile)/((?:{_GEOGRAPHY})?{_MODEL})",
        rf"(?<![\w.-])((?:{_GEOGRAPHY})?{_MODEL})",
    ),
    "BASE_MODEL": (
        rf"foundation-model/({_MODEL})",
        rf"inference-profile/(?:{_GEOGRAPHY})?({_MODEL})",
        rf"(?<![\w.-])(?:{_GEOGRAPHY})?({_MODEL})",
    ),
    "INFERENCE_PROFILE": (
        r"\binference-profile/([\w.:-]{1,160})",
        rf"(?<![\w.-])({_GEOGRAPHY}{_MODEL})",
    ),
    "KNOWLEDGE_BASE": (
        r"\bknowledge-base/([A-Z0-9]{10})\b",
        r"(?i:\bknowledge ?base(?: with)?(?: ?id)?)[\"' :=]{1,4}([A-Z0-9]{10})\b",
    ),
    "AGENT": (r"\bagent/([A-Z0-9]{10})\b", r"(?i:\bagent(?: with)?(?: ?id)?)[\"' :=]{1,4}([A-Z0-9]{10})\b"),
    "GUARDRAIL": (
        r"\bguardrail/([a-z0-9]{8,16})\b",
        r"(?i:\bguardrail ?(?:id|identifier))[\"' :=]{1,4}([a-z0-9]{8,16})\b",
    ),
    "JOB": (r"\bmodel-invocation-job/([a-z0-9]{6,40})\b",),
    "RULE": (
        rf"{_ARN}:events:[a-z0-9-]{{1,20}}:{_ACCOUNT}?:rule/(?:[\w.-]{{1,256}}/)?([\w.-]{{1,64}})",
        r"\bRule ([\w.-]{1,64}) does\s{1,3}not\s{1,3}exist",
    ),
    "BUS": (
        rf"{_ARN}:events:[a-z0-9-]{{1,20}}:{_ACCOUNT}?:event-bus/([\w./-]{{1,256}})",
        r"\bEvent ?bus ([\w./-]{1,256}) does\s{1,3}not\s{1,3}exist",
        r"\bon EventBus ([\w./-]{1,256})",
    ),
    "STACK": (
        r":stack/([A-Za-z][\w-]{0,127})/",
        r"\bstack (?:with id |named? )?[\"'\[]?([A-Za-z][\w-]{2,127})[\"'\]]? does not exist",
    ),
    "QUEUE": (
        rf"{_ARN}:sqs:[a-z0-9-]{{1,20}}:{_ACCOUNT}?:([\w.-]{{1,80}})",
        rf"\bsqs\.[a-z0-9-]{{1,20}}\.amazonaws\.com/{_ACCOUNT}/([\w.-]{{1,80}})",
    ),
    "QUEUE_URL": (rf"(https://sqs\.[a-z0-9-]{{1,20}}\.amazonaws\.com(?:\.cn)?/{_ACCOUNT}/[\w.-]{{1,80}})",),
    "TOPIC": (rf"({_ARN}:sns:[a-z0-9-]{{1,20}}:{_ACCOUNT}:[\w.-]{{1,256}})",),
    "ENCODED": (r"\bEncoded authorization failure message:\s{0,3}([\w+/=-]{20,8000})",),
    "ISSUER": (r"\bprovider found in your account for (https://[\w./-]{4,200})",),
    "CLIENT": (r"\bclient(?:[ _]?id)?[\"']?(?:: ?| )[\"']?(?=[a-z]{0,25}\d)([a-z0-9]{25,26})\b",),
    "POOL": (rf"\b((?:{_REGION})_[A-Za-z0-9]{{9}})\b",),
    "STREAM": (
        rf"{_ARN}:kinesis:[a-z0-9-]{{1,20}}:{_ACCOUNT}?:stream/([\w.-]{{1,128}})",
        r"\bstream ([\w.-]{1,128}) under account",
    ),
    "HOST": (
        r"://([\w-][\w.-]{1,200}\.(?:amazonaws\.com(?:\.cn)?|api\.aws))",
        r"\bhost='([\w-][\w.-]{1,200}\.amazonaws\.com)",
        r"(?<![\w./@-])([a-z0-9][\w-]{1,62}(?:\.[a-z0-9][\w-]{1,62}){1,6}\.(?:amazonaws\.com(?:\.cn)?|api\.aws))(?![\w.])",
    ),
    "KMS_KEY": (rf"{_ARN}:kms:[a-z0-9-]{{1,20}}:{_ACCOUNT}?:key/([\w-]{{1,64}})",),
    "ENDPOINT": (r"/aws/sagemaker/Endpoints/([\w-]{1,63})",),
    "HOST_ID": (r"\b(h-[0-9a-f]{8,17})\b",),
    "REPOSITORY": (r"\.dkr\.ecr\.[a-z0-9-]{1,20}\.amazonaws\.com(?:\.cn)?/([a-z0-9][\w./-]{1,255})",),
    "TAG": (r"\.dkr\.ecr\.[a-z0-9-]{1,20}\.amazonaws\.com(?:\.cn)?/[\w./-]{1,255}:([\w][\w.-]{0,127})",),
    "DIGEST": (r"@(sha256:[0-9a-f]{64})\b",),
    # The principal that gets a role or may call: a service's principal, or after iam:PassRole the resource type that
    # CloudFormation was creating.
    "SERVICE": (
        r"[\"']?Service[\"']?\s?[:=]\s?[\"']([a-z0-9-]{2,30})\.amazonaws\.com[\"']",
        r"\b(?:principal|pass(?:ed)? to|PassedToService)\b[\"':= ]{1,4}([a-z0-9-]{2,30})\.amazonaws\.com\b",
        rf"\bAPI: ?({_TAKERS}|cloudformation|ec2)\b(?=[^\n]{{0,600}}iam:PassRole)",
        rf"\bAWS::({_TAKERS})::(?=[^\n]{{0,600}}iam:PassRole)",
    ),
    "PACKAGE": (r"[\"'](@aws-sdk/[a-z0-9-]{2,60})",),
    "REGION": (
        rf"on resource:?\s?[\"']?{_ARN}:[a-z0-9-]{{1,30}}:({_REGION}):",
        rf"[\w-]\.({_REGION})\.(?:amazonaws\.com|api\.aws)",
        rf"\bregion(?:[ _]?name)?{_IS}({_REGION})\b",
        rf"{_ARN}:[a-z0-9-]{{1,30}}:({_REGION}):",
        rf"\bin ({_REGION})\b",
    ),
}
# Lower-case words without which a text contains no such value. Searching for them is much faster than the pattern.
HINTS: dict[str, tuple[str, ...]] = {
    "FUNCTION": ("function", "/aws/lambda/"),
    "BUCKET": ("bucket", "s3"),
    "KEY": ("s3", "key"),
    "TABLE": ("table",),
    "GROUP": ("group", "/aws/"),
    "ROLE": ("role",),
    "USER": ("user",),
    "PRINCIPAL": ("arn:aws", "assumed"),
    "CALLER": ("role",),
    "ACTION": ("perform", "allows the"),
    "RESOURCE": ("arn:aws",),
    "MODEL": _VENDORS,
    "BASE_MODEL": _VENDORS,
    "KNOWLEDGE_BASE": ("knowledge",),
    "AGENT": ("agent",),
    "GUARDRAIL": ("guardrail",),
    "STACK": ("stack",),
    "QUEUE_URL": ("sqs.",),
    "TOPIC": (":sns:",),
    "ENCODED": ("encoded authorization",),
    "STREAM": ("stream",),
    "HOST": ("amazonaws", "api.aws"),
    "KMS_KEY": (":kms:",),
    "REPOSITORY": (".dkr.ecr.",),
    "TAG": (".dkr.ecr.",),
    "DIGEST": ("@sha256",),
    "SERVICE": ("service", "principal", "passrole"),
    "REGION": ("region", "amazonaws", "arn:aws", "in "),
}
