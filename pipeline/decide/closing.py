"""Closing: when nothing more can follow from an incident, so that Kafka may forget its journal. Pure.

Whether it has been quiet for long enough is for whoever orders it to say (`pipeline.trimming`): here is what its state
says. A closed incident takes nothing more in, so that what is forgotten is never needed again.
"""

from pipeline.decide.state import IncidentState, Phase


def why_not_closed(state: IncidentState) -> str | None:
    """What still waits of the incident, by name; None if it may be closed."""
    if state.phase is not Phase.OVER:
        return "not over"
    waits = {
        "an end that is held back": state.ending,
        "a draft that waits for approval": state.drafts,
        "a field that waits for approval": state.withheld,
        "an audience that is told later": state.put_off,
        "a review that waits for its cool-down": state.reviews,
        "a promised update": state.promises,
        "an operator's hold": state.held,
        "a call of the clock": state.wakes,
    }
    return next((what for what, there in waits.items() if there), None)
