"""The network: image encoder, feature pyramid and mask decoder."""
