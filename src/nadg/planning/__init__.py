"""From words, or a file, to a validated plan."""
