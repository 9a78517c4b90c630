"""The whole way in the browser with a real search: submit, watch, brush, choose, compare, retarget, export, verify."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.processes import served, tauten

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Nothing is trained, so that a trial takes a second or two.
SPACE = {"recovery": [None], "prune": {"ratios": [0, 0.5]}}


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    with served(tmp_path_factory.mktemp("way"), workers=1) as server:
        yield server


def submitted(page, url):
    """The id of a job that was asked for in the form, once the service had nothing against it."""
    page.goto(f"{url}/#/new?workload=digits-cnn")
    trials = page.get_by_label("Trials", exact=True)
    submit = page.get_by_role("button", name="Submit the job")
    trials.fill("0")
    expect(page.get_by_text("/budget/trials").first).to_be_visible()
    expect(submit).to_be_disabled()
    trials.fill("3")
    page.get_by_label("Sampler").select_option("random")  # which needs no profile
    page.get_by_text("All of it as JSON").click()
    page.get_by_label("The space as JSON").fill(json.dumps(SPACE))
    page.get_by_label("The space as JSON").blur()
    expect(page.get_by_test_id("cost")).to_have_attribute("data-valid", "true")
    expect(submit).to_be_enabled()
    submit.click()
    page.wait_for_url("**/#/jobs/*")
    return page.url.split("/jobs/")[1].split("?")[0]


def brush(page, trial):
    """Drags a small rectangle over a trial's point."""
    page.evaluate("scrollTo(0, 0)")
    chart = page.get_by_test_id("pareto-chart")
    x, y = json.loads(chart.get_attribute("data-positions"))[str(trial)]
    box = chart.bounding_box()
    page.mouse.move(box["x"] + x - 12, box["y"] + y - 12)
    page.mouse.down()
    page.mouse.move(box["x"] + x + 6, box["y"] + y + 6, steps=3)
    page.mouse.move(box["x"] + x + 12, box["y"] + y + 12, steps=3)
    page.mouse.up()


def test_a_job_is_submitted_watched_brushed_chosen_compared_and_its_recipe_verified(busy, page, tmp_path):
    job = submitted(page, busy.client.url)

    # live, without a reload
    expect(page.get_by_test_id("job-state").first).to_have_text("running", timeout=60_000)
    expect(page.get_by_test_id("trial-row").first).to_be_visible(timeout=120_000)
    expect(page.get_by_test_id("job-state").first).to_have_text("succeeded", timeout=240_000)
    expect(page.get_by_test_id("progress").first).to_contain_text("3/3")
    assert busy.client.job(job)["spec"]["space"]["recovery"] == [None]

    front = busy.client.front(job)
    brush(page, front["chosen"])
    expect(page.locator(f'[data-trial="{front["chosen"]}"][data-faint="false"]')).to_have_count(1)

    # choose by a slider: the smallest of all
    page.get_by_role("link", name="Choose a point").click()
    page.get_by_test_id("slider-accuracy_drop").focus()
    page.keyboard.press("End")
    page.get_by_test_id("slider-size_bytes").focus()
    page.keyboard.press("Home")
    smallest = min(front["trials"], key=lambda trial: trial["metrics"]["size_bytes"]["value"])
    expect(page.get_by_test_id("choice")).to_have_attribute("data-trial", str(smallest["trial"]))

    # compare it with another
    others = [trial for trial in front["trials"] if trial["trial"] != smallest["trial"]]
    if others:
        page.goto(f"{busy.client.url}/#/jobs/{job}/compare?trials={smallest['trial']},{others[0]['trial']}")
        expect(page.get_by_test_id("compare").get_by_role("row", name=re.compile("^Size"))).to_be_visible()

    # what if it ran elsewhere
    page.goto(f"{busy.client.url}/#/jobs/{job}")
    page.get_by_role("link", name="Another target").click()
    page.get_by_label("Target").select_option("raspberry-pi-5")
    page.get_by_role("button", name="Score them there").click()
    expect(page.get_by_test_id("retarget")).to_have_attribute("data-state", "succeeded", timeout=120_000)
    expect(page.get_by_test_id("overlay-chart").locator("svg")).to_be_visible()
    pairs = page.get_by_test_id("pairs").locator("tbody tr")
    elsewhere = busy.client.front(page.url.split("with=")[1])
    assert elsewhere["method"] == "measured+modelled"  # files are weighed, latency is computed
    either = {trial["trial"] for trial in front["trials"] + elsewhere["trials"]}
    expect(pairs).to_have_count(len(either))
    expect(page.get_by_test_id("what-changes")).to_contain_text(
        f"on raspberry-pi-5 ({elsewhere['method']}) the choice is trial {elsewhere['chosen']}"
    )

    # export, and verify what was exported
    page.goto(f"{busy.client.url}/#/jobs/{job}/trials/{smallest['trial']}")
    expect(page.get_by_test_id("latency-note")).to_contain_text("measured by the runtime's profiler")
    with page.expect_download() as recipe:
        page.get_by_role("link", name="Download").click()
    with page.expect_download() as artifact:
        page.get_by_role("link", name="Artifact").click()
    recipe.value.save_as(tmp_path / "recipe.yaml")
    artifact.value.save_as(tmp_path / "artifact.onnx")
    # the one refusal is the one that was asked for above
    assert [fault for fault in page.faults if "422" not in fault] == []
    verified = tauten("verify", tmp_path / "recipe.yaml", "--workload", "digits-cnn", "--json", timeout=600)
    assert verified.returncode == 0, verified.stdout + verified.stderr
