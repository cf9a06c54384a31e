"""How peer_mask2former.py trains and scores the network of other people."""
