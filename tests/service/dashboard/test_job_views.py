"""One selection under all views of a job, choosing, comparing, and asking for the same again."""

import csv
import io
import json
import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def open_job(server, page, job, query=""):
    page.goto(f"{server.client.url}/#/jobs/{job}{query}")
    expect(page.get_by_test_id("trial-row")).to_have_count(5)


def test_a_brush_over_the_chart_is_seen_in_every_view_and_kept_in_the_address(server, page, job):
    open_job(server, page, job)
    chart = page.get_by_test_id("pareto-chart")
    expect(chart).to_have_attribute("data-positions", re.compile(r"\{.+\}"))
    x, y = json.loads(chart.get_attribute("data-positions"))["1"]
    box = chart.bounding_box()

    page.mouse.move(box["x"] + x - 30, box["y"] + y - 30)
    page.mouse.down()
    page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    page.mouse.move(box["x"] + x + 30, box["y"] + y + 30, steps=3)
    page.mouse.up()

    expect(page.get_by_test_id("picked")).to_contain_text("1 trial with")
    expect(page.locator('[data-testid="trial-row"][data-faint="false"]')).to_have_count(1)
    assert re.search(r"in\.latency_ms=[\d.]+%3A[\d.]+&in\.accuracy=|in\.accuracy=.*in\.latency_ms=", page.url)
    page.get_by_text("Picked 1", exact=True).click()
    expect(page.get_by_test_id("trial-row")).to_have_count(1)

    page.reload()
    expect(page.get_by_test_id("trial-row")).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_test_id("picked")).to_contain_text("Drag over a chart")
    assert page.faults == []


def test_a_brush_along_an_axis_of_the_parallel_coordinates_picks_the_same_way(server, page, job):
    open_job(server, page, job)
    chart = page.get_by_test_id("parallel-chart")
    chart.scroll_into_view_if_needed()
    expect(chart.locator("svg")).to_be_visible()
    box = chart.bounding_box()
    # the last axis stands 64 pixels from the right
    across = box["x"] + box["width"] - 64
    page.mouse.move(across, box["y"] + 45)
    page.mouse.down()
    page.mouse.move(across, box["y"] + 100, steps=4)
    page.mouse.move(across, box["y"] + 150, steps=4)
    page.mouse.up()

    expect(page.get_by_test_id("picked")).to_contain_text(re.compile(r"2 trials with\s*MACs"))
    assert "in.macs=" in page.url
    assert page.faults == []


def test_ranges_can_be_typed(server, page, job):
    open_job(server, page, job)
    page.get_by_text("Ranges", exact=True).click()
    page.get_by_label("Size to").fill("200")
    page.get_by_label("Size to").press("Enter")

    expect(page.get_by_test_id("picked")).to_contain_text("2 trials with")
    expect(page.get_by_test_id("picked")).to_contain_text("size ≤ 200 KB")


def test_axes_colour_and_scale_are_picked_and_kept_in_the_address(server, page, job):
    open_job(server, page, job)
    page.get_by_role("combobox", name="Across").select_option("size_bytes")
    page.get_by_role("combobox", name="Colour").select_option("macs")
    page.get_by_label("Logarithmic across").uncheck()

    chart = page.get_by_test_id("pareto-chart")
    expect(chart).to_have_attribute("aria-label", re.compile("Accuracy against size.*coloured by MACs"))
    expect(chart).to_contain_text("Size")
    expect(chart).not_to_contain_text("log scale")
    page.reload()
    expect(page.get_by_role("combobox", name="Across")).to_have_value("size_bytes")
    expect(page.get_by_label("Logarithmic across")).not_to_be_checked()


def test_the_table_filters_hides_columns_and_saves_what_it_shows(server, page, job):
    open_job(server, page, job)
    page.get_by_role("combobox", name="State").select_option("infeasible")
    expect(page.get_by_test_id("trial-row")).to_have_count(1)
    page.get_by_role("combobox", name="State").select_option("")
    page.get_by_placeholder("layer, int8").fill("runs as float32")
    expect(page.get_by_test_id("trial-row")).to_have_count(1)
    page.get_by_placeholder("layer, int8").fill("")
    page.get_by_text("Front 3", exact=True).click()
    expect(page.get_by_test_id("trial-row")).to_have_count(3)
    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("Origin").uncheck()
    expect(page.get_by_role("columnheader", name="Origin")).to_have_count(0)

    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [row["trial"] for row in rows] == ["0", "1", "4"]
    assert float(rows[1]["latency_ms"]) == 0.1
    assert page.faults == []


def test_two_marked_trials_are_compared_by_what_differs(server, page, job):
    open_job(server, page, job)
    page.get_by_label("Compare trial 0").check()
    page.get_by_label("Compare trial 4").check()
    page.get_by_role("link", name="Compare 2").click()

    table = page.get_by_test_id("compare")
    expect(table).to_contain_text("40 % channel pruned")
    expect(table.get_by_role("row", name="State")).to_have_count(0)
    page.get_by_label("Only what differs").uncheck()
    expect(table.get_by_role("row", name="State")).to_contain_text("completed")
    assert page.faults == []


def test_sliders_name_the_trial_that_the_service_would_choose(server, page, job):
    page.goto(f"{server.client.url}/#/jobs/{job}/choose")
    choice = page.get_by_test_id("choice")
    for drop in (0.0, 0.005, 0.09):
        page.goto(f"{server.client.url}/#/jobs/{job}/choose?max.accuracy_drop={drop}")
        front = server.client.front(job, max_accuracy_drop=drop)
        expect(choice).to_have_attribute("data-trial", str(front["chosen"]))

    page.get_by_test_id("slider-latency_ms").focus()
    page.keyboard.press("Home")
    expect(choice).to_have_attribute("data-trial", "4")
    expect(page.get_by_text("1 of the front's 3 trials")).to_be_visible()
    page.get_by_test_id("slider-accuracy_drop").focus()
    page.keyboard.press("Home")
    expect(choice).to_contain_text("No trial is within these limits")
    assert page.faults == []


def test_a_policy_shows_its_layers_its_numbers_and_why_one_would_take_it(server, page, job):
    page.goto(f"{server.client.url}/#/jobs/{job}/trials/1")

    expect(page.get_by_test_id("heat-map").get_by_role("row", name="stem.0")).to_contain_text("10 %")
    expect(page.get_by_test_id("metric-table")).to_contain_text("97.50 to 99.50 %")
    expect(page.get_by_test_id("metric-table")).to_contain_text("once on test")
    expect(page.get_by_role("region", name="Why this point")).to_contain_text(
        "Against trial 4: 8.50 points more"
    )
    expect(page.get_by_test_id("latency-note")).to_contain_text("the job was scored with cpu 'a CPU'")
    expect(page.get_by_test_id("recipe")).to_contain_text("schema: tauten.recipe/1")
    with page.expect_download() as download:
        page.get_by_role("link", name="Artifact").click()
    assert download.value.path().read_bytes() == b"artifact 1"
    assert page.faults == []


def test_events_are_told_in_words(server, page, job):
    open_job(server, page, job)
    page.get_by_test_id("event-log").locator("summary").click()
    log = page.get_by_test_id("event-log")
    expect(log).to_contain_text("Trial 3 is infeasible: does not run as the policy says")
    expect(log.get_by_role("listitem").first).to_contain_text("The job is succeeded")


def test_jobs_are_filtered_searched_and_sorted_by_the_address(server, page, job):
    page.goto(f"{server.client.url}/#/?state=failed")
    expect(page.locator("body")).to_contain_text("No job passes these filters")
    page.get_by_role("button", name="Show all jobs").click()
    row = page.locator(f'[data-job="{job}"]')
    expect(row).to_contain_text(re.compile("4.00. as fast, 12.9. smaller"))
    expect(row.locator("svg.trace")).to_be_visible()
    page.get_by_placeholder("name, id").fill(job)
    expect(page.get_by_test_id("job-row")).to_have_count(1)
    assert f"find={job}" in page.url
    assert page.faults == []


def test_live_rows_move_nothing_on_the_page(server, store, page):
    """The chart stands still while trials arrive: the cumulative layout shift stays below a hundredth."""
    from search.job import JobState
    from search.spec import JobSpec
    from storage import ArtifactStore, WorkerLock
    from tests.contracts.samples import progress
    from tests.service.samples import REFERENCE, SPEC, finished

    live, _ = store.submit(JobSpec.from_dict(SPEC))
    trials = list(finished(ArtifactStore(server.data / "artifacts"), server.data))
    with WorkerLock(server.data) as lock:
        claim = store.claim(lock)
        claim.set_reference(REFERENCE)
        for number in (0, 1):
            claim.finish(trials[number], progress(number + 1, 5))
        page.goto(f"{server.client.url}/#/jobs/{live.id}")
        expect(page.get_by_test_id("trial-row")).to_have_count(2)
        page.wait_for_load_state("load")
        expect(page.get_by_test_id("hypervolume-chart").locator("svg")).to_be_visible()
        page.evaluate(
            "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach("
            "entry => { window.shift += entry.value })).observe({ type: 'layout-shift', buffered: false })"
        )
        for number in (2, 3, 4):
            claim.finish(trials[number], progress(number + 1, 5))
            expect(page.get_by_test_id("trial-row")).to_have_count(number + 1)
        claim.release(JobState.SUCCEEDED)
    expect(page.get_by_test_id("job-state").first).to_have_text("succeeded")
    assert page.evaluate("window.shift") < 0.01
