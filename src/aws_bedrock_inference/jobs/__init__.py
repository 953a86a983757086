"""Bedrock's batch inference jobs: created once, waited for, read from S3 and joined to their inputs.

`client.py` is the face. A job's life: `preparing` writes the records, `uploading` puts them into S3, `creating` finds the
job that has them already or creates it, `waiting` polls, `reading` joins. `values.py` has what the faces return.
"""
