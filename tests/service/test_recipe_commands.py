"""Recipes on the command line and in use: converted, folded, and refused before anything is written."""

import json
import sys

import pytest

from recipes import FORMATS, recipe_schema
from service.cli import app as command_line
from service.recipe_running import apply_recipe, read_recipe
from spaces import InvalidRecipe, LayerPolicy, Policy, Prune, UnknownName
from tests.recipes.converters.cases import DEPLOYMENT, STATIC
from tests.recipes.samples import recipe

BLOCKS = ("stage1.0.conv1", "stage1.1.conv1")


@pytest.fixture
def written(tmp_path):
    layers = dict.fromkeys(BLOCKS, STATIC) | {"stage2.0.conv1": LayerPolicy(Prune(0.5))}
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe(Policy(layers=layers), deployment=DEPLOYMENT.to_dict()).to_yaml())
    return path


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command line in this process: its exit code, standard output and standard error."""

    def runs(*arguments):
        monkeypatch.setattr(sys, "argv", ["tauten", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            command_line.main()
        return (caught.value.code or 0, *capsys.readouterr())

    return runs


def test_the_schema_is_printed(run):
    code, printed, _ = run("recipe", "schema")

    assert code == 0
    assert json.loads(printed) == recipe_schema()


@pytest.mark.parametrize("form", FORMATS)
def test_a_recipe_is_written_in_every_format_with_its_losses_beside_it(run, written, form):
    to = written.with_name("made")

    code, printed, said = run("recipe", "convert", written, "--format", form, "--out", to, "--json")

    report = json.loads(printed)
    beside = json.loads(written.with_name("made.losses.json").read_text())
    assert (code, report["format"], said) == (0, form, "")
    assert {"path": str(to), **beside} == report
    assert report["complete"] == (form == "tauten")
    assert to.read_text().endswith("\n")


def test_strictly_a_format_that_cannot_say_everything_writes_nothing(run, written):
    to = written.with_name("made")

    code, _, said = run("recipe", "convert", written, "--format", "torchao", "--out", to, "--strict")

    assert code == 1
    assert "stage2.0.conv1" in said
    assert "cannot say the whole policy; nothing was written" in said
    assert sorted(path.name for path in written.parent.iterdir()) == ["recipe.yaml"]


def test_an_unknown_format_lists_the_known_ones(run, written):
    code, _, said = run("recipe", "convert", written, "--format", "stone", "--out", written.with_name("made"))

    assert code == 2
    assert all(form in said for form in FORMATS)


def test_a_recipe_is_folded_and_unfolded_without_loss(run, written):
    folded, back = written.with_name("folded.yaml"), written.with_name("back.yaml")

    run("recipe", "fold", written, "--out", folded)
    run("recipe", "unfold", folded, "--out", back)

    assert r"re:stage1\.\d+\.conv1" in read_recipe(folded).policy.layers
    assert back.read_text() == written.read_text()


def test_a_folded_recipe_makes_the_same_artifact(digits, written, tmp_path):
    one = read_recipe(written)
    names = (*BLOCKS, "stage1.0.conv2", "stage1.1.conv2", "stage2.0.conv1", "stage2.1.conv1", "stem.0")

    plain = apply_recipe(one, None, tmp_path / "plain")
    folded = apply_recipe(one.fold(names), None, tmp_path / "folded")

    assert plain["artifact"] == folded["artifact"]
    assert folded["same_policy"]
    assert [line.split(":")[0] for line in folded["differs"]] == [
        line.split(":")[0] for line in plain["differs"]
    ]
    assert plain["differs"][0].startswith("the trained weights of the workload: sha256:")
    assert {path.name for path in (tmp_path / "folded").iterdir()} == {
        "artifact.onnx",
        "float.onnx",
        "model.safetensors",
        "policy.json",
        "report.json",
    }


def test_a_recipe_for_layers_that_the_model_lacks_names_them_all_and_writes_nothing(written, tmp_path):
    layers = {"stem.0": STATIC, "gone": STATIC, "lost": STATIC}
    foreign = recipe(Policy(layers=layers), deployment=DEPLOYMENT.to_dict())

    with pytest.raises(InvalidRecipe) as caught:
        apply_recipe(foreign, None, tmp_path / "out")

    assert [fault.pointer for fault in caught.value.faults] == ["/policy/layers/gone", "/policy/layers/lost"]
    assert not (tmp_path / "out").exists()


def test_a_recipe_names_no_code_to_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("open('ran', 'w').close()\n")
    workload = {**recipe().workload, "name": "mine.py:factory"}

    with pytest.raises(UnknownName, match=r"unknown workload 'mine\.py:factory'"):
        apply_recipe(recipe(workload=workload, deployment=DEPLOYMENT.to_dict()), None, tmp_path / "out")

    assert not (tmp_path / "ran").exists()


def test_another_tools_recipe_becomes_a_policy(run, tmp_path):
    theirs, to = tmp_path / "theirs.yaml", tmp_path / "policy.json"
    scheme = {"scheme": "W8A8", "targets": ["re:head"]}
    theirs.write_text(json.dumps({"a_stage": {"a_modifiers": {"GPTQModifier": scheme}}}))

    code, printed, said = run(
        "recipe", "import", theirs, "--format", "llm-compressor", "--workload", "digits-cnn", "--out", to
    )

    policy = Policy.from_dict(json.loads(to.read_text()))
    assert code == 0
    assert policy.layers["head"].weight.bits == 8
    assert "not taken: /a_stage/a_modifiers/GPTQModifier: bits are taken" in said
    assert printed.endswith(": 1 layers\n")


def test_a_card_is_written_without_a_search_too(run, written, tmp_path):
    code, printed, _ = run("recipe", "card", written, "--out", tmp_path / "card", "--json")

    assert code == 0
    assert json.loads(printed) == {"files": [str(tmp_path / "card" / "model-card.md")]}
    assert (
        (tmp_path / "card" / "model-card.md").read_text().startswith("# digits-cnn, compressed for local-cpu")
    )
