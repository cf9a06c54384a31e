"""From images to panoptic maps."""
