"""Every condition of the registry is paired, deterministic and named as its key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from solvent.benchmarks.shapes.generated import Shapes
from solvent.core.paths import CONF
from solvent.diagnostics.conditions import (
    Caption,
    ImageOnly,
    Knock,
    Nothing,
    Real,
    Rerun,
    Text,
    Told,
)
from tests.diagnostics.pixels import flat, question

REGISTRY = OmegaConf.load(CONF / "conditions.yaml")
KINDS = ["existence", "colour", "where", "override"]
SAMPLES = Shapes(law="balanced", kinds=KINDS, questions=10, seed=0)()
REWORDED = (
    *("paraphrase", "image_only", "nothing", "mislead", "congruent", "irrelevant", "filler"),
    *("guess", "warn"),
)


def build(name: str) -> object:
    return instantiate(REGISTRY[name], _convert_="all")


@pytest.mark.parametrize("name", [n for n in REGISTRY if n not in ("pairs", "caption")])
def test_every_condition_of_the_registry(name: str) -> None:
    condition = build(name)
    assert condition.name == name
    assert (condition.intervention is not None) == (name in ("knock", "uniform"))
    views = condition.views(SAMPLES)
    assert views
    assert views == build(name).views(SAMPLES)
    place = {sample.uid: index for index, sample in enumerate(SAMPLES)}
    order = [place[view.uid] for view in views]
    assert order == sorted(set(order))
    for view in views:
        sample = SAMPLES[place[view.uid]]
        kept = {
            key: getattr(sample, key) for key in ("images", "shown", "filler", "noise", "later")
        }
        same = replace(view, **kept)
        if name.startswith(REWORDED):
            same = replace(same, text=sample.text)
        assert same == sample
        written = f"{view.context or ''} {view.text}"
        assert (view.later != ()) == (name == "swap_midway")
        assert (view.noise is not None) == (name == "noise_embeddings")
        assert [words in written for words in view.filler] == [True] * name.startswith("filler")
        for image in view.images:  # none, one, or the same again
            assert image.load().size == sample.images[0].load().size


def test_every_condition_shows_something_of_its_own() -> None:
    """No two entries of the registry show one sample equally, but for those meant to."""
    seen = {}
    for name in REGISTRY:
        if name.startswith(("rerun", "knock", "uniform", "swap_", "mask_100", "pairs", "caption")):
            continue
        view = next(v for v in build(name).views(SAMPLES) if v.tags["kind"] == "colour")
        images = tuple(image.load().tobytes() for image in view.images)
        assert (
            seen.setdefault((view.uid, images, view.text, view.noise, view.later != ()), name)
            == name
        )


def test_a_full_mask_is_blank() -> None:
    pairs = zip(build("mask_100").views(SAMPLES), build("blank").views(SAMPLES), strict=True)
    for masked, blank in pairs:
        assert masked.images[0].load().tobytes() == blank.images[0].load().tobytes()


def test_knockout_cuts_every_row_after_the_image() -> None:
    condition = build("knock")
    assert isinstance(condition, Knock)
    knockout = condition.intervention
    assert (knockout.layers, knockout.heads, knockout.phase) == ("all", "all", "both")
    assert knockout.rows == ("question", "last", "generated")
    assert knockout.keys == ("image",)
    assert type(knockout.mass).__name__ == "Drop"


def test_real_is_the_identity_and_text_has_no_picture() -> None:
    assert Real().views(SAMPLES) == SAMPLES
    assert all(view.images == () for view in Text().views(SAMPLES))


PLACED = replace(
    question("a", flat("p"), text="See <image:1> What is it?"), context="In <image:1> there is"
)


def test_text_does_not_say_where_an_image_stood() -> None:
    (view,) = Text().views([PLACED])
    assert (view.text, view.context) == ("See What is it?", "In there is")


def test_questions_whose_options_are_images_need_them() -> None:
    sample = question("a", flat("p"), options=("<image:1>", "none"))
    assert Text().views([sample]) == []
    assert Nothing(name="nothing", instruction="Answer.").views([sample]) == []
    assert Told(name="guess", instruction="Guess.", image=False).views([sample]) == []
    assert Told(name="warn", instruction="Look.", image=True).views([sample]) != []
    captioned = replace(sample, meta={"caption": "a cat"})
    assert build("caption").views([captioned]) == []


def test_what_is_said_in_front_of_the_question() -> None:
    (silent,) = Text().views([PLACED])
    (told,) = build("guess").views([PLACED])
    assert told == replace(silent, text=f"There is no image. Guess the answer. {silent.text}")
    (warned,) = build("warn").views([PLACED])
    said = "Captions may be wrong; answer from the image. "
    assert warned == replace(PLACED, text=said + PLACED.text)


def test_a_caption_stands_in_the_place_of_the_image() -> None:
    captioned = replace(PLACED, uid="b", meta={"caption": "two cats"})
    (silent,) = Text().views([captioned])
    assert build("caption").views([PLACED, captioned]) == [
        replace(silent, text=f"The image shows: two cats {silent.text}")
    ]
    with pytest.raises(ValueError, match="no sample has words about its image under 'caption'"):
        build("caption").views([PLACED])
    with pytest.raises(ValueError, match=r"caption: the template must contain \{caption\}, got"):
        Caption(name="caption", column="caption", template="It")


def test_neither_context_nor_question_is_left() -> None:
    (seen,) = ImageOnly(name="image_only", instruction="Answer.").views([PLACED])
    (unseen,) = Nothing(name="nothing", instruction="Answer.").views([PLACED])
    assert seen == replace(PLACED, text="Answer.", context=None)
    assert unseen == replace(seen, images=())


def test_reruns_are_proper_subsets_of_whole_questions() -> None:
    rotations = [
        question(f"{k}/{r}", flat(str(k)), groups={"circular": str(k)})
        for k in range(30)
        for r in range(2)
    ]
    views = {k: Rerun(name="r", repeat=k, at_most=200).views(rotations) for k in (1, 2)}
    assert views[1] != views[2]
    both = {view.uid for view in views[1]} & {view.uid for view in views[2]}
    assert len(both) >= 40  # of 48, four fifths in whole questions, whatever the numbers
    for chosen in views.values():
        assert len(chosen) == 48  # four fifths of 60
        assert all(sum(v.groups == view.groups for v in chosen) == 2 for view in chosen)
    assert len(Rerun(name="r", repeat=1, at_most=7).views(rotations)) == 6
    many = [question(str(k), flat(str(k))) for k in range(2250)]
    again = [Rerun(name="r", repeat=k, at_most=200).views(many) for k in (1, 2, 3)]
    shared = set.intersection(*({view.uid for view in views} for views in again))
    assert (len(shared), {len(views) for views in again}) == (160, {200})
    with pytest.raises(ValueError, match="at_most must be at least 1 sample, got 0"):
        Rerun(name="r", repeat=1, at_most=0)


def test_pairs_are_every_picture_with_every_question_of_one_kind() -> None:
    views = build("pairs").views(SAMPLES)
    owners = {view.shown["donor"] for view in views}
    questions = {view.uid.rpartition("/image")[0] for view in views}
    assert owners == questions
    assert len(views) == len(owners) ** 2
    assert len({view.options for view in views}) == 1
    assert len({(view.shown["donor"], view.uid.rpartition("/")[0]) for view in views}) == len(views)
    assert build("pairs").views(SAMPLES[:1]) == []
