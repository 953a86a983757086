"""Send one call to the service once, and return its answer or its failure.

`operations` knows from botocore's service model how to write a call and how to read an answer. `endpoint` gets the
address from botocore, `fast.signing` signs requests, `eventstream` reads streams, and `answers` and `timeouts` turn
answers and time-outs into outcomes. `blocking` (urllib3) and `asynchronous` (aiohttp) send the requests.
"""
