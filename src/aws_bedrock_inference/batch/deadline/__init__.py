"""Runs with a deadline. The records are sent as a batch job at half price if there is enough time, and calls on demand
take over when the remaining time is short.

`when` reads the deadline. `weights` and `choice` compare the three ways: a batch job, the flex tier, and on demand.
`rule` decides each step, and `night` performs the steps. `noted` stores the steps in the journal. `results` converts
the results of a batch job into the fates of the records.
"""
