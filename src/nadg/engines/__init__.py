"""Engines carry one attempt somewhere and report what happened to it."""
