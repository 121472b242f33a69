"""What the default study finds on simulated pupils whose true effect is known, over many seeds."""
