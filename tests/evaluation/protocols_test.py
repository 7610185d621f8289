import jax
import numpy as np
import pytest
from tiny import make_dataset, make_digits

from siamese_jax import data
from siamese_jax.errors import UserError
from siamese_jax.evaluation.doctor import examine_episodes
from siamese_jax.evaluation.protocols import (
    DIGITS,
    GRID,
    PROTOCOLS,
    SHOTS,
    WAYS,
    card,
    protocols,
    sample,
    sample_digits,
)
from siamese_jax.records import Episodes, Words
from siamese_jax.sampling.splits import select, split
from siamese_jax.specs import EvalSpec, Omniglot

DATASET = make_dataset(characters=20)
SETS = split(DATASET, "paper")
SEEN = {"trained": SETS["train"], "chosen": SETS["validation"]}


def drawn(name: str, dataset=DATASET, sets=SETS) -> Episodes:
    return Episodes(*map(np.asarray, jax.jit(lambda: sample(name, PROTOCOLS[name], dataset, sets))()))


def drawers_of(runs: Episodes, alphabets=DATASET.images) -> set[int]:
    return set(alphabets.author[np.union1d(runs.support, runs.query)].tolist())


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name != "official_runs"])
def test_every_protocol_has_the_trials_its_name_says_and_passes_the_doctor(name):
    runs, protocol = drawn(name), PROTOCOLS[name]
    assert runs.support.shape[1:] == (protocol.n_way, protocol.k_shot)
    assert runs.query.size == runs.answer.size == protocol.trials
    examine_episodes(DATASET.images, runs, protocol.n_way, SEEN)
    if name in GRID:
        assert name == f"{protocol.n_way}_way_{protocol.k_shot}_shot"


@pytest.mark.parametrize("name", DIGITS)
def test_trials_of_digits_have_the_number_that_is_stated_pass_the_doctor_and_know_no_drawers(name):
    digits = make_digits(8)
    runs = Episodes(*map(np.asarray, jax.jit(lambda: sample_digits(name, DIGITS[name], digits))()))
    assert runs.query.size == DIGITS[name].trials
    examine_episodes(digits, runs, 10, SEEN)
    about = card(DIGITS[name], digits, runs, SEEN)
    assert (about.authors, about.groups) == ((), ("digits",))
    other = Episodes(runs.support, runs.query[::-1], runs.answer[::-1])
    assert card(DIGITS[name], digits, other, SEEN).trials_id != about.trials_id
    swapped = runs.query.copy()  # another image of the same digit: only its row tells
    swapped[0, 0] = 5 * (swapped[0, 0] // 5) + (swapped[0, 0] + 1) % 5
    assert card(DIGITS[name], digits, runs._replace(query=swapped), SEEN).trials_id != about.trials_id


def test_the_official_runs_are_those_of_the_data():
    assert sample("official_runs", PROTOCOLS["official_runs"], DATASET, SETS) is DATASET.episodes


def test_koch_400_takes_two_test_drawers_a_run_and_every_alphabet_equally_often():
    runs = drawn("koch_400")
    alphabet, drawer = DATASET.images.group_index, DATASET.images.author
    assert runs.query.shape == (20, 20)
    assert drawers_of(runs) <= {17, 18, 19, 20}
    for support, query in zip(runs.support, runs.query, strict=True):
        assert len({*drawer[support[:, 0]], *drawer[query]}) == 2
        assert len(set(alphabet[np.append(support, query)])) == 1
    assert np.bincount(alphabet[runs.query[:, 0]], minlength=6).tolist() == [0, 0, 0, 0, 10, 10]


def test_only_unstructured_trials_mix_alphabets_and_only_test_alphabets():
    def alphabets_of(name):
        return [set(DATASET.images.group_index[support].ravel().tolist()) for support in drawn(name).support]

    assert all(len(run) == 1 for run in alphabets_of("within_alphabet"))
    mixed = alphabets_of("unstructured")
    assert sum(len(run) == 2 for run in mixed) > 0.99 * len(mixed)
    assert set.union(*mixed) == {4, 5}


def test_the_grid_takes_all_drawers_that_training_does_not_have():
    assert {(p.n_way, p.k_shot) for p in GRID.values()} == {(n, k) for n in WAYS for k in SHOTS}
    for name in ("2_way_1_shot", "20_way_5_shot"):
        assert drawers_of(drawn(name)) == set(range(13, 21))
    official = split(DATASET, "official")
    assert drawers_of(drawn("20_way_5_shot", sets=official)) == set(range(1, 9))


def test_trials_are_the_same_every_time_and_differ_between_protocols():
    np.testing.assert_array_equal(drawn("koch_400").query, drawn("koch_400").query)
    assert not np.array_equal(drawn("koch_400").query, drawn("within_alphabet").query[:20])


def test_an_experiment_sets_the_random_trials_alone():
    changed = protocols(EvalSpec(n_way=5, k_shot=2, random_trials=50), DATASET.episodes)
    assert {protocol.combine for protocol in changed.values()} == {"mean_score"}
    best = protocols(EvalSpec(combine="best_score"), DATASET.episodes)
    assert {protocol.combine for protocol in best.values()} == {"best_score"}
    assert changed["within_alphabet"][1:4] == (5, 2, 50)
    assert changed["official_runs"][1:4] == (3, 1, 6)
    assert {name: changed[name] for name in PROTOCOLS if name not in ("official_runs", "within_alphabet")} == {
        name: PROTOCOLS[name] for name in PROTOCOLS if name not in ("official_runs", "within_alphabet")
    }


def test_data_that_cannot_serve_a_protocol_are_refused_with_a_reason():
    dataset = DATASET._replace(episodes=None)
    assert protocols(EvalSpec(), None)["official_runs"] == PROTOCOLS["official_runs"]
    with pytest.raises(UserError, match="no episodes were released with these data"):
        sample("official_runs", PROTOCOLS["official_runs"], dataset, SETS)
    nobody = DATASET._replace(images=DATASET.images._replace(author=np.full(2400, -1, np.int32), origins=()))
    sets = split(nobody, "paper")
    with pytest.raises(UserError, match="the drawers of these data are not known"):
        sample("koch_400", PROTOCOLS["koch_400"], nobody, sets)
    with pytest.raises(UserError, match="the test set has one alphabet only: there is nothing to mix"):
        sample("unstructured", PROTOCOLS["unstructured"], nobody, sets)


def test_the_grid_is_refused_where_all_authors_made_training_images():
    images = DATASET.images._replace(author=(DATASET.images.author % 2).astype(np.int32))
    rows = {name: part.rows for name, part in SETS.items()}
    dataset = DATASET._replace(images=images, sets=rows)
    with pytest.raises(UserError, match="all drawers of the test images also made training images"):
        drawn("5_way_1_shot", dataset, split(dataset, ""))


def test_without_authors_the_grid_takes_all_images_of_the_test_classes():
    nobody = DATASET._replace(images=DATASET.images._replace(author=np.full(2400, -1, np.int32), origins=()))
    sets = split(nobody, "paper")
    sampled = jax.jit(lambda: sample("5_way_5_shot", GRID["5_way_5_shot"], nobody, sets))()
    episodes = Episodes(*map(np.asarray, sampled))
    shown = np.union1d(episodes.support, episodes.query)
    assert set(shown.tolist()) == set(sets["test"].rows.tolist())
    examine_episodes(nobody.images, episodes, 5, {"trained": sets["train"], "chosen": sets["validation"]})
    found = card(GRID["5_way_5_shot"], nobody.images, episodes, {})
    assert (found.protocol, found.authors) == ("within alphabet, all images of the test set", ())


def test_a_card_describes_the_trials_in_the_words_of_the_data():
    labels = {name: card(PROTOCOLS[name], DATASET.images, drawn("koch_400"), {}).protocol for name in PROTOCOLS}
    assert labels["koch_400"] == "the paper's text: two drawers of the test set, two runs an alphabet"
    assert labels["unstructured"] == "characters of all test alphabets mixed"
    own = DATASET.images._replace(words=Words("plant", "species", "camera"))
    assert card(GRID["2_way_1_shot"], own, drawn("koch_400"), {}).protocol == (
        "within plant, all cameras that training does not have"
    )


def test_images_by_one_author_of_one_class_are_told_apart():
    twice = DATASET.images._replace(author=(DATASET.images.author + 1) // 2)
    runs = drawn("koch_400")
    swapped = runs.query.copy()
    assert twice.author[swapped[0, 0]] == twice.author[swapped[0, 0] ^ 1]
    swapped[0, 0] ^= 1
    assert trials_id(runs, twice) != trials_id(runs._replace(query=swapped), twice)


def test_a_protocol_for_which_there_are_too_few_characters_is_refused():
    small = make_dataset()
    with pytest.raises(UserError, match="largest group has 5 classes"):
        sample("koch_400", PROTOCOLS["koch_400"], small, split(small, "paper"))


def test_a_card_says_what_was_compared_and_what_had_been_seen():
    said = card(PROTOCOLS["koch_400"], DATASET.images, drawn("koch_400"), SEEN)
    assert (said.n_way, said.k_shot, said.trials, said.seed) == (20, 1, 400, 0)
    assert said.groups == ("e", "f")
    assert set(said.authors) <= {17, 18, 19, 20}
    assert said.seen == ("trained", "chosen")
    official = card(PROTOCOLS["official_runs"], DATASET.images, DATASET.episodes, {})
    assert official.seed is None
    assert official.combine is None
    five = card(PROTOCOLS["5_way_5_shot"], DATASET.images, drawn("5_way_5_shot"), SEEN)
    assert five.combine == "mean_score"
    assert official.seen == ()


def trials_id(runs, alphabets=DATASET.images, protocol="koch_400"):
    return card(PROTOCOLS[protocol], alphabets, runs, {}).trials_id


def test_the_same_trials_have_the_same_id_at_any_image_size_and_whatever_was_seen():
    runs = drawn("koch_400")
    found = trials_id(runs)
    assert len(bytes.fromhex(found)) == 16
    smaller = DATASET.images._replace(images=DATASET.images.images[:, ::3, ::3])
    assert trials_id(runs, smaller) == found
    assert trials_id(Episodes(*(part.astype(np.int64) for part in runs)), protocol="unstructured") == found
    assert card(PROTOCOLS["koch_400"], DATASET.images, runs, SEEN).trials_id == found
    # Other rows, but the same drawings: those of drawers 17 to 20 alone.
    few = select(DATASET.images, np.ones(6, bool), range(17, 21))
    moved = Episodes(*((rows // 20) * 4 + rows % 20 - 16 for rows in runs[:2]), runs.answer)
    assert trials_id(moved, few) == found


def test_any_other_trials_have_another_id():
    runs, names = drawn("koch_400"), DATASET.images.group_names
    changed = [
        runs._replace(query=np.where(np.arange(400).reshape(20, 20) == 7, runs.query[0, 8], runs.query)),  # a character
        runs._replace(query=runs.query ^ (np.arange(400).reshape(20, 20) == 7)),  # a drawer
        runs._replace(support=runs.support[:, ::-1]),
        runs._replace(answer=runs.answer[:, ::-1]),
        Episodes(*(part[:-1] for part in runs)),
        Episodes(*(part[::-1] for part in runs)),
        Episodes(runs.support.reshape(20, 10, 2), runs.query, runs.answer),
        drawn("within_alphabet"),
    ]
    ids = [trials_id(runs), trials_id(runs, DATASET.images._replace(group_names=(*names[:-1], "g")))]
    ids += [trials_id(other) for other in changed]
    assert len(set(ids)) == len(ids)


def test_on_omniglot_no_protocol_takes_an_alphabet_or_image_that_was_trained_or_chosen_on(prepared_omniglot):
    dataset = data.load(Omniglot(downsample=35), prepared_omniglot)
    for drawer_split in ("paper", "official"):
        sets = split(dataset, drawer_split)
        seen = {"trained": sets["train"], "chosen": sets["validation"]}
        for name in ("official_runs", "koch_400", "unstructured", "20_way_5_shot"):
            runs = drawn(name, dataset, sets)
            examine_episodes(dataset.images, runs, 20, seen)
            assert len(np.unique(dataset.images.group_index[runs.query])) == 10
            if name == "official_runs":
                assert np.union1d(runs.support, runs.query).size == 800
            else:
                assert drawers_of(runs, dataset.images).isdisjoint(sets["train"].author.tolist())
