"""The meaning of AWS errors and models, as data with dates."""
