"""The guidance learns from the real initialisation."""

import jax
import numpy as np
import optax
from reference_models import quick_jit

import gun_jax
from gun_jax.ops.losses import cross_entropy


def test_from_its_initialisation_the_guidance_alone_lowers_the_loss_below_that_of_bilinear_upsampling():
    # One image of two halves. All else is frozen, so that only offsets can lower the loss.
    model, size = gun_jax.GUN(2, width=1 / 16), (48, 64)
    labels = np.broadcast_to(np.arange(size[1]) > 27, (1, *size)).astype(np.int32)
    noise = np.random.default_rng(0).normal(0, 0.1, (1, *size, 3))
    x = (noise + 2.0 * labels[..., None] - 1).astype(np.float32)
    variables = quick_jit(model.init)(jax.random.key(0), x)
    optimizer = optax.adam(0.05)

    def loss(guidance):
        updated = {**variables, "params": variables["params"] | {"gum": guidance}}
        options = {"method": "logits_and_offsets", "mutable": ["batch_stats"]}
        (low, offsets, _), _ = model.apply(updated, x, True, size, **options)
        return cross_entropy(gun_jax.guided_upsample(low, offsets), labels), (low, offsets)

    @quick_jit
    def step(guidance, state):
        (value, seen), gradient = jax.value_and_grad(loss, has_aux=True)(guidance)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(guidance, updates), state, value, seen

    guidance = variables["params"]["gum"]
    state = optimizer.init(guidance)
    losses = []
    for _ in range(30):
        guidance, state, value, (low, offsets) = step(guidance, state)
        losses.append(float(value))
    bilinear = float(cross_entropy(jax.image.resize(low, (1, *size, 2), "linear"), labels))
    np.testing.assert_allclose(losses[0], bilinear, rtol=1e-5)  # offsets start at zero
    assert np.abs(offsets).max() > 0.1
    assert losses[-1] < 0.99 * bilinear
