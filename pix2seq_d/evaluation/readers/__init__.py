"""Truth and prediction of the official layouts, pair by pair, read when asked for."""
