"""Runs with a deadline: a batch job at half price, which calls on demand take over from when time gets short.

`when` reads the deadline, `weights` and `choice` compare the three ways, `rule` decides each step from what is known,
`night` performs the steps, `noted` keeps them in the journal, `results` turns what a job left into fates.
"""
