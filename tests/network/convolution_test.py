"""Convolution and pooling against XLA's in float64, scipy and loops written by hand, under vmap and grad as used."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax.extend.core import jaxprs_in_params
from jax.test_util import check_grads
from scipy.signal import correlate

from siamese_jax.network import convolution
from siamese_jax.network.convolution import convolve, max_pool, winograd

PATHS = list(convolution.PATHS.values())
PATH = pytest.mark.parametrize("path", PATHS, ids=list(convolution.PATHS))
SHAPES = st.tuples(*[st.integers(1, 9)] * 2, *[st.integers(1, 5)] * 2, *[st.integers(1, 4)] * 2)


def arrays(seed, *shapes):
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape).astype(np.float32) for shape in shapes]


def reference(image, kernel, cotangent, padding="VALID"):
    """Value and both gradients by XLA's own convolution in float64, images [N, H, W, C]."""
    with jax.enable_x64(True):
        arguments = [jnp.asarray(x, jnp.float64) for x in (image, kernel, cotangent)]
        layout = ("NHWC", "HWIO", "NHWC")
        own = partial(jax.lax.conv_general_dilated, window_strides=(1, 1), padding=padding, dimension_numbers=layout)
        return [np.asarray(x) for x in value_and_gradients(own, *arguments)]


def value_and_gradients(function, images, kernel, cotangent):
    """The same three of any function, compiled as one program, which is much quicker than one by one."""

    @jax.jit
    def run(images, kernel, cotangent):
        value, pullback = jax.vjp(function, images, kernel)
        return value, *pullback(cotangent)

    return run(images, kernel, cotangent)


def assert_close(actual, expected, tolerance=1e-5):
    np.testing.assert_equal(actual.shape, expected.shape)
    assert np.abs(np.asarray(actual) - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-3)


@PATH
@settings(max_examples=6)
@given(shape=SHAPES, seed=st.integers(0, 99))
@example(shape=(5, 4, 5, 4, 3, 2), seed=0).via("a kernel as large as the image")
@example(shape=(1, 1, 1, 1, 1, 1), seed=0).via("one pixel")
@example(shape=(9, 7, 1, 1, 4, 3), seed=0).via("odd sides and a kernel of one pixel")
def test_every_path_has_the_value_and_both_gradients_of_the_convolution_in_float64(path, shape, seed):
    height, width, kh, kw, channels, filters = shape
    largest = winograd.LARGEST_KERNEL if path is convolution.PATHS["winograd"] else 5
    kh, kw = min(kh, height, largest), min(kw, width, largest)
    outputs = (2, height - kh + 1, width - kw + 1, filters)
    images, kernel, cotangent = arrays(seed, (2, height, width, channels), (kh, kw, channels, filters), outputs)
    actuals = value_and_gradients(jax.vmap(path, (0, None)), images, kernel, cotangent)
    for actual, expected in zip(actuals, reference(images, kernel, cotangent), strict=True):
        assert_close(actual, expected)


@pytest.mark.parametrize(
    ("path", "image", "kernel", "tolerance"),
    [
        ("fourier", (48, 48, 64), (7, 7, 64, 128), 3e-6),
        ("winograd", (26, 26, 64), (3, 3, 64, 64), 1e-5),
    ],
)
def test_a_path_keeps_its_accuracy_at_the_size_of_a_layer_that_takes_it(path, image, kernel, tolerance):
    assert convolution.path_for(image, kernel) == path
    outputs = (image[0] - kernel[0] + 1, image[1] - kernel[1] + 1, kernel[3])
    arguments = arrays(0, (1, *image), kernel, (1, *outputs))
    actuals = value_and_gradients(jax.vmap(convolution.PATHS[path], (0, None)), *arguments)
    for actual, expected in zip(actuals, reference(*arguments), strict=True):
        assert_close(actual, expected, tolerance)


@pytest.mark.parametrize("length", range(1, 18))
@pytest.mark.parametrize("taps", [1, 2, 3])
def test_the_products_of_a_tile_at_its_points_are_the_correlation_of_numpy(length, taps):
    tiling = winograd._tiling(length + taps - 1, taps)
    of_tile, of_taps, of_output = winograd._matrices(tiling)
    tile, kernel = arrays(length, (tiling.points,), (taps,))
    found = of_output @ ((of_tile @ tile) * (of_taps @ kernel))
    np.testing.assert_allclose(found, np.correlate(tile, kernel, "valid"), rtol=1e-6, atol=1e-6)
    assert (tiling.count - 1) * tiling.outputs < length <= tiling.count * tiling.outputs


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(3, 3), (4, 2), (1, 5), (6, 7)])
def test_same_padding_is_that_of_xla(size, channels):
    image, kernel, cotangent = arrays(1, (5, 6, channels), (*size, channels, 2), (5, 6, 2))
    actuals = value_and_gradients(partial(convolve, padding="SAME"), image, kernel, cotangent)
    value, of_image, of_kernel = reference(image[None], kernel, cotangent[None], "SAME")
    for actual, wanted in zip(actuals, (value[0], of_image[0], of_kernel), strict=True):
        assert_close(actual, wanted)


@PATH
def test_every_path_is_scipys_correlation_summed_over_channels(path):
    image, kernel = arrays(2, (8, 11, 3), (3, 2, 3, 2))
    wanted = [sum(correlate(image[..., c], kernel[..., c, f], "valid") for c in range(3)) for f in range(2)]
    assert_close(path(image, kernel), np.stack(wanted, axis=-1))


def test_convolve_is_the_sum_one_would_write_by_hand():
    image, kernel = arrays(3, (4, 5, 2), (2, 3, 2, 2))
    wanted = np.zeros((3, 3, 2))
    for i, j, f, a, b, c in np.ndindex(3, 3, 2, 2, 3, 2):
        wanted[i, j, f] += image[i + a, j + b, c] * kernel[a, b, c, f]
    assert_close(convolve(image, kernel), wanted)


@PATH
def test_twins_of_pairs_under_nested_vmap_equal_a_loop(path):
    images, kernel, cotangent = arrays(4, (3, 2, 7, 6, 2), (3, 2, 2, 4), (3, 2, 5, 5, 4))
    twins_of_pairs = jax.vmap(jax.vmap(path, (0, None)), (0, None))
    value, gradient_of_images, gradient_of_kernel = value_and_gradients(twins_of_pairs, images, kernel, cotangent)
    total = np.zeros(kernel.shape)
    for pair, twin in np.ndindex(3, 2):
        wanted = reference(images[pair, twin][None], kernel, cotangent[pair, twin][None])
        assert_close(value[pair, twin], wanted[0][0])
        assert_close(gradient_of_images[pair, twin], wanted[1][0])
        total += wanted[2]
    assert_close(gradient_of_kernel, total)


@PATH
def test_the_gradient_of_each_example_is_its_own(path):
    images, kernel, cotangent = arrays(5, (3, 6, 5, 2), (3, 3, 2, 2), (3, 4, 3, 2))
    gradient = jax.grad(lambda k, x, g: jnp.sum(path(x, k) * g))
    each = jax.jit(jax.vmap(gradient, (None, 0, 0)))(kernel, images, cotangent)
    assert each.shape == (3, *kernel.shape)
    for n in range(3):
        assert_close(each[n], reference(images[n][None], kernel, cotangent[n][None])[2])


def sizes(jaxpr):
    """Number of elements of every array that a jaxpr or one inside it makes."""
    for equation in jaxpr.eqns:
        yield from (out.aval.size for out in equation.outvars)
        for inner in jaxprs_in_params(equation.params):
            yield from sizes(inner)


@pytest.mark.parametrize("path", [convolution.PATHS[name] for name in ("xla", "fourier", "winograd")])
def test_the_kernel_gradient_of_a_batch_is_contracted_and_never_one_an_image(path):
    """With many channels and few pixels a kernel gradient an image would be by far the largest array."""
    images, kernel = jnp.zeros((16, 4, 4, 24)), jnp.zeros((3, 3, 24, 24))
    of_batch = jax.grad(lambda k, x: jnp.mean(jax.vmap(lambda one: path(one, k).sum())(x)))
    of_each = jax.vmap(jax.grad(lambda k, one: path(one, k).sum()), (None, 0))
    assert max(sizes(jax.make_jaxpr(of_each)(kernel, images).jaxpr)) >= 16 * kernel.size
    assert max(sizes(jax.make_jaxpr(of_batch)(kernel, images).jaxpr)) < 16 * kernel.size


@pytest.mark.parametrize(
    ("image", "kernel", "path"),
    [
        ((105, 105, 1), (10, 10, 1, 64), "patches"),
        ((48, 48, 64), (7, 7, 64, 128), "fourier"),
        ((21, 21, 128), (4, 4, 128, 128), "fourier"),
        ((9, 9, 128), (4, 4, 128, 256), "fourier"),
        ((14, 14, 64), (3, 3, 64, 64), "winograd"),
        ((26, 26, 32), (3, 3, 32, 32), "winograd"),
        ((32, 32, 8), (5, 5, 8, 32), "fourier"),
        ((50, 50, 3), (3, 3, 3, 64), "patches"),
        ((14, 14, 64), (1, 1, 64, 64), "patches"),
        ((4, 4, 512), (4, 4, 512, 512), "xla"),
    ],
)
def test_the_rule_takes_the_path_that_was_measured_to_be_the_faster_and_xlas_own_off_the_cpu(
    monkeypatch, image, kernel, path
):
    assert convolution.path_for(image, kernel) == path
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert convolution.path_for(image, kernel) == "xla"


@PATH
@pytest.mark.parametrize("channels", [1, 3])
def test_bfloat16_stays_bfloat16_and_is_right_to_its_eight_bits(path, channels):
    shapes = (2, 9, 8, channels), (3, 2, channels, 5), (2, 7, 7, 5)
    rounded = [jnp.asarray(array, jnp.bfloat16) for array in arrays(6, *shapes)]
    actuals = value_and_gradients(jax.vmap(path, (0, None)), *rounded)
    for actual, expected in zip(actuals, reference(*rounded), strict=True):
        assert actual.dtype == jnp.bfloat16
        assert_close(actual.astype(jnp.float32), expected, 2**-7)
    assert max_pool(rounded[0][0]).dtype == jnp.bfloat16


def strokes(seed, images, side, channels):
    """Drawings: a few bars on paper that is exactly 0."""
    generator = np.random.default_rng(seed)
    drawn = np.zeros((images, side, side, channels), np.float32)
    for image in drawn:
        row, column = generator.integers(0, side - 3, 2)
        image[row : row + 2, column:] = generator.random((2, side - column, channels))
        image[row:, column : column + 2] = generator.random((side - row, 2, channels))
    return drawn


@PATH
def test_blank_paper_gives_exactly_zero_and_its_image_keeps_its_gradient(path):
    images, (kernel,) = strokes(0, 3, 13, 4), arrays(10, (3, 2, 4, 6))
    blank = reference(np.abs(images), np.ones_like(kernel), np.zeros((3, 11, 12, 6), np.float32))[0] == 0
    assert 0.2 < blank.mean() < 0.9
    cotangent = np.where(blank, arrays(11, blank.shape)[0], 0).astype(np.float32)
    value, *gradients = value_and_gradients(jax.vmap(path, (0, None)), images, kernel, cotangent)
    wanted, of_images, of_kernel = reference(images, kernel, cotangent)
    np.testing.assert_array_equal(np.asarray(value)[blank], 0)
    assert_close(value, wanted)
    assert_close(gradients[0], of_images)
    assert np.abs(of_kernel).max() == 0
    assert np.abs(gradients[1]).max() < 1e-5


@PATH
def test_a_layer_without_biases_has_the_gradients_of_float64_on_drawings(path):
    """Blank paper is at the kink of a ReLU: what is ±1e-7 there, not 0, passes gradients that 0 does not pass."""

    def layer(own, images, kernel, bias):
        return jax.vmap(lambda image: nn.relu(max_pool(own(image, kernel)) + bias[None, None, :]))(images).mean()

    images, (kernel,) = strokes(1, 4, 14, 8), arrays(12, (3, 3, 8, 16))
    gradients = jax.jit(jax.grad(partial(layer, path), (0, 1, 2)))(images, kernel, np.zeros(16, np.float32))
    with jax.enable_x64(True):
        exactly = [np.float64(array) for array in (images, kernel, np.zeros(16))]
        wanted = jax.device_get(jax.jit(jax.grad(partial(layer, convolution.PATHS["xla"]), (0, 1, 2)))(*exactly))
    for gradient, expected in zip(gradients, wanted, strict=True):
        assert_close(gradient / np.abs(expected).max(), expected / np.abs(expected).max())


def test_wrong_arguments_are_named():
    image, kernel = arrays(7, (4, 4, 2), (5, 2, 2, 3))
    with pytest.raises(ValueError, match="kernel of 5×2 does not fit into an image of 4×4"):
        convolve(image, kernel)
    with pytest.raises(ValueError, match="'FULL'"):
        convolve(image, kernel, "FULL")
    with pytest.raises(AssertionError):
        convolve(image[..., :1], kernel)


@settings(max_examples=5)
@given(height=st.integers(2, 9), width=st.integers(2, 9), channels=st.integers(1, 3), seed=st.integers(0, 99))
def test_max_pool_has_the_value_of_flax_and_its_gradient_where_no_two_are_equal(height, width, channels, seed):
    image = np.random.default_rng(seed).permutation(height * width * channels).reshape(height, width, channels)
    cotangent, image = arrays(seed, (height // 2, width // 2, channels))[0], image.astype(np.float32)

    def of_flax(image):
        return nn.max_pool(image[None], (2, 2), (2, 2))[0]

    @partial(jax.jit, static_argnums=0)
    def run(pool, image, cotangent):
        value, pullback = jax.vjp(pool, image)
        return value, *pullback(cotangent)

    ours, wanted = run(max_pool, image, cotangent), run(of_flax, image, cotangent)
    np.testing.assert_array_equal(ours[0], wanted[0])
    np.testing.assert_array_equal(ours[1], wanted[1])


def test_the_gradient_of_max_pool_agrees_with_finite_differences():
    image = np.random.default_rng(8).permutation(5 * 6 * 2).reshape(5, 6, 2).astype(np.float32) / 10
    check_grads(max_pool, (image,), order=1, modes=["fwd", "rev"], eps=1e-2)


def test_among_equals_the_first_pixel_gets_the_whole_gradient():
    image = np.array([[1, 1, 0, 2], [1, 1, 2, 2]], np.float32)[..., None]
    gradient = jax.grad(lambda x: jnp.sum(max_pool(x) * jnp.array([3.0, 5.0]).reshape(1, 2, 1)))(image)
    np.testing.assert_array_equal(gradient[..., 0], [[3, 0, 0, 5], [0, 0, 0, 0]])


def test_pooling_before_bias_and_relu_changes_nothing():
    image, bias = arrays(9, (7, 8, 3), (3,))
    bias = bias[None, None]
    np.testing.assert_array_equal(jax.nn.relu(max_pool(image) + bias), max_pool(jax.nn.relu(image + bias)))
