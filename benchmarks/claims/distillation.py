"""Claims about what a teacher gives a student: by its outputs, by its inner states, and once it is pruned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.convolution_networks import plain_cnn
from benchmarks.claims.digit_task import DigitTask, as_images
from benchmarks.claims.recoveries import WITH_TEACHER, recovery, seeds, taught_by
from benchmarks.claims.scoring import (
    apply,
    difference,
    parameters,
    percent,
    retained,
    right_answers,
)
from benchmarks.claims.sequence_networks import BLOCKS, PatchEncoder
from benchmarks.table import Row
from compression import take_inventory
from compression.training import Plan
from spaces import LayerPolicy, Policy, Prune, Student

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from benchmarks.claims.scoring import Flags
    from spaces import Recovery

LEAST_KEPT: Final = 0.97
LEAST_REMOVED: Final = 0.4
HALF: Final = 0.5
TEACHER_WIDTH: Final = 64
STUDENT_WIDTH: Final = 16


def encoder_task() -> DigitTask:
    """Digits by patches, read by an encoder of four blocks; its students are made anew with fewer."""
    return DigitTask(
        "claims-vit",
        as_images,
        PatchEncoder,
        Plan(40, "adamw", 1e-3, batch_size=16),
        {"encoder": lambda depth, width: PatchEncoder(round(BLOCKS * depth))},
    )


def plain_task() -> DigitTask:
    """Digits, read by three plain convolutions; its students are narrower."""
    return DigitTask(
        "claims-plain",
        as_images,
        lambda: plain_cnn(TEACHER_WIDTH),
        Plan(20, "sgd", 0.1),
        {"plain": lambda depth, width: plain_cnn(round(TEACHER_WIDTH * width))},
    )


def _runs(setting: Setting, task: DigitTask, teacher: nn.Module, policy: Policy) -> list[Flags]:
    """Right answers of a policy's artifacts, by seed; a seed is of the student's start and of the order."""
    found = []
    for seed in seeds(setting):
        seeded = replace(task, student_seed=seed)
        path = setting.directory / f"{task.name}-{seed}.onnx"
        apply(seeded, teacher, policy, path, seed)
        found.append(right_answers(path, seeded))
    setting.say(f"{policy.student}: {percent(found)}")
    return found


def _reference(setting: Setting, task: DigitTask, teacher: nn.Module) -> Flags:
    path = setting.directory / "reference.onnx"
    apply(task, teacher, Policy(), path)
    return right_answers(path, task)


def _student(setting: Setting) -> Iterator[Row]:
    task = encoder_task()
    teacher = task.model()
    known = _reference(setting, task, teacher)
    for start, student in (
        ("kept blocks", Student(depth=HALF)),
        ("from scratch", Student("encoder", depth=HALF)),
    ):
        is_new = student.family != "self"
        taught, alone = (
            _runs(setting, task, teacher, Policy(student, recovery=recovery(setting, distill, is_new=is_new)))
            for distill in (WITH_TEACHER, None)
        )
        small = apply(task, teacher, Policy(student), setting.directory / "shape.onnx").model
        removed = 1 - parameters(small) / parameters(teacher)
        kept, gain = retained(taught, known, setting.seed), difference(taught, alone, setting.seed)
        yield Row(
            f"encoder of half the blocks, {start}: accuracy kept at {removed:.0%} fewer parameters",
            f">= {LEAST_KEPT:.0%} at >= {LEAST_REMOVED:.0%} fewer",
            f"{kept.value:.1%} ({percent(taught)} of {percent(known)})",
            kept.interval,
            holds=kept.value >= LEAST_KEPT and removed >= LEAST_REMOVED,
            is_ours=False,
        )
        yield Row(
            f"encoder of half the blocks, {start}: with its teacher less without, points",
            "> 0",
            f"{100 * gain.value:+.2f} (without: {percent(alone)})",
            gain.interval,
            holds=gain.value > 0,
            is_ours=False,
        )


def _features(setting: Setting) -> Iterator[Row]:
    task = encoder_task()
    teacher = task.model()

    def runs(how: Recovery) -> list[Flags]:
        return _runs(setting, task, teacher, Policy(Student("encoder", depth=HALF), recovery=how))

    plain = runs(recovery(setting, WITH_TEACHER, is_new=True))
    yield Row("encoder of half the blocks, teacher's outputs alone", "", percent(plain), is_ours=False)
    for kind in ("hidden", "attention"):
        gain = difference(runs(recovery(setting, taught_by(kind), is_new=True)), plain, setting.seed)
        yield Row(
            f"outputs and {kind} states less outputs alone, points",
            "",
            f"{100 * gain.value:+.2f}",
            gain.interval,
            is_ours=False,
        )


def _prune_teacher(setting: Setting) -> Iterator[Row]:
    task = plain_task()
    teacher = task.model()
    groups = take_inventory(teacher, task.example_inputs()).groups
    layers = {group.leader: LayerPolicy(Prune(HALF)) for group in groups if group.fixed_because is None}
    how = recovery(setting, WITH_TEACHER, "sgd", 0.05)
    path = setting.directory / "pruned.onnx"
    pruned = apply(task, teacher, Policy(layers=layers, recovery=how), path, setting.seed)
    student = Policy(Student("plain", width=STUDENT_WIDTH / TEACHER_WIDTH), recovery=how)
    direct = _runs(setting, task, teacher, student)
    stepwise = _runs(setting, task, pruned.model, student)
    gain = difference(stepwise, direct, setting.seed)
    yield Row(
        "student of a pruned teacher less student of the teacher, points",
        "",
        f"{100 * gain.value:+.2f} ({percent(stepwise)}, {percent(direct)})",
        gain.interval,
        is_ours=False,
    )
    yield Row(
        "the pruned teacher's own accuracy",
        "",
        f"{percent(right_answers(path, task))} of {percent(_reference(setting, task, teacher))}",
        is_ours=False,
    )


STUDENT = Claim(
    "student",
    "a student with 40 % fewer parameters keeps 97 % of the accuracy",
    "Sanh et al. 2019, DistilBERT",
    _student,
)
FEATURES = Claim(
    "features",
    "matching hidden states and attention helps beyond outputs",
    "Jiao et al. 2020, TinyBERT",
    _features,
)
PRUNE_TEACHER = Claim(
    "prune-teacher",
    "a student learns more from a pruned teacher",
    "Park & No 2022, Prune your model before distill it",
    _prune_teacher,
)
