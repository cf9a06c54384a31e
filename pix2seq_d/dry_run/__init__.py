"""What a training will cost, from its compiled step: memory, arithmetic, traffic."""
