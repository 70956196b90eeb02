"""One module for each command. They parse; what takes long to import is imported when a command runs."""
