"""What a service counts, as Prometheus reads it."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
SIZES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """The figures of one service. Nothing is global, so that one process can hold several."""

    def __init__(self, waiting: Callable[[], int], in_progress: Callable[[], int], ready: Callable[[], bool]):
        """Begin at zero; what changes by itself is asked for when the figures are read.

        Args:
          waiting: Returns how many pictures wait to be embedded.
          in_progress: Returns how many requests are read or answered.
          ready: Returns whether the service answers.
        """
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "siamese_jax_requests",
            "Requests that were answered or refused.",
            ("endpoint", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "siamese_jax_request_seconds",
            "Seconds from the header of a request to the end of its answer.",
            ("endpoint",),
            registry=self._registry,
            buckets=SECONDS,
        )
        self._batches = Histogram(
            "siamese_jax_batch_pictures",
            "Pictures that were embedded together.",
            registry=self._registry,
            buckets=SIZES,
        )
        for name, meaning, value in (
            ("waiting_pictures", "Pictures that wait to be embedded.", waiting),
            ("requests_in_progress", "Requests that are read or answered now.", in_progress),
            ("ready", "1 if the service answers, 0 while it starts.", ready),
        ):
            Gauge(f"siamese_jax_{name}", meaning, registry=self._registry).set_function(value)
        ProcessCollector(registry=self._registry)

    def answered(self, endpoint: str, status: int, seconds: float) -> None:
        """Count a request.

        Args:
          endpoint: Its path as the application names it, for example "/thumbnail/{picture}".
          status: Of the answer.
          seconds: It took.
        """
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def embedded(self, pictures: int) -> None:
        """Count a batch of pictures."""
        self._batches.observe(pictures)

    def text(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self._registry)
