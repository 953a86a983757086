"""Make `python -m aws_bedrock_inference.cli` the same as the command `bedrock`."""

from __future__ import annotations

from aws_bedrock_inference.__main__ import main

if __name__ == "__main__":
    main()
