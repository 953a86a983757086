"""Runs with a deadline: a batch job at half price. Calls on demand take over when the remaining time is short.

`when` reads the deadline. `weights` and `choice` compare the three ways. `rule` decides each step. `night` performs the
steps. `noted` stores them in the journal. `results` converts the results of a job to fates.
"""
