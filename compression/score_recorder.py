"""Attention scores of whatever a model runs, recorded where torch computes them. Changes no result."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ScoreRecorder(TorchFunctionMode):
    """While active, keeps the scores of every self-attention: scaled products of queries and keys, masked.

    It knows `scaled_dot_product_attention`, a softmax over the last dimension of square scores (``n x heads
    x t x t``, or ``n x t x t`` as one head), and `nn.MultiheadAttention`. Masked positions hold minus
    infinity, or what the model itself added to them.

    Args:
        found: called after each of them.

    Attributes:
        scores: ``n x heads x t x t`` each, in execution order, with their gradients' history.
    """

    def __init__(self, found: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.scores: list[Tensor] = []
        self._found = found

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        reader = _READERS.get(func)
        if reader is not None:
            scores = reader(*args, **kwargs)
            if scores is not None and scores.shape[-1] == scores.shape[-2]:
                self.scores.append(scores)
                self._found()
        return func(*args, **kwargs)


def _of_dot_product(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    if query.ndim not in {3, 4}:
        return None
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query @ key.transpose(-2, -1) * scale
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        is_kept = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if is_kept else scores + attn_mask
    return _with_heads(scores)


def _of_softmax(
    input: Tensor,  # noqa: A002  # torch's name, by which it is passed
    dim: int | None = None,
    *_: Any,
    **__: Any,
) -> Tensor | None:
    is_attention = input.ndim in {3, 4} and dim in {-1, input.ndim - 1}
    return _with_heads(input) if is_attention else None


def _of_multi_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    *__: Any,
    key_padding_mask: Tensor | None = None,
    attn_mask: Tensor | None = None,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    **___: Any,
) -> Tensor | None:
    """Of queries ``t x n x width``; `nn.MultiheadAttention` computes its scores out of sight."""
    if query.ndim != 3:  # noqa: PLR2004  # without a batch
        return None
    if in_proj_weight is not None:
        q_proj_weight, k_proj_weight, _ = in_proj_weight.chunk(3)
    if q_proj_weight is None or k_proj_weight is None:
        return None
    q_bias, k_bias, _ = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    queries = _by_head(F.linear(query, q_proj_weight, q_bias), num_heads)
    keys = _by_head(F.linear(key, k_proj_weight, k_bias), num_heads)
    scores: Tensor = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
    if attn_mask is not None:
        # t x t for all, or n * heads x t x t
        mask = attn_mask if attn_mask.ndim == 2 else attn_mask.reshape(scores.shape)  # noqa: PLR2004
        scores = _without(scores, mask)
    if key_padding_mask is not None:
        scores = _without(scores, key_padding_mask[:, None, None, :])
    return scores


def _by_head(states: Tensor, heads: int) -> Tensor:
    """``t x n x width`` to ``n x heads x t x width / heads``."""
    return states.reshape(*states.shape[:2], heads, -1).permute(1, 2, 0, 3)


def _without(scores: Tensor, mask: Tensor) -> Tensor:
    """With a mask as `nn.MultiheadAttention` has it: true is left out, or a number is added."""
    return scores.masked_fill(mask, -math.inf) if mask.dtype == torch.bool else scores + mask


def _with_heads(scores: Tensor) -> Tensor:
    return scores.unsqueeze(1) if scores.ndim == 3 else scores  # noqa: PLR2004


_READERS: Final[Mapping[Any, Callable[..., Tensor | None]]] = MappingProxyType(
    {
        F.scaled_dot_product_attention: _of_dot_product,
        F.softmax: _of_softmax,
        torch.softmax: _of_softmax,
        Tensor.softmax: _of_softmax,
        F.multi_head_attention_forward: _of_multi_head,
    }
)
