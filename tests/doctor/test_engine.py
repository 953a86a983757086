"""How the doctor runs its probes: dependencies come first, nothing hangs or breaks it, and the first cause wins."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference.doctor.examine import examine
from aws_bedrock_inference.doctor.findings import Check, Finding, Report, Status, failed, of_error, ok, warning
from aws_bedrock_inference.doctor.probe import Probe, chosen
from aws_bedrock_inference.doctor.probes import PROBES
from aws_bedrock_inference.doctor.world import World
from aws_bedrock_inference.knowledge.catalogue import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable


def a_probe(name: str, examined: Callable[[World], Finding], *needs: str) -> Probe:
    return Probe(name, "area", examined, needs)


def ended(*probes: Probe, **options: Any) -> dict[str, Check]:
    return {check.probe: check for check in examine(probes, World(limit=options.pop("limit", 5.0)), **options)}


def test_a_probe_is_skipped_if_what_it_needs_failed() -> None:
    checks = ended(
        a_probe("network", lambda _: failed("dead", cause="connect-timeout")),
        a_probe("identity", lambda _: ok("fine"), "network"),
        a_probe("model", lambda _: ok("fine"), "identity"),
        a_probe("sdk", lambda _: warning("old")),
        a_probe("store", lambda _: ok("fine"), "sdk"),
    )
    assert {name: check.status.value for name, check in checks.items()} == {
        "network": "failed",
        "identity": "skipped",
        "model": "skipped",
        "sdk": "warning",
        "store": "ok",
    }
    assert "network" in checks["identity"].finding.message


def test_a_probe_that_hangs_delays_no_other() -> None:
    never = threading.Event()
    checks = ended(
        a_probe("hangs", lambda _: ok(str(never.wait()))),
        a_probe("works", lambda _: ok("fine")),
        a_probe("after", lambda _: ok("fine"), "hangs"),
        limit=0.01,
    )
    never.set()
    assert checks["hangs"].status is Status.WARNING
    assert "No result within 0.01 s" in checks["hangs"].finding.message
    assert checks["works"].status is Status.OK
    assert checks["after"].finding.message == "Not run, because the probe hangs gave no result."


def test_no_probe_starts_after_the_time_limit() -> None:
    never = threading.Event()
    checks = ended(
        a_probe("hangs", lambda _: ok(str(never.wait()))),
        a_probe("after", lambda _: ok("fine"), "hangs"),
        timeout=0.01,
    )
    never.set()
    assert "No result before the time limit of 0.01 s was reached" in checks["hangs"].finding.message
    assert checks["after"].status is Status.SKIPPED


def test_a_probe_that_raises_is_a_finding_without_secrets() -> None:
    def breaks(_: World) -> Finding:
        raise RuntimeError("AKIAIOSFODNN7EXAMPLE in arn:aws:iam::123456789012:role/x")

    checks = ended(a_probe("breaks", breaks), a_probe("after", lambda _: ok("fine"), "breaks"))
    message = checks["breaks"].finding.message
    assert "RuntimeError" in message
    assert "123456789012" not in message
    assert checks["after"].finding.message == "Not run, because the probe breaks gave no result."


def test_the_cause_of_the_error_takes_precedence_over_the_first_failure() -> None:
    first = Check("a", "x", failed("one", cause="region-missing"))
    second = Check("b", "x", failed("two", cause="clock-skew"))
    assert Report((first, second)).cause == "region-missing"
    asked = Check("b", "x", of_error(second.finding))
    report = Report((first, asked), "clock-skew")
    assert (report.cause, report.proved, report.overall) == ("clock-skew", True, Status.FAILED)
    assert Report((), "clock-skew").to_json()["proved"] is False


def test_the_report_counts_the_checks_by_status() -> None:
    checks = (Check("a", "x", ok("1")), Check("b", "x", ok("2")), Check("c", "x", warning("3")))
    assert Report(checks).to_json()["counts"] == {"ok": 2, "warning": 1, "failed": 0, "skipped": 0}


@pytest.mark.parametrize("name", PROBES)
def test_each_probe_runs_after_its_dependencies_and_reports_known_causes(name: str) -> None:
    order = list(PROBES)
    assert all(order.index(need) < order.index(name) for need in PROBES[name].needs)
    assert PROBES[name].tells <= catalogue().causes.keys()


def test_an_error_chooses_fewer_than_half_of_the_probes() -> None:
    for cause in ("region-missing", "credentials-missing", "endpoint-unreachable-dns"):
        names = [each.name for each in chosen(PROBES, [cause])]
        assert names
        assert all(need in names for name in names for need in PROBES[name].needs)


def test_a_value_in_a_remedy_is_quoted_as_one_word_and_fills_one_placeholder() -> None:
    finding = failed("gone", cause="s3-key-missing", BUCKET="notes", KEY="a;touch x$(id)/in")
    runs = " ".join(remedy.run for remedy in Check("object", "services", finding).remedies)
    assert "--bucket notes" in runs
    assert "'a;touch x$(id)/in'" in runs
    finding = failed("closed", cause="model-access-not-granted", MODEL="m")
    assert "BASE_m" not in " ".join(remedy.run for remedy in Check("model", "model", finding).remedies)
    finding = failed("denied", cause="iam-denied-identity-policy", RESOURCE="arn:aws:s3:::b/AKIAIOSFODNN7EXAMPLE")
    assert "AKIAIOSFODNN7" not in "".join(remedy.run for remedy in Check("x", "y", finding).remedies)
