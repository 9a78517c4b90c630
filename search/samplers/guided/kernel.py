"""A scikit-learn kernel that sees some columns of its input alone."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, Exponentiation, WhiteKernel

LEAST_NOISE: Final = 1e-4


class OnColumns(Exponentiation):  # type: ignore[misc]
    """A kernel applied to columns ``start:stop``; its hyperparameters are those of the kernel inside.

    It borrows scikit-learn's bookkeeping for a kernel around another one, with the exponent 1.

    Args:
        kernel: applied to the columns.
        start: first column.
        stop: one after the last column; ``None`` is the end.
    """

    def __init__(self, kernel: Any, start: int = 0, stop: int | None = None) -> None:
        super().__init__(kernel, 1)
        self.start, self.stop = start, stop

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name, as scikit-learn's `clone` needs them."""
        params = {"kernel": self.kernel, "start": self.start, "stop": self.stop}
        if deep:
            params.update((f"kernel__{name}", value) for name, value in self.kernel.get_params().items())
        return params

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and (self.start, self.stop) == (other.start, other.stop)  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:  # noqa: N803
        """The kernel matrix, and its gradient by the hyperparameters where asked."""
        seen = X[:, self.start : self.stop]
        other = None if Y is None else Y[:, self.start : self.stop]
        return self.kernel(seen, other, eval_gradient=eval_gradient)

    def diag(self, X: Any) -> Any:  # noqa: N803
        """The diagonal of the kernel matrix."""
        return self.kernel.diag(X[:, self.start : self.stop])


def policy_kernel() -> Any:
    """Column 0 is what the profile predicts, the others describe the policy axis by axis.

    Both have a linear and a smooth part whose weights the likelihood decides: where the profile does not
    predict, its weight falls.
    """
    wide, near = (1e-3, 1e2), (0.1, 1e2)
    parts = [
        ConstantKernel(1.0, wide) * OnColumns(DotProduct(0.0, "fixed"), 0, 1),
        ConstantKernel(0.3, wide) * OnColumns(RBF(1.0, near), 0, 1),
        ConstantKernel(0.3, wide) * OnColumns(DotProduct(0.0, "fixed"), 1),
        ConstantKernel(0.3, wide) * OnColumns(RBF(1.0, near), 1),
    ]
    return sum(parts[1:], parts[0]) + WhiteKernel(0.05, (LEAST_NOISE, 1.0))


def scaled(values: Any) -> Any:
    """Values less their mean, over their spread."""
    spread = float(np.std(values))
    return (values - np.mean(values)) / (spread or 1.0), float(np.mean(values)), spread or 1.0
