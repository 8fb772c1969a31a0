"""Sentence on the version of a plugin that the hub has sent to a node. Pure."""

from bus.contract.messages import DeliveryState
from hub_app.nodes.delivery.reason import sentences

_PHASES = {
    "fetching": "version {version} from the hub is being fetched: {reason}",
    "trial": "version {version} from the hub is on trial",
    "probation": "version {version} from the hub is on probation: {polls} of {probation} polls",
    "failed": "version {version} from the hub did not run: {reason}",
    "rolled-back": "went back from version {version} after {polls} polls: {reason}",
}
_REFUSED = "an order was refused: {refused}"


def sentence(told: DeliveryState | None) -> str:
    """Return what is to be said of a delivery, nothing where its version was kept."""
    if told is None:
        return ""
    words = _PHASES.get(told.phase, _REFUSED if told.refused else "")
    return words.format(
        version=told.version or "without a name",
        polls=told.polls,
        probation=told.probation,
        reason=sentences(told.reason),
        refused=told.refused,
    )
