"""Converters: other people's labels -> a COCO panoptic folder."""
