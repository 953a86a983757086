"""Scenarios are read completely, or refused with a message that names the place and the reason."""

from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference.simulator.scenario import KINDS, ScenarioError, names, parse, read, tables


def test_the_included_scenarios_are_valid() -> None:
    assert names() == ["bad-day", "calm"]
    for name in names():
        read(tables(name))
    bad = read(tables("bad-day"))
    assert {fault.kind for fault in bad.faults} >= {"outage", "error", "throttle", "reset", "truncate", "exception"}


def test_every_kind_of_fault_can_be_written() -> None:
    needed = {"error": 'code = "X"\nstatus = 500', "exception": 'code = "x"', "refused": "until = 1"}
    for kind in KINDS:
        assert read(parse(f'[[faults]]\nkind = "{kind}"\n{needed.get(kind, "")}')).faults[0].kind == kind


def test_options_override_the_scenario(tmp_path: Any) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('seed = 3\n[quota]\nrpm = 5\ntpm = 100\n[[faults]]\nkind = "reset"')
    scenario = read(tables(path, seed=4, quota={"rpm": 9}))
    assert (scenario.seed, scenario.quota.rpm, scenario.quota.tpm) == (4, 9, None)
    assert scenario.faults[0].kind == "reset"
    assert read(tables(str(path))).seed == 3


WRONG = {
    'faluts = "x"': "the scenario has no setting 'faluts'; allowed here: answers, batch, changes, credentials,",
    "[quota]\nrmp = 5": r"[quota] has no setting 'rmp'; allowed here: rpm, tpd, tpm",
    "[quota]\nrpm = -5": "[quota]: rpm must not be negative",
    '[quota]\nrpm = "5"': "[quota]: rpm must be a number, not '5'",
    'discipline = "leaky"': "discipline 'leaky' is unknown; use one of bucket, tight, fixed, sliding",
    'seed = "x"': "the scenario: seed must be a whole number, not 'x'",
    '[[retention]]\nregion = "eu-*"\nmode = "all"': "[[retention]] number 1: mode is 'all'; use one of default, none,",
    '[[trusted_access]]\nid = "a-b"': "[[trusted_access]] number 1: provider is missing; set it to the provider",
    "quota = 5": "[quota] must be a table",
    '[[faults]]\nkind = "explode"': "[[faults]] number 1: kind is 'explode'; use one of error, throttle, outage,",
    '[[faults]]\nkind = "reset"\n[[faults]]\nkind = "error"': "[[faults]] number 2 (error): code is missing",
    '[[faults]]\nkind = "error"\ncode = "Odd"': "number 1 (error): Odd is not an error code of Bedrock; set its HTTP",
    '[[faults]]\nkind = "throttle"\nlimit = "coins"': "limit is 'coins'; use requests, tokens or tokens-per-day",
    '[[faults]]\nkind = "refused"': "(refused): until is missing; set the time in seconds",
    '[[faults]]\nkind = "refused"\nuntil = 3\nmodel = "x"': "(refused) has no setting 'model'; allowed here: from",
    '[[faults]]\nkind = "truncate"\nseconds = 3': "(truncate) has no setting 'seconds'; allowed here: after,",
    "[[quotas]]\nrpm = inf": "[[quotas]] number 1: rpm is inf; set a number of 0 or more, or omit it for no limit",
    "[[changes]]\ntpm = 5": "[[changes]] number 1: at is missing; set it to the time of the change, in seconds",
    "[[changes]]\nat = 5": "[[changes]] number 1: no limit is set; set at least one of rpm, tpm and tpd",
    "[[changes]]\nat = -5\ntpm = 5": "[[changes]] number 1: at must not be negative",
    "[[changes]]\nat = 5\ntpm = -5": "[[changes]] number 1: tpm must not be negative",
    "[[changes]]\nfrom = 5\ntpm = 5": "[[changes]] number 1 has no setting 'from'; allowed here: at, model, pool,",
    "[models]\nknown = 5": "[models]: known must be a list of strings",
    "[[faults]\n": "the scenario is not valid TOML",
}


@pytest.mark.parametrize("text", WRONG)
def test_an_error_in_a_scenario_is_explained(text: Any) -> None:
    with pytest.raises(ScenarioError) as refused:
        read(parse(text))
    assert WRONG[text] in str(refused.value)


def test_a_missing_file_is_reported() -> None:
    with pytest.raises(ScenarioError, match=r"no scenario file 'nope'; pass the path .*, or one of: bad-day, calm"):
        tables("nope")


def test_integers_are_accepted_as_seconds() -> None:
    """Regression: a wait of 150 was ignored, because only floats were accepted."""
    scenario = read(parse('[[faults]]\nkind = "stall"\nafter = 5\nseconds = 150\n[latency]\nfirst_token = 2'))
    assert (type(scenario.faults[0].seconds), type(scenario.latency.first_token)) == (float, float)
    assert type(scenario.faults[0].after) is int
