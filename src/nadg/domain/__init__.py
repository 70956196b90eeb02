"""Pure data and rules: what NADG talks about. Nothing here opens a file, a socket or a clock."""
