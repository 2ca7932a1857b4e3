"""Models that can be copied and pickled: copy.deepcopy, pickle, and so joblib and multiprocessing."""

from deephtm_gpu.session import Session


class Copyable:
    """The part of a model that `copy` and `pickle` ask: of an object with `session`, and a method `_open(setup,
    device)`."""

    session: Session

    def __getstate__(self) -> dict:
        own = {name: value for name, value in vars(self).items() if name not in ("session", "device")}
        session = self.session
        return {
            "own": own,
            "setup": session.setup,
            "contents": session.contents(),
            "observes": session.observes,
            "device": session.opened.asked,
        }

    def __setstate__(self, state: dict):
        vars(self).update(state["own"])
        self._open(state["setup"], state["device"])
        self.session.observe(state["observes"])
        self.session.restore(state["contents"])
