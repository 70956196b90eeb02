"""The link between a master and a worker: frames, blobs and one end's session."""
