import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTForImageClassification,
)

from compression import Deployment, compress, export_float, take_inventory
from evaluators.runtime import open_session, predict
from evaluators.workloads import load_workload
from evaluators.workloads.tasks import inverse_perplexity
from spaces import ActivationFormat, LayerPolicy, Policy, Prune, WeightFormat, WorkloadError

WORDS = ("good", "bad", "fine", "poor", "film", "plot", "the", "a", "was", "and")
SIZES = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 48}


def save_tokenizer(directory):
    known = {"[PAD]": 0, "[UNK]": 1, **{word: index + 2 for index, word in enumerate(WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_input_names=["input_ids", "attention_mask"]
    ).save_pretrained(directory)  # fmt: skip


def describe(directory, **document):
    (directory / "tauten.yaml").write_text(yaml.safe_dump({"name": "mine", **document}))
    return f"hf:{directory}"


@pytest.fixture(autouse=True)
def _seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def text(tmp_path):
    """A directory of a small BERT that knows two labels by name, and a table of sentences."""
    config = BertConfig(vocab_size=12, id2label={0: "negative", 1: "positive"}, label2id={"negative": 0, "positive": 1}, **SIZES)  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    draw = np.random.default_rng(0)
    lines = [" ".join(draw.choice(WORDS, draw.integers(2, 9))) for _ in range(80)]
    rows = [f"{line},{'positive' if 'good' in line else 'negative'}" for line in lines]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return tmp_path


def text_workload(directory, **data):
    given = {"csv": "reviews.csv", "length": 8, **data}
    return load_workload(describe(directory, task="text-classification", data=given), allow_files=True)


def parity(workload, path):
    model = workload.model()
    export_float(model, workload, path)
    outputs, targets = predict(open_session(path), workload, "validation", 5)
    with torch.no_grad():
        eager = np.concatenate([model(*inputs).numpy() for inputs, _ in workload.batches("validation", 64)])
    assert np.abs(outputs - eager).max() < 1e-4
    return model, outputs, targets


def test_a_text_classifier_of_a_directory_is_exported_faithfully_and_can_be_pruned(text, tmp_path):
    workload = text_workload(text)
    model, _, targets = parity(workload, tmp_path / "float.onnx")
    groups = take_inventory(model, workload.example_inputs()).groups

    ids, mask = workload.example_inputs()
    assert ids.shape == mask.shape == (1, 8)
    assert set(targets.tolist()) == {0, 1}
    assert {group.granularity for group in groups if group.fixed_because is None} == {"head", "channel"}


def test_labels_may_be_numbers_and_others_are_named(text):
    (text / "numbers.csv").write_text("text,label\n" + "good film,1\nbad plot,0\n" * 20)
    (text / "strange.csv").write_text("text,label\ngood film,meh\n")

    _, labels = next(text_workload(text, csv="numbers.csv").batches("train", 99))
    assert set(labels.tolist()) == {0, 1}
    with pytest.raises(WorkloadError, match=r"the label 'meh' is none of the model's: negative, positive"):
        text_workload(text, csv="strange.csv").example_inputs()


def test_code_that_comes_with_a_model_is_never_run(text):
    config = json.loads((text / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.Own", "AutoModelForSequenceClassification": "own.Own"},
    }
    (text / "config.json").write_text(json.dumps(config))
    (text / "own.py").write_text("raise SystemExit('this must not run')")

    with pytest.raises(WorkloadError, match="cannot be loaded"):
        text_workload(text).model()


def test_weights_that_are_pickled_are_refused(text):
    torch.save({}, text / "pytorch_model.bin")
    (text / "model.safetensors").unlink()

    with pytest.raises(WorkloadError, match="safetensors"):
        text_workload(text).model()


def test_an_image_classifier_reads_folders_by_the_models_own_size_labels_and_preprocessing(tmp_path):
    config = ViTConfig(image_size=8, patch_size=4, num_channels=1, id2label={0: "light", 1: "dark"}, label2id={"light": 0, "dark": 1}, **SIZES)  # fmt: skip
    ViTForImageClassification(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.5], "image_std": [0.5]}')
    for name, level in (("dark", 0), ("light", 255)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for index in range(20):
            Image.new("L", (10, 10), level).save(tmp_path / "pictures" / name / f"{index}.png")
    name = describe(tmp_path, task="image-classification", data={"images": "pictures"})
    workload = load_workload(name, allow_files=True)
    parity(workload, tmp_path / "float.onnx")

    (images,), labels = next(workload.batches("train", 99))
    assert images.shape[1:] == (1, 8, 8)
    assert (images.mean((1, 2, 3)) == 1).tolist() == (labels == 0).tolist()
    assert images.unique().tolist() == [-1, 1]


@pytest.fixture
def language(tmp_path):
    """A directory of a small Llama, and a text whose words follow one another in two cycles."""
    sizes = SIZES | {"hidden_size": 64, "intermediate_size": 96}  # so that weights outweigh the graph
    config = LlamaConfig(vocab_size=12, num_key_value_heads=2, pad_token_id=0, **sizes)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    (tmp_path / "text.txt").write_text("the good film was fine and a bad plot was poor and " * 60)
    name = describe(tmp_path, task="text-generation", data={"texts": "text.txt", "length": 9})
    return load_workload(name, allow_files=True)


def test_a_language_model_predicts_the_next_token_of_every_position(language, tmp_path):
    _, outputs, targets = parity(language, tmp_path / "float.onnx")
    (ids,), following = next(language.batches("train", 4))

    assert outputs.shape == (*targets.shape, 12)
    assert torch.equal(ids[:, 1:], following[:, :-1])
    log_likelihood = torch.log_softmax(torch.tensor(outputs), -1).gather(2, torch.tensor(targets)[..., None])
    perplexities = torch.exp(-log_likelihood.mean((1, 2)))
    assert language.metric(outputs, targets) == pytest.approx(float((1 / perplexities).mean()), rel=1e-5)


def test_a_language_model_is_compressed_through_the_same_contract(language, tmp_path):
    model = language.model()
    optimizer = torch.optim.AdamW(model.parameters(), 5e-3)
    for epoch in range(4):
        for inputs, targets in language.batches("train", 8, seed=epoch):
            optimizer.zero_grad()
            language.loss(model(*inputs), targets).backward()
            optimizer.step()
    model.eval()
    int8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "dynamic"))
    inventory = take_inventory(model, language.example_inputs())
    leader = next(group.leader for group in inventory.groups if group.granularity == "channel" and group.fixed_because is None)  # fmt: skip
    layers = {
        layer.name: int8 for layer in inventory.layers if "lm_head" not in layer.name and layer.op == "linear"
    }
    layers[leader] = LayerPolicy(Prune(0.25), int8.weight, int8.activation)
    policy = Policy(layers=layers)
    made = compress(language, model, policy, tmp_path / "small.onnx", deployment=Deployment(8))
    export_float(model, language, tmp_path / "float.onnx")

    before, after = (
        language.metric(*predict(open_session(tmp_path / name), language, "test"))
        for name in ("float.onnx", "small.onnx")
    )
    assert before > 0.5  # the uncertain first word of a stretch apart, the text can be known
    assert after > 0.7 * before
    assert made.artifact.size_bytes < 0.6 * (tmp_path / "float.onnx").stat().st_size


def test_perplexity_of_uniform_logits_is_the_vocabulary():
    assert inverse_perplexity(np.zeros((2, 5, 40), np.float32), np.ones((2, 5), int)) == pytest.approx(1 / 40)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"task": "translation", "data": {}}, "/task: 'translation' is not one of: text-classification"),
        ({"task": "text-classification", "data": {"csv": "none.csv"}}, "none.csv does not exist"),
        ({"task": "text-classification", "data": {"csv": 3}}, "/data/csv: must be a path, or paths by split"),
        ({"task": "text-generation", "data": {"texts": "t.txt", "lenght": 3}}, "/data/lenght: is not a known field"),
    ],
)  # fmt: skip
def test_a_description_with_a_fault_is_refused_with_its_place(tmp_path, document, says):
    (tmp_path / "t.txt").write_text("the")
    with pytest.raises(WorkloadError) as caught:
        load_workload(describe(tmp_path, **document), allow_files=True)

    assert says in str(caught.value)
