"""Makes the Pinhole demo models from nothing: scenes, networks, training stages and their evaluation."""
