"""All claims by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.claims.architectures import CLIPS_TO_FRAMES, CNN_TO_VIT
from benchmarks.claims.channels import ITERATIVE, SLIMMING, VGG_L1
from benchmarks.claims.combination import COMBINATION
from benchmarks.claims.distillation import FEATURES, PRUNE_TEACHER, STUDENT
from benchmarks.claims.encoders import BERT_INT8
from benchmarks.claims.heads import HEAD_GRADIENT
from benchmarks.claims.quantization import INT8_INT4_QAT, PRUNE_INT8
from benchmarks.claims.recurrent import LSTM_DYNAMIC
from benchmarks.claims.scale import INT8_SCALE
from benchmarks.claims.sparsity import L1_TRAINING, THRESHOLD

if TYPE_CHECKING:
    from benchmarks.claims.claim import Claim

CLAIMS: Final[dict[str, Claim]] = {
    claim.name: claim
    for claim in (
        INT8_SCALE,
        THRESHOLD,
        L1_TRAINING,
        VGG_L1,
        SLIMMING,
        ITERATIVE,
        HEAD_GRADIENT,
        INT8_INT4_QAT,
        PRUNE_INT8,
        BERT_INT8,
        LSTM_DYNAMIC,
        STUDENT,
        FEATURES,
        CNN_TO_VIT,
        CLIPS_TO_FRAMES,
        PRUNE_TEACHER,
        COMBINATION,
    )
}
