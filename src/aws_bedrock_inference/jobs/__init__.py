"""Bedrock's batch inference jobs: create a job once, wait for it, read its results from S3, join them to its inputs.

`client.py` and `aclient.py` are the public clients; `values.py` has their results. The steps of a job: `preparing.py`
writes the records, `uploading.py` uploads them to S3, `creating.py` finds an existing job with these records or creates
one, `waiting.py` polls, and `reading.py` joins.
"""
