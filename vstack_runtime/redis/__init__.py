"""State that replicas share, in Redis. Needs the extra ``redis``, and is imported only where a URL asks for it."""

try:
    import coredis as _coredis  # noqa: F401 - to see whether it is there
except ModuleNotFoundError as fault:
    if fault.name != "coredis":
        raise
    told = "the stores in Redis need a library that is not installed; pip install 'vstack[redis]' brings it"
    raise ModuleNotFoundError(told, name="coredis") from None
