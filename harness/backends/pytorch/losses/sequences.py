"""The loss over sequences of labels. B batch, T steps, L labels, C classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from harness.backends.pytorch.losses.values import Values
from harness.spec import losses as spec


def ctc(loss: spec.CTC, y_true: Tensor, y_pred: Tensor, logits: str | None) -> Values:
    """torch's own kernel, which takes probabilities over steps first; y_true: [B, L], y_pred: logits [B, T, C]."""
    labels_BL = y_true.long()
    steps_B = torch.full((len(y_pred),), y_pred.shape[1], dtype=torch.long, device=y_pred.device)
    lengths_B = (labels_BL != 0).sum(-1)
    logs_TBC = y_pred.log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(logs_TBC, labels_BL, steps_B, lengths_B, blank=0, reduction="none"), None
