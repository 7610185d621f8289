"""One-shot episodes as rows, no pixels: n-way, k-shot, within groups, as Lake's runs (Koch et al. 2015, section 4.3).

An episode holds one trial per query: all its queries are compared with the same supports.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from siamese_jax import keys
from siamese_jax.errors import UserError
from siamese_jax.records import Episodes, Layout
from siamese_jax.sampling.classes import sample_classes, sample_different, sample_images
from siamese_jax.sampling.layout import authors_of_classes, serving


def sample_episodes(key: Array, layout: Layout, trials: int, n_way: int, k_shot: int = 1) -> Episodes:
    """Sample `trials` trials as trials/n_way episodes, episode r from group r mod A.

    Args:
      key: a random key. Episode r is a function of (key, r) alone.
      layout: where the images stand. Classes by fewer than k_shot + 1 authors (where these are unknown, with fewer
        images), and then groups with fewer than n_way classes, are left out.
      trials: number of queries, a multiple of n_way.
      n_way: classes of an episode, 2 or more.
      k_shot: supports of each class, 1 or more.

    Returns:
      Episodes with one query of each class, in random order.

    Raises:
      UserError: there are too few authors, classes or trials.
    """
    layout = layout_for_episodes(layout, n_way, k_shot)
    if trials < n_way or trials % n_way:
        raise UserError(
            f"{trials} trials cannot be made of episodes of {n_way}: take a multiple of evaluation.n_way={n_way}"
        )
    sample = jax.vmap(lambda index: sample_episode(jax.random.fold_in(key, index), index, layout, n_way, k_shot))
    return sample(jnp.arange(trials // n_way))


def layout_for_episodes(layout: Layout, n_way: int, k_shot: int) -> Layout:
    """Return the part of a layout that episodes are sampled from.

    Raises:
      UserError: no group has n_way classes with k_shot + 1 authors or images.
    """
    who = "images" if layout.author is None else "authors"
    most = int(np.max(authors_of_classes(layout)))
    if k_shot < 1 or k_shot >= most:
        raise UserError(
            f"evaluation.k_shot={k_shot} is out of range: a class has at most {most} {who}, and one is for the query; "
            f"take 1 to {most - 1}"
        )
    largest = int(np.max(serving(layout, k_shot + 1, classes=1).group_size))
    if n_way < 2 or n_way > largest:
        raise UserError(
            f"evaluation.n_way={n_way} is out of range: the largest group has {largest} classes with {k_shot + 1} "
            f"{who}; take 2 to {largest}"
        )
    return serving(layout, k_shot + 1, n_way)


def sample_episode(key: Array, index: Array, layout: Layout, n_way: int, k_shot: int) -> Episodes:
    """Sample episode `index`. It is of group `index` mod A, where A is the number of groups.

    Within a class, all images are by different authors. If all classes of the group have the same authors, one author
    made all queries, and one author made support j of every class. If authors are unknown, the images of a class are
    only different images.

    Args:
      key: a random key.
      index: int32 [], the number of the episode.
      layout: what `layout_for_episodes` returns.
      n_way: classes of an episode.
      k_shot: supports of each class.

    Returns:
      One episode: support [n_way, k_shot], query [n_way] and answer [n_way].
    """
    key_classes, key_images, key_order = jax.random.split(key, 3)
    group = index % len(layout.group_size)
    if layout.author is None:
        # The first key samples the support and the second the query, as when MNIST's trials were first published.
        classes = jnp.sort(sample_classes(keys.stream(key, "classes"), layout, group)[:n_way])
        more = jax.random.split(keys.stream(key, "supports"), k_shot)[1:]
        positions = sample_different([key_classes, key_images, *more], jnp.asarray(layout.class_size)[classes])
        rows = jnp.asarray(layout.class_start)[classes, None] + positions
        query, support = rows[:, 1], jnp.delete(rows, 1, axis=1)
    else:
        classes = sample_classes(key_classes, layout, group)[:n_way]
        rows = sample_images(key_images, layout, classes, k_shot + 1)
        query, support = rows[:, 0], rows[:, 1:]
    answer = jax.random.permutation(key_order, n_way)
    return Episodes(support, query[answer], answer)
