"""What the variants `debug` of the recipes have in common."""

import ml_collections


def shrink(
    config: ml_collections.ConfigDict,
    *,
    image_size: tuple[int, int],
    mask_size: tuple[int, int],
) -> None:
    """Makes a recipe small, its parts kept: 20 steps on two CPU cores; [ours].

    Args:
      config: changed in place.
      image_size: (H, W) of the network's input.
      mask_size: (h, w) of the masks.
    """
    config.model.update(image_size=image_size, mask_size=mask_size)
    config.model.resnet.update(depth=14, width=0.25)
    config.model.encoder.update(num_layers=2, dim=64, mlp_dim=256, num_heads=4)
    config.model.pyramid.dim = 32
    config.model.decoder.update(
        dim=32, transformer_dim=64, transformer_layers=2, head_dim=16
    )
    config.diffusion.update(num_steps=4, num_steps_next=2)
    config.train.update(
        batch_size=8, num_steps=20, checkpoint_every=10, log_every=1, keep=2
    )
    config.train.update(dtype="float32", eval_images=16)
    config.evaluation.batch_size = 8
