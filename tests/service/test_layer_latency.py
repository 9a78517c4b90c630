"""Each layer's share of a trial's latency, over HTTP."""

import pytest

from compression import Deployment, compress, list_layers
from evaluators.targets import find_target, fingerprint
from search.spec import JobSpec
from search.trial import Trial, TrialState
from service import layer_latency
from spaces import Policy
from storage import ArtifactStore, WorkerLock
from tests.contracts.samples import progress
from tests.service.samples import REFERENCE, SPEC, metrics


@pytest.fixture
def timed(store, settings, digits, digits_model, tmp_path):
    """The path of a real trial's shares, on a modelled target of which this machine knows the same figures."""
    target = find_target("raspberry-pi-5")
    path = tmp_path / "float.onnx"
    artifact = compress(
        digits, digits_model, Policy(), path, deployment=Deployment(channel_multiple=8, reduce_range=False)
    )
    names = [layer.name for layer in list_layers(digits_model, digits.example_inputs())]
    provenance = {
        **REFERENCE["provenance"],
        "target": {"name": target.name, "fingerprint": fingerprint(target)},
    }
    job, _ = store.submit(JobSpec.from_dict(SPEC | {"target": target.name}))
    trial = Trial(
        0,
        Policy(),
        {},
        "anchor",
        state=TrialState.COMPLETED,
        metrics=metrics(0.99, 0.4, 500_000),
        executed_as=dict.fromkeys(names, "float32"),
        artifact=ArtifactStore(settings.artifacts_dir).put(artifact.artifact.path),
    )
    with WorkerLock(settings.data_dir) as lock:
        claim = store.claim(lock)
        claim.set_reference({**REFERENCE, "provenance": provenance})
        claim.finish(trial, progress(1, 5))
    return f"/api/v1/jobs/{job.id}/trials/0/layer-latency", names


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_shares_are_found_once_and_add_up_to_the_call(client, timed, monkeypatch):
    path, names = timed
    first = client.get(path)
    monkeypatch.setattr(layer_latency, "Child", None)
    again = client.get(path)

    found = first.json()
    assert first.status_code == 200, found
    assert (found["method"], found["reason"], list(found["shares"])) == ("modelled", None, names)
    assert min(found["shares"].values()) > 0
    assert sum(found["shares"].values()) + found["rest"] == pytest.approx(1)
    assert again.json() == found


def test_another_machine_says_that_it_cannot_tell(client, searched):
    found = client.get(f"/api/v1/jobs/{searched}/trials/1/layer-latency").json()

    assert found["shares"] is None
    assert "the job was scored with cpu 'a CPU', and this service has" in found["reason"]


def test_a_trial_without_an_artifact_has_no_layers_to_time(client, searched):
    refused = client.get(f"/api/v1/jobs/{searched}/trials/3/layer-latency")

    assert refused.status_code == 409
    assert "trial 3 has no artifact" in refused.json()["detail"]
