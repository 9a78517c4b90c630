"""A directory made from the real MiniLM, with a head of its own, through ``hf:``."""

import csv
import shutil

import numpy as np
import pytest
import torch
import yaml
from sklearn.linear_model import LogisticRegression
from transformers import AutoTokenizer, BertForSequenceClassification

from compression import export_float
from evaluators.runtime import open_session, predict
from evaluators.workloads import load_workload
from evaluators.workloads.minilm_sentiment import find_minilm
from evaluators.workloads.movie_reviews import MovieReviews
from spaces import WorkloadError

LAYERS, LENGTH = 2, 24


@pytest.fixture(scope="module")
def snippets():
    """The first reviews of two splits; as `make data` has fetched them."""
    try:
        find_minilm()
        reviews = MovieReviews()
        return {split: reviews.split(split)[:count] for split, count in (("train", 500), ("test", 200))}
    except WorkloadError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def directory(snippets, tmp_path_factory):
    """The first layers of MiniLM, and a classifier fitted to what they say of the sentences' first token."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("minilm")
    labels = {"negative": 0, "positive": 1}
    model = BertForSequenceClassification.from_pretrained(
        find_minilm(), num_hidden_layers=LAYERS, id2label={0: "negative", 1: "positive"}, label2id=labels
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(find_minilm())
    given = tokenizer([item.text for item in snippets["train"]], padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")  # fmt: skip
    with torch.no_grad():
        pooled = model.bert(**given).pooler_output
        fitted = LogisticRegression(C=10, max_iter=500).fit(
            pooled, [item.is_positive for item in snippets["train"]]
        )
        model.classifier.weight.copy_(torch.tensor(np.stack([-fitted.coef_[0], fitted.coef_[0]]) / 2))
        model.classifier.bias.copy_(torch.tensor([-fitted.intercept_[0], fitted.intercept_[0]]) / 2)
    model.save_pretrained(place)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(find_minilm() / name, place / name)
    for split, items in snippets.items():
        with (place / f"{split}.csv").open("w", newline="") as file:
            rows = [(item.text, "positive" if item.is_positive else "negative") for item in items]
            csv.writer(file).writerows([("snippet", "sentiment"), *rows])
    data = {"csv": {"train": "train.csv", "test": "test.csv"}, "text": "snippet", "label": "sentiment", "length": LENGTH}  # fmt: skip
    described = {"name": "reviews", "task": "text-classification", "data": data}
    (place / "tauten.yaml").write_text(yaml.safe_dump(described))
    return place


@pytest.mark.slow
def test_the_directory_is_a_workload_whose_file_computes_what_the_model_does(directory, tmp_path):
    workload = load_workload(f"hf:{directory}", allow_files=True)
    model = workload.model()
    export_float(model, workload, tmp_path / "float.onnx")

    outputs, targets = predict(open_session(tmp_path / "float.onnx"), workload, "test")
    with torch.no_grad():
        eager = np.concatenate([model(*inputs).numpy() for inputs, _ in workload.batches("test", 100)])
    assert np.abs(outputs - eager).max() < 1e-3
    assert len(targets) == 200
    assert set(targets.tolist()) == {0, 1}
    assert [tuple(item.shape) for item in workload.example_inputs()][:2] == [(1, LENGTH), (1, LENGTH)]
