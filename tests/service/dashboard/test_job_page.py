"""Jobs and the page of one, in a real browser against a real service."""

import json
import re

import pytest
from playwright.sync_api import expect

from search.job import JobState
from search.spec import JobSpec
from search.trial import Trial, TrialState
from spaces import LayerPolicy, Policy, Prune
from storage import ArtifactStore, WorkerLock
from tests.contracts.samples import progress
from tests.service.conftest import finished_search
from tests.service.samples import REFERENCE, SPEC, finished, metrics

pytestmark = pytest.mark.browser


def test_jobs_are_listed_with_state_and_progress_and_lead_to_their_page(server, store, page):
    job = finished_search(store, server.data)
    page.goto(server.client.url)

    row = page.get_by_test_id("job-row").first
    expect(row).to_contain_text("digits-cnn")
    expect(row.get_by_test_id("job-state")).to_have_text("succeeded")
    expect(row.get_by_test_id("progress")).to_contain_text("5/5")
    row.get_by_role("link").first.click()

    expect(page).to_have_url(f"{server.client.url}/#/jobs/{job}")
    assert page.faults == []


def test_a_job_shows_its_front_its_trials_and_the_policy_of_each(server, store, page):
    job = finished_search(store, server.data)
    page.goto(f"{server.client.url}/#/jobs/{job}")

    expect(page.get_by_test_id("pareto-chart").locator("svg, canvas").first).to_be_visible()
    rows = page.get_by_test_id("trial-row")
    expect(rows).to_have_count(5)
    on_front = [
        row.get_attribute("data-trial") for row in rows.all() if row.get_attribute("data-front") == "true"
    ]
    assert sorted(on_front) == ["0", "1", "4"]
    expect(page.get_by_test_id("trial-table")).to_contain_text("asked int8, runs as float32")

    page.locator('[data-testid="trial-row"][data-trial="4"]').click()
    detail = page.get_by_test_id("trial-detail")
    expect(detail).to_contain_text("Trial 4")
    expect(detail).to_contain_text("stem.0")
    expect(detail).to_contain_text("40 %")
    assert page.faults == []


def test_a_longer_search_is_shown_whole_with_the_front_that_the_api_has(server, store, page):
    job, _ = store.submit(JobSpec.from_dict(SPEC | {"budget": {"trials": 25}}))
    trials = [longer(number) for number in range(25)]
    with WorkerLock(server.data) as lock:
        claim = store.claim(lock)
        claim.set_reference(REFERENCE)
        for number, trial in enumerate(trials):
            claim.finish(trial, progress(number + 1, 25))
        claim.release(JobState.SUCCEEDED)
    page.goto(f"{server.client.url}/#/jobs/{job.id}")

    rows = page.get_by_test_id("trial-row")
    expect(rows).to_have_count(25)
    shown = page.locator('[data-testid="trial-row"][data-front="true"]').all()
    front = server.client.front(job.id)
    assert {int(row.get_attribute("data-trial")) for row in shown} == {t["trial"] for t in front["trials"]}
    assert len(shown) > 5
    positions = json.loads(page.get_by_test_id("pareto-chart").get_attribute("data-positions"))
    assert set(positions) == {str(trial.number) for trial in trials if trial.metrics}
    infeasible = page.locator('[data-testid="trial-row"][data-trial="5"]')
    expect(infeasible).to_contain_text("infeasible")
    expect(infeasible).to_have_attribute("data-front", "false")
    infeasible.click()
    expect(page.get_by_test_id("trial-detail")).to_contain_text("asked int8, runs as float32")
    assert page.faults == []


def longer(number):
    """Every sixth trial is infeasible; of the others, those with an even number trade accuracy for cost."""
    policy = Policy(layers={"stem.0": LayerPolicy(Prune(number / 100))})
    if number % 6 == 5:
        reason = "does not run as the policy says: stem.0: asked int8, runs as float32"
        return Trial(number, policy, {}, "tpe", state=TrialState.INFEASIBLE, reason=reason)
    worse = 0.5 if number % 2 else 0.0
    found = metrics(0.99 - number / 500, (0.3 - number / 100) + worse, 500_000 - number * 10_000)
    return Trial(number, policy, {}, "tpe", state=TrialState.COMPLETED, metrics=found)


def test_a_point_of_the_chart_selects_its_trial(server, store, page):
    job = finished_search(store, server.data)
    page.goto(f"{server.client.url}/#/jobs/{job}")
    chart = page.get_by_test_id("pareto-chart")
    expect(chart).to_have_attribute("data-positions", re.compile(r"\{.+\}"))

    x, y = json.loads(chart.get_attribute("data-positions"))["0"]
    box = chart.bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)

    expect(page.get_by_test_id("trial-detail")).to_contain_text("Trial 0")


def test_trials_appear_while_the_page_is_open(server, store, page):
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    trials = list(finished(ArtifactStore(server.data / "artifacts"), server.data))
    with WorkerLock(server.data) as lock:
        claim = store.claim(lock)
        claim.set_reference(REFERENCE)
        page.goto(f"{server.client.url}/#/jobs/{job.id}")
        expect(page.get_by_test_id("job-state").first).to_have_text("running")
        for number, trial in enumerate(trials[:3]):
            claim.finish(trial, progress(number + 1, 5))
            expect(page.locator(f'[data-testid="trial-row"][data-trial="{number}"]')).to_be_visible(
                timeout=5000
            )
            expect(page.get_by_test_id("progress").first).to_contain_text(f"{number + 1}/5")
        claim.release(JobState.SUCCEEDED)
        expect(page.get_by_test_id("job-state").first).to_have_text("succeeded")
    assert page.faults == []


def test_a_job_that_does_not_exist_is_said_to_be_unknown(server, page):
    page.goto(f"{server.client.url}/#/jobs/nope")

    expect(page.locator("body")).to_contain_text("unknown job 'nope'")
