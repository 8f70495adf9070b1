"""vstack over the Model Context Protocol: a session machine without I/O, and the transports that carry it."""
