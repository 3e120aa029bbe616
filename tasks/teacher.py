"""A teacher that follows its student: the average of weights that semi-supervised methods learn from or evaluate.

The moving average and its warm-up are those of Tarvainen & Valpola 2017 (Mean teachers are better role models,
NeurIPS, arXiv:1703.01780), the ramp-up is that of Laine & Aila 2017 (Temporal ensembling, ICLR, arXiv:1610.02242).
"""

import copy
import math

import torch
from torch import nn


class Taught(nn.Module):
    """A ``student``, which is trained, and a ``teacher`` of the same shape, which follows it and is evaluated."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student
        self.teacher = copy.deepcopy(student).requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs of the teacher."""
        outputs: torch.Tensor = self.teacher(x)
        return outputs

    @torch.no_grad()
    def follow(self, decay: float, step: int) -> None:
        """After ``step`` (from 0) the teacher keeps ``decay`` of itself, or less while it is the mean of all steps.

        A decay of 0 copies the student; statistics of batch normalisation are always copied.
        """
        kept = min(decay, 1.0 - 1.0 / (step + 1))
        for slow, fast in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - kept)
        for copied, statistics in zip(self.teacher.buffers(), self.student.buffers(), strict=True):
            copied.copy_(statistics)


def ramp_up(progress: float) -> float:
    """Weight that rises from exp(-5) at ``progress`` 0 to 1 at 1, and stays there."""
    return math.exp(-5.0 * (1.0 - min(progress, 1.0)) ** 2)
