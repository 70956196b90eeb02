"""NADG, the NEXUS-AI Distributed Grid: plain words and files in, an answer out, on sandboxed workers."""

__version__ = "0.1.0"
