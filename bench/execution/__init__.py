"""Execute policies on images or texts: check real early stopping against the simulation, and measure latency."""
