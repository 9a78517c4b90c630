"""How accuracy is recovered after compression: training, its teacher and its corrections. Pure values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal

from spaces.checks import assign, check, check_among, real
from spaces.errors import InvalidPolicy
from spaces.reading import Reader, shown

Features = Literal["none", "hidden", "attention"]
Optimizer = Literal["sgd", "adamw"]
Penalty = Literal["weight", "bn_scale"]
Quantizer = Literal["ste", "lsq"]

MOST_STEPS: Final = 100
QAT_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Distill:
    """Learning from the reference's outputs (Hinton et al. 2015).

    Attributes:
        temperature: softens both distributions, above 0.
        alpha: weight of the soft loss; ``1 - alpha`` stays with the labels.
        features: inner states that are matched besides the outputs: the blocks' hidden states (L2, projected
            where widths differ), or attention maps (Jiao et al. 2020, TinyBERT).
        feature_weight: of the matched features' loss beside the others, above 0.
    """

    temperature: float = 4.0
    alpha: float = 0.7
    features: Features = "none"
    feature_weight: float = 1.0

    def __post_init__(self) -> None:
        is_soft = 0 < self.temperature < math.inf
        check(is_soft, "/temperature", f"must be above 0 and finite, not {shown(self.temperature)}")
        check(0 <= self.alpha <= 1, "/alpha", f"must be from 0 to 1, not {shown(self.alpha)}")
        check_among(self.features, Features, "/features")
        weighs = 0 < self.feature_weight < math.inf
        check(weighs, "/feature_weight", f"must be above 0 and finite, not {shown(self.feature_weight)}")
        is_apt = self.features != "none" or self.feature_weight == 1
        check(is_apt, "/feature_weight", "goes with features 'hidden' or 'attention' only")
        assign(
            self,
            temperature=float(self.temperature),
            alpha=real(self.alpha),
            feature_weight=float(self.feature_weight),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without a feature weight that is the default."""
        form: dict[str, Any] = {
            "temperature": self.temperature,
            "alpha": self.alpha,
            "features": self.features,
        }
        return form if self.feature_weight == 1 else form | {"feature_weight": self.feature_weight}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Distill:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        features: Any = read.text("features", "none")
        return read.build(
            cls,
            read.number("temperature", 4.0),
            read.number("alpha", 0.7),
            features,
            read.number("feature_weight", 1.0),
        )


@dataclass(frozen=True, slots=True)
class Sparsity:
    """Training before pruning that drives what will be pruned towards zero.

    Attributes:
        penalty: L1 norm of the prunable layers' weights, or of BatchNorm's scales (Liu et al. 2017).
        strength: of the penalty in the loss, above 0.
        epochs: passes over the train split, above 0.
    """

    penalty: Penalty
    strength: float
    epochs: float = 1.0

    def __post_init__(self) -> None:
        check_among(self.penalty, Penalty, "/penalty")
        for name in ("strength", "epochs"):
            value = getattr(self, name)
            check(0 < value < math.inf, f"/{name}", f"must be above 0 and finite, not {shown(value)}")
        assign(self, strength=float(self.strength), epochs=float(self.epochs))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"penalty": self.penalty, "strength": self.strength, "epochs": self.epochs}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Sparsity:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        penalty: Any = read.text("penalty")
        return read.build(cls, penalty, read.number("strength"), read.number("epochs", 1.0))


@dataclass(frozen=True, slots=True)
class Recovery:
    """Training and corrections around pruning and quantization.

    Attributes:
        epochs: passes over the train split, fractions allowed, at least 0; all of them together.
        qat: the last `qat_share` of the training simulates the quantization of statically quantized layers.
        distill: how the reference teaches; ``None`` trains on labels alone.
        optimizer: ``sgd`` (Nesterov momentum) suits convolutional networks, ``adamw`` transformers.
        learning_rate: the schedule's peak, above 0; ``None`` is the optimizer's default.
        patience: epochs without a better loss on the calibration split after which training stops and the
            best weights return, above 0; ``None`` trains to the end.
        prune_steps: pruning in one shot (1), or in steps with training between them, the ratio rising by the
            cubic schedule of Zhu & Gupta 2017, eq. 1.
        sparsity: training before pruning, with a penalty.
        qat_share: share of `epochs` that simulates quantization, above 0 and at most 1; with `qat` only.
        quantizer: how gradients pass through rounding: ``ste`` (straight-through, ranges fixed) or ``lsq``
            (learned step sizes, Esser et al. 2020); with `qat` only.
        bn_reestimation: BatchNorm's statistics are computed again on train batches after the last training.
        equalization: weights' ranges are balanced across layers before quantization (Nagel et al. 2019, 4.1).
        bias_correction: the mean error that quantization makes at each layer goes into its bias (ibid., 4.2).
    """

    epochs: float = 1.0
    qat: bool = False
    distill: Distill | None = field(default_factory=Distill)
    optimizer: Optimizer = "sgd"
    learning_rate: float | None = None
    patience: float | None = None
    prune_steps: int = 1
    sparsity: Sparsity | None = None
    qat_share: float = QAT_SHARE
    quantizer: Quantizer = "ste"
    bn_reestimation: bool = False
    equalization: bool = False
    bias_correction: bool = False

    def __post_init__(self) -> None:
        is_finite = 0 <= self.epochs < math.inf
        check(is_finite, "/epochs", f"must be at least 0 and finite, not {shown(self.epochs)}")
        check_among(self.optimizer, Optimizer, "/optimizer")
        check_among(self.quantizer, Quantizer, "/quantizer")
        for name in ("learning_rate", "patience"):
            value = getattr(self, name)
            if value is not None:
                check(0 < value < math.inf, f"/{name}", f"must be above 0 and finite, not {shown(value)}")
                assign(self, **{name: float(value)})
        steps = self.prune_steps
        check(1 <= steps <= MOST_STEPS, "/prune_steps", f"must be from 1 to {MOST_STEPS}, not {shown(steps)}")
        share = self.qat_share
        check(0 < share <= 1, "/qat_share", f"must be above 0 and at most 1, not {shown(share)}")
        if not self.qat:
            check(share == QAT_SHARE, "/qat_share", "goes with qat only; set qat to true")
            check(self.quantizer == "ste", "/quantizer", "goes with qat only; set qat to true")
        assign(
            self, epochs=real(self.epochs), qat=bool(self.qat), prune_steps=int(steps), qat_share=float(share)
        )

    @property
    def changes_weights(self) -> bool:
        """There is something to do before a model is deployed."""
        return self.epochs > 0 or self.sparsity is not None or self.bn_reestimation

    def reduced(self, share: float) -> Recovery:
        """The same with a share of its epochs; with 0, nothing is trained and pruning is done in one shot.

        Args:
            share: from 0 to 1.
        """
        if share == 1:
            return self
        if share == 0:
            return replace(self, epochs=0.0, sparsity=None, prune_steps=1)
        sparsity = self.sparsity and replace(self.sparsity, epochs=self.sparsity.epochs * share)
        return replace(self, epochs=self.epochs * share, sparsity=sparsity)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: epochs, qat and distill, and of the rest what is not the default."""
        distill = None if self.distill is None else self.distill.to_dict()
        form: dict[str, Any] = {"epochs": self.epochs, "qat": self.qat, "distill": distill}
        for item in fields(self)[3:]:
            value = getattr(self, item.name)
            if value != item.default:
                form[item.name] = value.to_dict() if isinstance(value, Sparsity) else value
        return form

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Recovery:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        optimizer: Any = read.text("optimizer", "sgd")
        quantizer: Any = read.text("quantizer", "ste")
        return read.build(
            cls,
            read.number("epochs", 1.0),
            read.flag("qat", False),
            read.optional("distill", Distill.from_dict),
            optimizer,
            read.number_or_none("learning_rate"),
            read.number_or_none("patience"),
            read.whole("prune_steps", 1),
            read.optional("sparsity", Sparsity.from_dict),
            read.number("qat_share", QAT_SHARE),
            quantizer,
            read.flag("bn_reestimation", False),
            read.flag("equalization", False),
            read.flag("bias_correction", False),
        )
