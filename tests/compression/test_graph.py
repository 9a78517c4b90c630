import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from compression import layer_of, layer_of_node, output_layers
from compression.graph import is_folded, label_layers, label_recurrent
from spaces import CompressionError
from tests.models import OddlyNamed
from tests.strategies import PROPERTY


def label(layer):
    """The name of a layer's node, as labelling a graph of one convolution gives it."""
    import torch

    weight = torch.ones(1, 1, 1, 1)
    stored = helper.make_tensor("w", TensorProto.FLOAT, (1, 1, 1, 1), [1.0])
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", [], [], [stored])
    label_layers(graph, [(layer, weight)])
    return graph.node[0].name


@PROPERTY
@given(st.text("abλ0@%:_/ .", min_size=1, max_size=8))
def test_a_layer_is_found_again_whatever_it_is_called(layer):
    assert layer_of(label(layer)) == layer


@pytest.mark.parametrize("layer", ["stage1.0.conv1", *OddlyNamed.NAMES])
@pytest.mark.parametrize("renamed", ["fused {}", "{}:out_nchwc", "{}_quant", "{}:act", "{}/DuplicateQDQ_1"])
def test_a_layer_is_found_again_after_a_runtime_has_renamed_its_node(layer, renamed):
    assert layer_of(renamed.format(label(layer))) == layer


def test_recurrent_layers_are_told_by_the_order_of_their_calls():
    nodes = [helper.make_node(op, ["x"], [f"y{index}"]) for index, op in enumerate(("LSTM", "GRU", "LSTM"))]
    graph = helper.make_graph(nodes, "g", [], [])

    label_recurrent(graph, [("a.lstm", 1), ("gru", 1), ("a.lstm", 1)])

    assert [node.name for node in graph.node] == ["@a.lstm@0", "@gru@0", "@a.lstm@1"]


def test_recurrent_layers_that_do_not_match_the_graph_are_refused_by_name():
    graph = helper.make_graph([helper.make_node("LSTM", ["x"], ["y"])], "g", [], [])

    with pytest.raises(CompressionError, match=r"recurrent layers deep make 2 operators, .* has 1"):
        label_recurrent(graph, [("deep", 2)])


def test_an_embedding_is_found_by_its_table_and_names_what_it_looks_up():
    import torch

    table = torch.arange(6.0).reshape(3, 2)
    stored = helper.make_tensor("t", TensorProto.FLOAT, (3, 2), table.flatten().tolist())
    nodes = [helper.make_node("Gather", ["t", "i"], ["x"]), helper.make_node("Relu", ["x"], ["y"])]
    graph = helper.make_graph(
        nodes, "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [stored]
    )

    label_layers(graph, [("words", table)])

    assert [node.name for node in graph.node] == ["@words@0", ""]
    assert list(graph.node[1].input) == ["@words@0:out"]
    assert is_folded("@words@0:out")
    assert not is_folded("words:out")
    assert not is_folded("@words@0:out_scale")


def test_other_names_belong_to_no_layer():
    assert [layer_of(name) for name in ("", "/net/Relu", "reorder_token_3", "a@b", "output")] == [None] * 5


def test_a_node_that_is_known_by_the_models_output_alone_is_found_through_it():
    conv = helper.make_node("Conv", ["x", "w"], ["logits"], name=label("last"))
    graph = helper.make_graph(
        [conv], "g", [], [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)]
    )
    optimized = helper.make_node("Conv", ["x", "w"], ["reorder_token_1"], name="logits_nchwc")

    assert output_layers(graph) == {"logits": "last"}
    assert layer_of_node(optimized, output_layers(graph)) == "last"
    assert layer_of_node(optimized) is None
