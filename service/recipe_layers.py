"""The layers that a recipe is about: of the workload's model where torch is, of the store where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spaces import Conflict, InvalidRecipe, LayerInventory, Reader

if TYPE_CHECKING:
    from torch import nn

    from compression import Workload
    from recipes import Recipe
    from storage import Store


def workload_layers(recipe: Recipe, workload: Workload, model: nn.Module) -> LayerInventory:
    """The layers of the student that a recipe's policy is about, before pruning.

    Args:
        recipe: its student and its target's channel multiple are read.
        workload: of the model.
        model: the reference; not changed.

    Raises:
        CompressionError: the workload has no such student.
    """
    from compression import build_student, take_inventory

    multiple = Reader(recipe.deployment, "/deployment", InvalidRecipe).whole("channel_multiple", 1, low=1)
    student = build_student(workload, model, recipe.policy.student, multiple=multiple)
    return take_inventory(student, workload.example_inputs())


def named_workload_layers(recipe: Recipe, name: str | None) -> LayerInventory:
    """The same for a workload by name, or the recipe's own.

    Args:
        recipe: what to convert.
        name: registered or ``path.py:factory``, as a person gave it; ``None`` takes the recipe's, which must
            be registered: a recipe never names code to run.
    """
    import torch

    from evaluators.reference import load_model
    from evaluators.workloads import load_workload

    torch.set_num_threads(1)  # one example is traced, and two threads are slower at that on a busy machine
    workload = load_workload(name or recipe.workload["name"], allow_files=name is not None)
    return workload_layers(recipe, workload, load_model(workload))


def reference_layers(name: str) -> LayerInventory:
    """The layers of a workload's own model.

    Args:
        name: registered or ``path.py:factory``, as a person gave it.
    """
    import torch

    from compression import take_inventory
    from evaluators.reference import load_model
    from evaluators.workloads import load_workload

    torch.set_num_threads(1)
    workload = load_workload(name, allow_files=True)
    return take_inventory(load_model(workload), workload.example_inputs())


def stored_layers(recipe: Recipe, store: Store) -> LayerInventory:
    """The same as a worker has stored them.

    Raises:
        Conflict: no search of the workload has stored the layers of this student.
    """
    name, student = recipe.workload["name"], recipe.policy.student
    wanted = None if student is None else student.to_dict()
    known: dict[str, Any] = store.inventory(name) or {"students": []}
    for document, inventory in known["students"]:
        if document == wanted:
            return LayerInventory.from_dict(inventory)
    of = "the reference" if student is None else f"student {student}"
    raise Conflict(
        f"the layers of {of} of workload {name!r} are not stored; "
        f"take the recipe with format=tauten and use: tauten recipe convert"
    )
