"""Log which facts about a model have no source and are therefore guesses, once for each model."""

from __future__ import annotations

from logging import INFO, WARNING

from aws_bedrock_inference.knowledge.models import UNKNOWN_MODEL, model_facts
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.tokens.max_tokens_warning import Warned

PROCESS = Warned()


def log_guesses(base_model: str, *, logged: Warned = PROCESS) -> None:
    """Log the facts about `base_model` that are guesses, unless `logged` already contains the model.

    A guessed burndown rate (quota tokens per output token) is logged as a warning, because it affects every call. A
    guessed maximum of output tokens matters only for calls without max_tokens. An ARN whose model is unknown has a
    separate warning.
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
        "%s: no source for this model was read, so these values are guesses: %s",
        base_model,
        "; ".join(parts[name] for name in facts.guessed),
    )
