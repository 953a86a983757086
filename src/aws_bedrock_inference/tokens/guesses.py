"""A line in the log, once per model, for facts about the model that are guesses because no source was read."""

from __future__ import annotations

from logging import INFO, WARNING

from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, model_facts
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.tokens.max_tokens_warning import Warned

PROCESS = Warned()


def log_guesses(base_model: str, *, logged: Warned = PROCESS) -> None:
    """Log which facts of `base_model` are guesses, once for each model that `logged` has not seen.

    A guessed burndown rate is a warning, since every call is charged by it; a guessed maximum counts only for calls
    without one. An ARN that does not tell its model has a warning of its own.
    """
    facts = model_facts(base_model)
    if not facts.guessed or base_model == UNKNOWN_MODEL or not logged.first(base_model):
        return
    parts = {
        "burndown": f"each output token counts {facts.burndown:g} times against tokens per minute",
        "max_output_tokens": f"a call without max_tokens reserves {facts.max_output_tokens:,}",
    }
    LOGGER.log(
        WARNING if "burndown" in facts.guessed else INFO,
        "%s: no source was read for this model, so this is a guess: %s",
        base_model,
        "; ".join(parts[name] for name in facts.guessed),
    )
