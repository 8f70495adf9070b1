"""A model service that does what the trace's goal says, as slow and as faulty as real ones are."""

from __future__ import annotations

import re
from collections import OrderedDict

from tests.fakes.model_service import Act, Asked, FakeServer

# What a goal says of the call that asks about it: ``soak:reset:17``.
_SAID = re.compile(r"soak:([a-z]+):\d+")
WELL = Act(text=None)
# Each try meets the same.
ALWAYS = {
    "well": WELL,
    "slow": Act(text=None, delay=0.05),
    "dripping": Act(text=None, slow=0.05),
    "refused": Act(stop="refusal"),
    "rejected": Act(status=400),
    "nonsense": Act(text="it was fine, I think"),
    "cut": Act(text=None, cut=40),
    "hung": Act(hang=True),
}
# The first try does, and the second goes well.
ONCE = {"reset": Act(reset=True), "down": Act(status=500), "busy": Act(status=429, headers=(("retry-after", "0"),))}
# Goals whose first try has been are remembered so far back.
_REMEMBERED = 4_096


class FaultyModel(FakeServer):
    """Speaks as ``FakeServer`` does; the goal chooses the act."""

    def __init__(self) -> None:
        super().__init__()
        self._tried: OrderedDict[str, None] = OrderedDict()

    def act(self, asked: Asked) -> Act:
        """What to do with a request."""
        self.asked.clear()
        said = _SAID.search(str(asked.body))
        if said is None:
            return WELL
        if said[1] in ALWAYS:
            return ALWAYS[said[1]]
        if said[0] in self._tried:
            return WELL
        self._tried[said[0]] = None
        if len(self._tried) > _REMEMBERED:
            self._tried.popitem(last=False)
        return ONCE[said[1]]
