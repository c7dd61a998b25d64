"""The client: talks to a daemon over its socket, and the data classes that it returns."""
