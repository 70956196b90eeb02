"""Skills: typed, documented functions that plans may name, found by entry point `nadg.skills`."""
