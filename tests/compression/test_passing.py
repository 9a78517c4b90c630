import pytest
import torch
from torch import nn

from compression.passing import PassThrough, returned_elements
from tests.networks_h import Block, TupledBlock


class Annotated(nn.Module):
    def forward(self, x) -> tuple[torch.Tensor]:
        outputs = (x,)
        return outputs  # noqa: RET504


class Either(nn.Module):
    def forward(self, x, *, more=False):
        if more:
            return x, x
        return x


class Nesting(nn.Module):
    def forward(self, x):
        def pair(y):
            return y, y

        return pair(x)[0]


@pytest.mark.parametrize(
    ("block", "elements"),
    [
        (Block(), None),
        (TupledBlock(), 2),
        (Annotated(), 1),
        (Either(), None),
        (Nesting(), None),
        (nn.Linear(2, 2), None),
        (nn.Sequential(), None),
    ],
    ids=["block", "tupled", "annotated", "either", "nesting", "linear", "sequential"],
)
def test_the_form_of_a_result_is_read_from_the_source(block, elements):
    assert returned_elements(block) == elements


def test_a_forward_without_source_counts_as_returning_one_thing():
    made = {}
    exec("def forward(self, x):\n    return x, x\n", made)
    block = type("Made", (nn.Module,), {"forward": made["forward"]})()

    assert returned_elements(block) is None


def test_any_arguments_pass_and_the_first_comes_out():
    x, y = torch.ones(2), torch.zeros(2)

    assert PassThrough()(x, y, mask=y) is x
    assert PassThrough()(hidden_states=x, mask=y) is x
    assert PassThrough(1)(x)[0] is x
    first, *others = PassThrough(3)(x, flag=True)
    assert first is x
    assert others == [None, None]


def test_a_stand_in_has_the_plain_attributes_of_its_block_and_no_parameters():
    block = TupledBlock().eval()
    block.layer_type, block._secret, block.forward_count = "full", 1, 2

    stand_in = PassThrough.of(block)

    assert (stand_in.layer_type, stand_in.forward_count, stand_in.elements) == ("full", 2, 2)
    assert not hasattr(stand_in, "_secret")
    assert not stand_in.training
    assert stand_in.state_dict() == {}
