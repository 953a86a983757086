"""The exit codes of the command `bedrock`. `bedrock --help` lists their meanings."""

FAILED = 1
NEEDS_CORRECTION = 2
CANNOT_WORK = 3
INTERRUPTED = 130
NOBODY_READS = 141
"""The exit code of a program that the signal SIGPIPE ended, for example `bedrock errors | head`."""
TERMINATED = 143
