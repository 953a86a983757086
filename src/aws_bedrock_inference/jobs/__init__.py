"""Bedrock's batch inference jobs: create a job once, wait for it, read its results from S3, and join each result to
its input.

`client.py` and `aclient.py` contain the public clients, and `values.py` the values that they return. A job passes
through these modules:

* `preparing.py` writes the records to a file.
* `uploading.py` uploads the file to S3, unless it was uploaded before.
* `creating.py` finds an existing job with the same records, or creates a job.
* `waiting.py` polls the job.
* `reading.py` joins the results to the inputs.
"""
