import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from evaluators.workloads.training import Progress, fit
from spaces import WorkloadError


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def line():
    """Examples of y = 2x."""
    x = torch.linspace(-1, 1, 20)[:, None]
    return (x,), 2 * x


def run(model, batches, loss, **options):
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    fit(model, batches, loss, optimizer, schedule, Progress("line", len(batches)), **options)


def test_a_line_is_printed_every_five_seconds_and_at_the_end(capsys):
    clock = Clock()
    progress = Progress("net", 200, clock)

    for done in range(1, 201):
        clock.now += 1.0
        progress.tell(done, 0.5)

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 40
    assert lines[0] == "net: training   2%, loss 0.500, 3:15 left"
    assert lines[-1] == "net: training 100%, loss 0.500, 0:00 left"


def test_a_model_learns_and_is_left_in_eval_mode():
    torch.manual_seed(0)
    model = nn.Linear(1, 1)

    run(model, [line()] * 100, F.mse_loss)

    assert model.weight.item() == pytest.approx(2, abs=1e-3)
    assert not model.training


def test_the_first_of_several_outputs_is_trained():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, x):
            return self.layer(x), x

    torch.manual_seed(0)
    model = Two()
    run(model, [line()] * 100, F.mse_loss)

    assert model.layer.weight.item() == pytest.approx(2, abs=1e-3)


def test_gradients_are_clipped_by_norm():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)

    run(model, [line()], lambda outputs, targets: 1000 * F.mse_loss(outputs, targets), gradient_norm=1.0)

    # one step at rate 0.5 with a gradient of norm 1, upwards
    assert model.weight.item() == pytest.approx(0.5, abs=1e-4)


def test_a_loss_that_is_not_finite_names_the_model_and_the_step():
    def loss(outputs, targets):
        return outputs.sum() * float("nan")

    with pytest.raises(WorkloadError, match="line: the training loss became nan at step 0"):
        run(nn.Linear(1, 1), [line()], loss)
