"""Commands for plugin authors: new, build, test, dev, inspect, bench."""
