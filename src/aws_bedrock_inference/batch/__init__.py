"""Many prompts in, answers out, with a journal: nothing is lost and nothing is asked twice."""
