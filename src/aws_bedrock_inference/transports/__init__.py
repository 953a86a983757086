"""Carrying one call to the service once, and bringing back what it answered or what went wrong.

`operations` knows from botocore's service model how a call is written and an answer read, `endpoint` asks botocore
where to send it, `fast.signing` proves who we are, `eventstream` reads streams, `answers` and `timeouts` turn answers
and silence into outcomes; `blocking` (urllib3) and `asynchronous` (aiohttp) do the sending.
"""
