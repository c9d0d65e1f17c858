"""One thread for whatever is fitted or scored.

Belongs here: the limit and its reason. What is fitted under it belongs to the models.
"""

from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager:
    """Limit BLAS and OpenMP to one thread while it is open.

    Sums split over threads differ in their last digits, and on a busy machine OpenMP's threads
    wait for each other longer than they work.
    """
    # Loaded first, since a library that comes later is not limited.
    import sklearn.cluster
    import sklearn.ensemble  # noqa: F401
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1)
