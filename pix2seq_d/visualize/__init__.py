"""Pictures of panoptic maps and of training."""
