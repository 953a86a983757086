"""Batch runs: files of prompts to files of answers. No answer is lost, and no answered record is sent again."""
