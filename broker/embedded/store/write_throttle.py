"""Write throttle for retained messages, to spare the card: a token bucket for each topic."""

from broker.token_bucket import TokenBuckets

# So many changes of a topic are written at once, and one more every so many seconds.
BURST = 20
REFILL_S = 300.0
# All other changes wait for one commit every so many seconds.
INTERVAL_S = 60.0


def write_throttle(topics: int) -> TokenBuckets[str]:
    """Return the buckets for that many topics; a change that finds no token waits."""
    return TokenBuckets(burst=BURST, refill_s=REFILL_S, keys=topics)
