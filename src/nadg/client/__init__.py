"""Talks to a master over HTTP: gives it runs, and follows those that it carries out."""
