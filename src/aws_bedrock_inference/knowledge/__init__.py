"""The error catalogue and the facts about models: what AWS errors mean, how to fix them, and what each model
supports. The facts are data files with sources and dates.
"""
