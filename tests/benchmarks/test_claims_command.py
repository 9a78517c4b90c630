import json

import pytest
from typer.testing import CliRunner

from benchmarks.claims.__main__ import app
from benchmarks.claims.claim import Claim
from benchmarks.claims.registry import CLAIMS
from benchmarks.table import Row


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def only_claim(monkeypatch):
    """Puts one claim of the given rows in place of all."""

    def put(*rows):
        claim = Claim("made-up", "rows come out", "this test", lambda setting: iter(rows))
        monkeypatch.setattr("benchmarks.claims.registry.CLAIMS", {"made-up": claim})

    return put


def test_the_scale_of_an_int8_tensor_is_exact():
    result = run("--only", "int8-scale")

    assert result.exit_code == 0
    assert "37.35" in result.stdout
    assert "60" in result.stdout
    assert "fails" not in result.stdout


def test_an_unknown_claim_is_wrong_usage_and_lists_the_known_ones():
    result = run("--only", "perpetual-motion")

    assert result.exit_code == 2
    assert "perpetual-motion" in result.stderr
    assert "int8-scale" in result.stderr


def test_a_row_of_ours_that_fails_exits_with_one(only_claim):
    only_claim(Row("a", "b", "c", holds=True), Row("d", "e", "f", holds=False))

    assert run().exit_code == 1


def test_a_published_row_that_fails_is_reported_alone(only_claim):
    only_claim(Row("a", "b", "c", holds=False, is_ours=False))

    result = run()

    assert result.exit_code == 0
    assert "fails" in result.stdout


def test_the_rows_are_written_with_their_surroundings(only_claim, tmp_path):
    only_claim(Row("a", "b", "c", "d", holds=True))
    path = tmp_path / "rows.json"

    assert run("--json", str(path)).exit_code == 0

    document = json.loads(path.read_text())
    assert [row["measured"] for row in document["rows"]] == ["c"]
    assert document["surroundings"]["torch"]


@pytest.mark.parametrize(
    "name",
    [
        "bert-int8",
        "lstm-dynamic",
        "student",
        "features",
        "cnn-to-vit",
        "3d-to-2d",
        "prune-teacher",
        "combination",
    ],
)
def test_claims_of_teachers_sequences_and_combinations_are_registered_under_their_names(name):
    assert CLAIMS[name].name == name
    assert CLAIMS[name].source
