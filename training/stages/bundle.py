def write_bundle(*a): pass
