"""Why a model was not fitted: the named outcomes of bad input.

Here belong the refusals that the rooms around `ml` may want to tell apart. All derive from
`ModelRefused`, so that a caller can keep the last good scores on any of them. Programming errors
are not refusals and do not belong here.
"""


class ModelRefused(ValueError):
    """The data does not allow this model; the message says what was found and what is needed."""


class NotEnoughHistory(ModelRefused):
    """Too few customers, snapshots or outcomes to learn from."""


class OneClassLabel(ModelRefused):
    """Every label is the same, so there is nothing to tell apart."""


class CustomersAlike(ModelRefused):
    """No feature varies between customers."""


class BadFeature(ModelRefused):
    """A feature column is absent, or holds a value that no written policy covers."""


class RepeatedCustomer(ModelRefused):
    """A frame that must have one row per customer (and date) has more."""


class LeakedLabel(ModelRefused):
    """A label tells of days after the moment that the model pretends to stand at."""


class FeatureListChanged(ModelRefused):
    """A stored model was trained on other features than those offered to it."""


class UnreadableArtifact(ModelRefused):
    """A model file that this program did not write, or could not load again."""


class MatchingError(ModelRefused):
    """The records or the declaration do not allow matching; the message never carries a value."""
