"""Plans written by a language model, streamed, checked, and mended until they are valid."""
