"""vstack over the Model Context Protocol: a session as a pure machine, and the transports that carry it."""
