"""Keep what failed for good, look at why, and send it again when the cause is gone.

    python examples/dead_letters.py ask "Why is the sky blue?"      # a failed request is kept in dead.db
    python examples/dead_letters.py redrive                         # sends again what time or you have healed

`bedrock dlq list --store sqlite://dead.db` shows the same letters. For many machines, write the name of a DynamoDB
table in the place of the file.
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
        print(f"{error.code}; kept as {error.letter_id}", file=sys.stderr)
        return 1
    return 0


def redrive(client: BedrockClient) -> int:
    queue = DeadLetterQueue(STORE)
    for letter in queue.letters():
        print(f"{letter.id}: {letter.content.explanation['title']}", file=sys.stderr)
    # Requests whose cause needs a change first are refused, until you name it in `remedied`.
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
