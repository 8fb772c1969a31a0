"""Outgoing messages: the queue of each session, and the way into it and to the socket."""
