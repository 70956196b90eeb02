"""What can be wrong with a plan, one idea a file; `nadg.domain.validate` puts them together."""
