"""Jobs as functions: no flags, in any thread, more than once in a process."""

import threading
from dataclasses import replace

import chex
import numpy as np
import pytest
from folders import make_folder
from tiny import SIDE, make_dataset, make_experiment, make_images

import siamese_jax
from siamese_jax import runs
from siamese_jax.devices import Limit
from siamese_jax.errors import UserError
from siamese_jax.records import Dataset
from siamese_jax.specs import AdamW, Folder, InMemory, NetSpec, NWay, Omniglot, Residual
from siamese_jax.storage.workdir import opened

EXPERIMENT = replace(
    make_experiment(), evaluation=replace(make_experiment().evaluation, mnist=False), max_epochs=1
)  # without digits, so that nothing is read from a disk


pytestmark = pytest.mark.usefixtures("few_protocols")


def train(workdir, experiment=EXPERIMENT, **how):
    return runs.train(experiment, workdir, dataset=make_dataset(), **how)


def test_training_works_in_a_thread_that_is_not_the_main_one(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(train(tmp_path / "thread")))
    thread.start()
    thread.join()
    chex.assert_trees_all_equal(found[0].params, train(tmp_path / "main").params)


def test_a_run_is_evaluated_and_can_be_opened_again(tmp_path):
    run = train(tmp_path)
    results = run.evaluate()
    again = runs.open_run(tmp_path, dataset=make_dataset())
    chex.assert_trees_all_equal(run.params, again.params)
    assert again.training == run.training
    assert again.evaluate() == results
    assert (tmp_path / "report.html").exists()


def test_classes_of_different_sizes_in_colour_are_trained_on_and_the_network_can_be_used(tmp_path):
    images = make_images()
    experiment = replace(
        EXPERIMENT,
        data=InMemory(
            batch_alphabets=2, batch_characters=4, batch_drawers=2, epoch_steps=6, validation_pairs=8, test_pairs=8
        ),
        loss=NWay(),
        optimizer=AdamW(),
    )
    run = runs.train(experiment, tmp_path, dataset=Dataset(images))
    assert run.experiment.data.image_shape == (SIDE, SIDE, 3)
    assert runs.resume(tmp_path, dataset=Dataset(images)).training.steps == 6
    results = run.evaluate(replace(experiment.evaluation, baseline=True))
    assert results.one_shot["within_alphabet"].card.trials == 12
    (beside,) = results.baselines["nearest_neighbour"].values()
    assert beside.card.trials_id == results.one_shot["within_alphabet"].card.trials_id
    assert (
        f"For comparison: nearest neighbour on pixels {100 * beside.accuracy:.2f} %"
        in (tmp_path / "report.md").read_text()
    )
    model = run.model()
    assert (model.side, model.channels) == (SIDE, 3)
    again = siamese_jax.load_pretrained(tmp_path)
    np.testing.assert_array_equal(model.embed(images.images[:5]), again.embed(images.images[:5]))
    assert again.threshold == results.verification.test.threshold


def test_a_folder_is_trained_on_resumed_and_evaluated_and_a_changed_picture_is_refused(tmp_path):
    folder = make_folder(tmp_path / "mine", {f"{group}/{class_}": 3 for group in "abcde" for class_ in "wxyz"})
    experiment = replace(
        siamese_jax.find("own_images"),
        data=Folder(path=str(folder), side=16, epoch_steps=1, author="stem"),
        network=NetSpec(Residual(width=8, stages=1, units=8)),
        max_epochs=1,
    )
    workdir, said = tmp_path / "run", []
    run = runs.train(experiment, workdir, data_dir=str(tmp_path), say=said.append)
    assert run.experiment.evaluation.n_way == 4  # sized to the groups
    assert "60 pictures of 20 classes in 5 groups: 12 for train, 4 for validation, 4 for test" in said
    assert any("12 classes for training are few" in line for line in said)
    assert (workdir / "images.csv").read_text().count("\n") == 61
    again = replace(experiment, max_epochs=2, patience=2, optimizer=replace(experiment.optimizer, schedule="constant"))
    with pytest.raises(UserError, match="belongs to a run with optimizer.schedule"):
        runs.train(again, workdir, data_dir=str(tmp_path))
    runs.train(experiment, workdir, data_dir=str(tmp_path))
    results = runs.open_run(workdir, data_dir=str(tmp_path)).evaluate()
    assert set(results.baselines) == {"nearest_neighbour"}
    table = tmp_path / "images.csv"
    table.write_text((workdir / "images.csv").read_text())
    moved = replace(experiment, data=replace(experiment.data, table=str(table)))  # the same pictures, named by a table
    assert runs.train(moved, workdir, data_dir=str(tmp_path)).training == run.training
    (folder / "a" / "w" / "artist0.png").write_bytes((folder / "b" / "w" / "artist0.png").read_bytes())
    with pytest.raises(UserError, match="the pictures are not those that .* lists, for example a/w/artist0.png"):
        runs.train(experiment, workdir, data_dir=str(tmp_path))
    with pytest.raises(UserError, match="the pictures are not those that"):
        runs.open_run(workdir, data_dir=str(tmp_path)).evaluate()


def test_images_in_memory_of_another_shape_than_the_experiment_says_are_refused(tmp_path):
    for data in (Omniglot(), InMemory(height=SIDE, width=SIDE, channels=1)):
        with pytest.raises(UserError, match=r"shape \[12, 12, 3\], and data.name=.* give images of that shape"):
            runs.train(replace(EXPERIMENT, data=data), tmp_path, dataset=Dataset(make_images()))


def test_a_run_that_was_not_evaluated_cannot_be_used_yet(tmp_path):
    run = train(tmp_path)
    with pytest.raises(UserError, match="holds no results"):
        run.model()


def test_a_run_is_resumed_with_its_own_fields_and_ends_with_the_same_bits(tmp_path):
    whole = train(tmp_path / "whole")

    class Interrupted(Exception):
        pass

    def interrupt(pause):
        if pause.step == 4:
            raise Interrupted

    parts = replace(EXPERIMENT, checkpoint_minutes=1e-9)  # a checkpoint at each pause
    with pytest.raises(Interrupted):
        train(tmp_path / "parts", parts, listeners=[interrupt])
    resumed = runs.resume(tmp_path / "parts", dataset=make_dataset())
    chex.assert_trees_all_equal(whole.params, resumed.params)


def test_a_listener_hears_of_every_pause(tmp_path):
    heard = []
    train(tmp_path, listeners=[lambda pause: heard.append((pause.step, pause.epoch_ended))])
    assert heard == [(1, False), (4, False), (8, False), (9, True)]


def test_a_function_says_nothing_unless_it_is_asked_to(tmp_path, capsys):
    said = []
    train(tmp_path, say=said.append).evaluate()
    assert capsys.readouterr().out == ""
    assert "batch_size = 4" in said
    assert said[-1] == f"workdir = {tmp_path}"


def test_baselines_are_measured_by_a_function_of_their_own(tmp_path):
    baselines = replace(EXPERIMENT, method="baselines")
    with pytest.raises(UserError, match="trains no network: call measure_baselines"):
        train(tmp_path, baselines)
    results = runs.measure_baselines(baselines, tmp_path, dataset=make_dataset())
    assert set(results.baselines) == {"nearest_neighbour", "modified_hausdorff"}


def test_a_folder_without_a_checkpoint_cannot_be_opened(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        runs.open_run(tmp_path)


def test_two_that_evaluate_measure_baselines_or_train_in_one_folder_are_refused(tmp_path):
    run = runs.Run(EXPERIMENT, tmp_path, {}, None, runs.Data(make_dataset()))
    jobs = (
        run.evaluate,
        lambda: runs.measure_baselines(replace(EXPERIMENT, method="baselines"), tmp_path, dataset=make_dataset()),
        lambda: train(tmp_path),
        lambda: runs.open_run(tmp_path, dataset=make_dataset()),
    )
    with opened(tmp_path):
        for job in jobs:
            with pytest.raises(UserError, match="in use by another run"):
                job()
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_in_batches_that_cannot_fit_is_refused_with_the_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(runs.memory, "memory_limit", lambda: Limit(16 * 10**9, "this machine has"))
    run = runs.Run(EXPERIMENT, tmp_path, {}, None, runs.Data(make_dataset()))
    with pytest.raises(UserError, match=r"GB of memory, .* 16 GB: lower --evaluation.embed_batch"):
        run.evaluate(replace(EXPERIMENT.evaluation, embed_batch=10**9))


def test_baselines_that_cannot_be_measured_leave_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(runs.measure, "measure_baselines", fail)
    with pytest.raises(MemoryError):
        runs.measure_baselines(replace(EXPERIMENT, method="baselines"), tmp_path / "a" / "b", dataset=make_dataset())
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_ends_in_its_first_step_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(runs, "fit", fail)
    with pytest.raises(MemoryError):
        train(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
