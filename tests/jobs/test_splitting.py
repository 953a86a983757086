"""Splitting an input into jobs: at line ends, with no line lost and no part too small."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.jobs.limits import JobLimits, limits_of
from aws_bedrock_inference.jobs.splitting import Part, Slice, files_of, fits, jobs_of
from aws_bedrock_inference.service_quotas.table import Found, QuotaTable

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLISHED = limits_of("amazon.nova-lite-v1:0")
SMALL = JobLimits(least_records=3, most_records=10, file_records=10, file_bytes=60, job_bytes=100)


def lines(lengths: Sequence[int]) -> bytes:
    return b"".join(b"x" * (length - 1) + b"\n" for length in lengths)


def test_50_001_records_are_two_jobs_that_the_service_accepts() -> None:
    content = io.BytesIO(b'{"recordId": "r"}\n' * 50_001)
    jobs = jobs_of(content, PUBLISHED)
    assert [job.records for job in jobs] == [49_901, 100]
    assert [(job.start, job.end) for job in jobs] == [(0, 49_901 * 18), (49_901 * 18, 50_001 * 18)]


@pytest.mark.parametrize(("records", "jobs"), [(0, []), (1, [1]), (50_000, [50_000]), (100_000, [50_000, 50_000])])
def test_jobs_are_as_full_as_the_limits_allow(records: int, jobs: list[int]) -> None:
    assert [job.records for job in jobs_of(io.BytesIO(b"{}\n" * records), PUBLISHED)] == jobs


def test_a_job_of_many_bytes_has_several_files() -> None:
    content = io.BytesIO(lines([30] * 3))
    (job,) = jobs_of(content, SMALL)
    assert not fits(job.records, job.size, SMALL)
    assert files_of(content, job, SMALL) == [Part(0, 60, 2), Part(60, 30, 1)]
    assert files_of(content, Part(30, 30, 1), SMALL) == [Part(30, 30, 1)]


def test_a_job_gives_no_lines_to_the_next_if_both_would_be_too_small() -> None:
    tight = replace(SMALL, most_records=4)
    assert [job.records for job in jobs_of(io.BytesIO(b"{}\n" * 5), tight)] == [4, 1]
    assert [job.records for job in jobs_of(io.BytesIO(b"{}\n" * 6), tight)] == [3, 3]


def test_a_record_above_the_file_limit_is_reported() -> None:
    with pytest.raises(ValueError, match=r"record 2 has 61 bytes, but a file of a batch job has at most 60\. Shorten"):
        jobs_of(io.BytesIO(lines([9, 61])), SMALL)


@given(st.lists(st.integers(1, 60), max_size=80))
def test_every_line_is_in_one_job_and_in_one_file_of_it(lengths: list[int]) -> None:
    content = io.BytesIO(lines(lengths))
    jobs = jobs_of(content, SMALL)
    assert [job.start for job in jobs[1:]] == [job.end for job in jobs[:-1]]
    assert sum(job.records for job in jobs) == len(lengths)
    assert sum(job.size for job in jobs) == len(content.getvalue())
    whole = b""
    for job in jobs:
        assert job.records <= 10
        assert job.size <= 100
        files = files_of(content, job, SMALL)
        assert sum(file.records for file in files) == job.records
        for file in files:
            assert file.size <= 60
            part = io.BufferedReader(Slice(content, file)).read()
            assert part.count(b"\n") == file.records
            whole += part
    assert whole == content.getvalue()


def test_a_slice_of_a_file_can_be_read_like_a_file() -> None:
    part = Slice(io.BytesIO(b"0123456789"), Part(2, 5, 1))
    assert part.read() == b"23456"
    assert part.seek(-2, io.SEEK_END) == 3
    assert part.read(10) == b"56"
    assert part.read() == b""
    assert part.seek(1) == 1
    assert (part.read(2), part.tell(), part.seekable()) == (b"34", 3, True)


def quota(name: str, value: float | None) -> Found:
    return Found("L-1", name, applied=value)


def test_the_account_s_quota_is_the_limit_if_its_name_matches_the_model_exactly() -> None:
    assert replace(PUBLISHED, least_records=1) == JobLimits(
        least_records=1, most_records=50_000, file_records=50_000, file_bytes=10**9, job_bytes=5 * 10**9
    )
    quotas = QuotaTable(
        (
            quota("Minimum number of records per batch inference job for Nova Lite V1", 40),
            quota("Records per batch inference job for Nova Lite V1", 100_000),
            quota("Records per input file per batch inference job for Nova Lite V1", 20_000),
            quota("Batch inference input file size for Nova Lite V1 (in GB)", 2),
            quota("Batch inference job size (in GB) for Nova Lite V1", 100),
            quota("Minimum number of records per batch inference job for Claude Sonnet 4", 7),
        )
    )
    assert limits_of("amazon.nova-lite-v1:0", quotas) == JobLimits(
        least_records=40, most_records=100_000, file_records=20_000, file_bytes=2 * 10**9, job_bytes=100 * 10**9
    )
    assert limits_of("anthropic.claude-sonnet-4-20250514-v1:0", quotas).least_records == 7
    assert limits_of("amazon.nova-pro-v1:0", quotas) == PUBLISHED
    assert limits_of("somebody.else-v1:0", quotas) == PUBLISHED


def test_an_ambiguous_quota_is_ignored() -> None:
    name = "Records per batch inference job for Nova Lite V1"
    assert limits_of("amazon.nova-lite-v1:0", QuotaTable((quota(name, 5), quota(name, 6)))) == PUBLISHED
    assert limits_of("amazon.nova-lite-v1:0", QuotaTable((quota(name, None),))) == PUBLISHED


@pytest.mark.parametrize("given", [{"most_records": 0}, {"job_bytes": 1.5}, {"least_records": 60_000}])
def test_impossible_limits_are_refused(given: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"whole number|is above"):
        replace(PUBLISHED, **given)
