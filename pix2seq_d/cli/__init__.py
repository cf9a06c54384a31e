"""The commands behind launch/ and the pix2seq-d script."""
