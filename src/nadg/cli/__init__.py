"""The command line: it reads what the user typed, calls `nadg.bootstrap`, and shows what comes of it.

Standard output carries what was asked for (an answer, a list, a JSON object); the plan, the progress
and every complaint go to standard error, so that output can be piped anywhere.
"""
