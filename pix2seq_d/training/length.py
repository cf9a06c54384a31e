"""Lengths given in epochs, as steps (spec 5.1)."""

import dataclasses
import math

from pix2seq_d.config import Config


def with_lengths(config: Config, num_images: int) -> Config:
    """The config with lengths in steps only, as it is saved and can be run again.

    num_steps = floor(images epochs / batch) + 1, where `train.num_epochs` is above 0;
    warmup_steps = floor(epochs images / batch), where `optimizer.warmup_epochs` is.

    Args:
      config: of the training.
      num_images: of the training split.
    Returns:
      The same with both fields of epochs 0.
    Source: spec 5.1.
    """
    train, optimizer = config.train, config.optimizer
    if train.num_epochs:
        num_steps = math.floor(num_images * train.num_epochs / train.batch_size) + 1
        train = dataclasses.replace(train, num_steps=num_steps, num_epochs=0.0)
    if optimizer.warmup_epochs:
        warmup = math.floor(num_images * optimizer.warmup_epochs / train.batch_size)
        optimizer = dataclasses.replace(
            optimizer, warmup_steps=warmup, warmup_epochs=0.0
        )
    return dataclasses.replace(config, train=train, optimizer=optimizer)
