"""The meaning of AWS errors and the facts about models, as data with dates."""
