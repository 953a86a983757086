"""The doctor: read-only probes that find the cause of an error and prove it.

diagnosis.py  choose the probes, run them, report
probe.py      what a probe is; the table of all of them
probes/       the probes, a file for each area
part.py       probes of the part of another service that an error names
states.py     what the state of such a part tells
documents.py  what policies say
unprobed.py   what to run by hand where no probe tells a cause
examine.py    run them: in order of need, each within its limit
world.py      the settings and connections that they look at
findings.py   what they found
"""

from aws_bedrock_inference.doctor.diagnosis import diagnose as diagnose
from aws_bedrock_inference.doctor.findings import Report as Report
