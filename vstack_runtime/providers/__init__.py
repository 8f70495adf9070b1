"""Model services: one file each, and what stands around them all."""
