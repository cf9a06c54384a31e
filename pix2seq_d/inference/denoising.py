"""How the mask of an image came about: the decoded estimate after every step."""

import dataclasses

import numpy as np

from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.inference.postprocess import raw_panoptic
from pix2seq_d.instance_ids import IdRule
from pix2seq_d.labels import LabelSpace
from pix2seq_d.panoptic import PanopticMap


@dataclasses.dataclass(frozen=True, eq=False)
class Denoising:
    """The estimates of one image, as the sampler made them.

    Attributes:
      states: [N, h, w, 2] int32 (semantic, instance), after each of N steps.
      gammas: [N] float32 in [0, 1], signal in the bits that each step started from;
        almost 0 is noise alone.
      image_size: (height, width) of the network's input.
      unpadded: (height, width) of the content inside it.
      label_space: the categories.
      rule: of instance ids that the model was trained with.
    """

    states: np.ndarray
    gammas: np.ndarray
    image_size: tuple[int, int]
    unpadded: tuple[int, int]
    label_space: LabelSpace
    rule: IdRule

    def __len__(self) -> int:
        return len(self.states)

    def raw_map(self, step: int, size: tuple[int, int]) -> PanopticMap:
        """The estimate after step 0 ... N - 1, without vote, area and merge.

        Args:
          step: which.
          size: (height, width) of the map.
        """
        labels = eval_data.restore(
            self.states[step],
            image_size=self.image_size,
            unpadded=self.unpadded,
            original=size,
        )
        return raw_panoptic(labels, self.label_space, rule=self.rule)
