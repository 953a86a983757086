"""Runs with a deadline. If there is enough time, the records are sent as a batch job at half price. When the remaining
time becomes short, the remaining records are sent as calls on demand.

`when` reads the deadline. `weights` and `choice` compare the three ways: a batch job, the flex tier, and on demand.
`rule` decides the next action for the batch job, and `night` performs this action. `noted` stores the facts about the
deadline in the journal. `results` converts the results of a batch job into the fates (answered or failed) of the
records.
"""
