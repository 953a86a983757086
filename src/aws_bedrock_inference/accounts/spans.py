"""The time spans for renewing temporary credentials, in seconds. They apply to the credentials of assumed roles and to
those that botocore finds.
"""

LAST = 60
"""Calls can use credentials until this time before they expire. In the last minute they wait for the renewal, because
the clocks of this computer and of AWS can differ."""

PAUSE = 30.0
"""After a failed renewal, the next one starts after this time, if the credentials are still usable. A source such as
the metadata service of an instance limits its requests, and would refuse a request from every call."""
