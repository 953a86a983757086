"""Bedrock's batch inference jobs: created once, waited for, read from S3 and joined to their inputs.

`client.py` and `aclient.py` are the faces, `values.py` has what they return. A job's life: `preparing.py` writes the
records, `uploading.py` puts them into S3, `creating.py` finds the job that has them already or creates it, `waiting.py`
polls, `reading.py` joins.
"""
