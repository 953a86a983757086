"""Send one call to the service once, and return its answer or its failure.

`blocking` (urllib3) and `asynchronous` (aiohttp) send the requests. `operations` writes requests and reads answers
according to botocore's service model. `endpoint` gets the address of the service from botocore, and `fast.signing`
signs the requests. `eventstream` decodes streams. `answers` and `timeouts` convert answers and time-outs into
outcomes.
"""
