"""The doctor: read-only probes that find the cause of an error and prove it.

diagnosis.py  chooses the probes, runs them, and returns the report
probe.py      the type of a probe, and which probes run for an error
probes/       the probes, a file for each area
part.py       probes of a resource that an error names, such as a bucket
states.py     evaluation of the state of a resource
documents.py  evaluation of policies
unprobed.py   commands to run by hand for causes without a probe
examine.py    runs the probes: in the order of their dependencies, each with a time limit
world.py      the settings and connections that the probes check
findings.py   the findings of probes, and the report
"""

from aws_bedrock_inference.doctor.diagnosis import diagnose as diagnose
from aws_bedrock_inference.doctor.findings import Report as Report
