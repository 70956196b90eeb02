"""From plan to answer: pure decisions, one loop that applies them, and what the user gets in the end."""
