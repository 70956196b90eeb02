"""Talks to a master over HTTP, and follows the runs that it carries out."""
