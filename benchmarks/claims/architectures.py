"""Claims about students of another architecture than their teacher's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.convolution_networks import ClipCnn, FrameCnn
from benchmarks.claims.digit_task import DigitTask, as_clips
from benchmarks.claims.distillation import plain_task
from benchmarks.claims.recoveries import WITH_TEACHER, recovery, seeds
from benchmarks.claims.scoring import apply, difference, parameters, percent, retained, right_answers
from benchmarks.claims.sequence_networks import PatchEncoder
from benchmarks.table import Row
from compression.training import Plan
from spaces import Policy, Student

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.claims.scoring import Flags
    from spaces import Distill, Recovery

STUDENT_BLOCKS: Final = 2


def clip_task() -> DigitTask:
    """Moving digits: which digit, and where to; read by convolutions over time and both sides."""
    return DigitTask(
        "claims-clips",
        as_clips,
        ClipCnn,
        Plan(12, "sgd", 0.05),
        {"frames": lambda depth, width: FrameCnn()},
        task="video-classification",
    )


def _across(
    setting: Setting, what: str, task: DigitTask, student: Student, how: Callable[[Distill | None], Recovery]
) -> Iterator[Row]:
    teacher = task.model()
    path = setting.directory / "artifact.onnx"
    apply(task, teacher, Policy(), path)
    known = right_answers(path, task)
    fewer = 1 - parameters(apply(task, teacher, Policy(student), path).model) / parameters(teacher)

    def runs(distill: Distill | None) -> list[Flags]:
        policy = Policy(student, recovery=how(distill))
        found = []
        for seed in seeds(setting):
            seeded = replace(task, student_seed=seed)
            apply(seeded, teacher, policy, path, seed)
            found.append(right_answers(path, seeded))
        return found

    taught, alone = runs(WITH_TEACHER), runs(None)
    kept, gain = retained(taught, known, setting.seed), difference(taught, alone, setting.seed)
    yield Row(
        f"{what} at {fewer:.0%} fewer parameters: accuracy kept",
        "",
        f"{kept.value:.1%} ({percent(taught)} of {percent(known)})",
        kept.interval,
        is_ours=False,
    )
    yield Row(
        "the same student with its teacher less without, points",
        "",
        f"{100 * gain.value:+.2f} (without: {percent(alone)})",
        gain.interval,
        is_ours=False,
    )


def _cnn_to_vit(setting: Setting) -> Iterator[Row]:
    families = {"vit": lambda depth, width: PatchEncoder(STUDENT_BLOCKS)}
    task = replace(plain_task(), families=families)
    yield from _across(
        setting,
        "plain CNN to encoder of patches",
        task,
        Student("vit"),
        lambda distill: recovery(setting, distill, is_new=True),
    )


def _clips_to_frames(setting: Setting) -> Iterator[Row]:
    yield from _across(
        setting,
        "3-D CNN to 2-D CNN on moving digits",
        clip_task(),
        Student("frames"),
        lambda distill: recovery(setting, distill, "sgd", 0.05),
    )


CNN_TO_VIT = Claim(
    "cnn-to-vit",
    "a vision transformer learns from a convolutional teacher",
    "Touvron et al. 2021, DeiT",
    _cnn_to_vit,
)
CLIPS_TO_FRAMES = Claim(
    "3d-to-2d",
    "a 2-D student keeps the accuracy of a 3-D convolutional teacher at 90 % fewer parameters",
    "reports on video and medical models",
    _clips_to_frames,
)
