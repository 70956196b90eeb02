"""The composition root: builds every part from the settings and hands it down.

One module per thing the command line starts, so that each loads only what it needs.
"""
