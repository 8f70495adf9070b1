"""State that replicas share, in Redis. Needs the extra ``redis``, and is imported only where a URL asks for it."""
