"""The layers of confinement, one file each; `nadg.sandbox.child` puts them on in order."""
