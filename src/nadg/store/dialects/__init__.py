"""The databases that the store can live in, each with all that is special to it."""
