"""Pure functions from domain objects to what a terminal shows. Nothing here opens or writes anything."""
