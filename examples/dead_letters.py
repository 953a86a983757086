"""Store requests that failed permanently, look at the causes, and send the requests again after the outage.

    python examples/dead_letters.py ask "Why is the sky blue?"      # stores a failed request in dead.db
    python examples/dead_letters.py redrive                         # sends the stored requests again

`bedrock dlq list --store sqlite://dead.db` lists the same stored requests. For many machines, set STORE to the name
of a DynamoDB table.
"""

from __future__ import annotations

import sys

from aws_bedrock_inference import BedrockClient, BedrockError, DeadLetter, DeadLetterQueue, Quota, Retry, standard

MODEL = "us.amazon.nova-lite-v1:0"
STORE = "sqlite://dead.db"


def ask(client: BedrockClient, prompt: str) -> int:
    try:
        print(client.invoke(prompt, max_tokens=200).text)
    except BedrockError as error:
        print(f"{error.code}; stored as {error.letter_id}", file=sys.stderr)
        return 1
    return 0


def redrive(client: BedrockClient) -> int:
    queue = DeadLetterQueue(STORE)
    for letter in queue.letters():
        print(f"{letter.id}: {letter.content.explanation['title']}", file=sys.stderr)
    # A request is refused if its cause needs a change first, until you name that cause in `remedied`.
    report = queue.redrive(client, on_answer=lambda letter, reply: print(f"{letter.id}: {reply.text}"))
    print(f"{report.sent} answered, {report.failed} failed again, {report.refused} refused", file=sys.stderr)
    queue.close()
    return 0 if not report.failed else 1


def main() -> int:
    letters = DeadLetter(STORE, tags={"program": "example"})
    pipeline = standard(Quota(rpm=500, tpm=200_000), dead_letters=letters, retry=Retry(attempts=3))
    with BedrockClient(MODEL, pipeline=pipeline) as client:
        match sys.argv[1:]:
            case ["redrive"]:
                code = redrive(client)
            case ["ask", prompt]:
                code = ask(client, prompt)
            case _:
                print(__doc__, file=sys.stderr)
                code = 2
    letters.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
