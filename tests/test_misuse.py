"""Every way of asking wrongly: one sentence, exit code 2, nothing computed, nothing lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import solvent.commands.calibrate
from solvent.commands import compare
from tests.conftest import ROOT, Run, last_sentence

SETTINGS = {  # overrides: what the sentence says
    "batch_size=two": "batch_size is 'two'; expected a whole number",
    "batch_size=1.5": "batch_size is 1.5; expected a whole number",
    "batch_size=true": "batch_size is true; expected a whole number",
    "batch_size=null": "batch_size is null; expected a whole number",
    "batch_size=0": "batch_size is 0; expected at least 1",
    "limit=abc": "limit is 'abc'; expected a whole number or null",
    "limit=2.5": "limit is 2.5; expected a whole number or null",
    "limit=true": "limit is true; expected a whole number or null",
    "limit=": "limit is ''; expected a whole number or null",
    "limit=[1,2]": "limit is [1, 2]; expected a whole number or null",
    "limit=-3": "limit is -3; expected at least 1, or null for all",
    "limit=0": "limit is 0; expected at least 1",
    "seed=1.5": "seed is 1.5; expected a whole number",
    "seed=-1": "seed is -1; expected at least 0",
    "condition=null": "condition is null; expected a text",
    "condition=5": "condition is 5; expected a text: put it in quotes",
    "condition=swop": "There is no condition named 'swop', did you mean 'swap'?",
    "study=1e3": "study is 1000.0; expected a text: put it in quotes",
    "study=../x": "study is '../x'; expected a name that a folder can have",
    "study=/abs": "study is '/abs'; expected a name",
    "study=''": "study is ''; expected a name",
    "study='a/../../b'": "study is 'a/../../b'; expected a name",
    "output=''": "output is ''; expected the path of a folder",
    "output=null": "output is null; expected a text",
    "output=/dev/null": "cannot be written (Not a directory): choose another place",
    "output=/proc/nowhere limit=9": "choose another place with output=FOLDER",
    "stuck_minutes=0": "stuck_minutes is 0; expected minutes above 0",
    "stuck_minutes=soon": "stuck_minutes is 'soon'; expected a number",
    "max_failed=2": "max_failed is 2; expected a share from 0 to 1",
    "max_failed=few": "max_failed is 'few'; expected a number",
    "bach_size=3": "There is no setting 'bach_size', did you mean 'batch_size'?",
    "foo": "missing EQUAL",
    "model=null": "A group of settings has no name",
    "model=llava_7b": "There is no model named 'llava_7b', did you mean 'llava_",
    "~model": "there is no model: choose one with model=NAME",
    "~benchmark": "there is no benchmark: choose one with benchmark=NAME",
    "model.name=a/b": "model.name is 'a/b'; expected a name that a folder can have",
    "model.name=..": "model.name is '..'; expected a name",
    "benchmark.name=a/b": "benchmark.name is 'a/b'; expected a name",
    "intervention=uniform intervention.name=../../x": "intervention.name is '../../x'; expected",
    "model.dtype=float8": "Expected model.dtype to be one of float32, bfloat16, float16, auto",
    "model.device=gpu": "Expected model.device to be auto, cpu or cuda, but 'gpu' came",
    "model.min_pixels=few": "model.min_pixels is 'few'; expected a whole number or null",
    "model.feature_cache_mb=-1": "Expected model.feature_cache_mb to be 0 (off) or more",
    "+model.reviison=x": "there is no setting model.reviison, did you mean model.revision?",
    "model.checkpoint=null": "model.checkpoint is null; expected a text",
    "model.checkpoint=''": "Expected model.checkpoint='' to be a folder with a model",
    "model.checkpoint=nowhere/at_all/there": "neither a folder here nor owner/name on the hub",
    "model.checkpoint=owner/name": "the model 'owner/name' is not on this machine at revision 'mai",
    "model.checkpoint={place}/loop": "leads nowhere: Symlink loop",
    "benchmark=pope benchmark.source.local={place}/loop": "leads nowhere: Symlink loop",
    "intervention=fixed_file intervention.pattern.file={place}/loop": "There is no file",
    "compat._target_=builtins.dict": "which makes no compat: expected an object",
    "model._target_=builtins.dict": "which makes no model: expected an object",
    "conditions.real=5": "conditions.real is 5; expected settings that say _target_",
    "conditions=null": "conditions is no table of conditions by name",
    "+diagnostic.foo=5": "diagnostic.foo is 5; expected settings that say _target_",
    "model.checkpoint=./nowhere": "to be a folder with a model, but",
    "intervention=unifrom": "no intervention named 'unifrom', did you mean 'uniform'?",
    "intervention=uniform intervention.layer=early": "There is no setting 'intervention.layer'",
    "intervention=uniform intervention.layers=[9]": "6 layers",
    "intervention=uniform intervention.layers=erly": "did you mean 'early'?",
    "intervention=uniform intervention.layers=null": "layers is null; expected a text or a whole",
    "intervention=uniform intervention.heads=99": "so heads must be chosen from 0 to 3, got [99]",
    "intervention=uniform intervention.mix=2": "mix must be in [0, 1], got 2",
    "intervention=uniform intervention.mix=half": "intervention.mix is 'half'; expected a number",
    "intervention=uniform intervention.phase=never": "phase must be one of prefill, decode, both",
    "intervention=uniform ~intervention.pattern": "the setting intervention.pattern is missing",
    "intervention=uniform +intervention.foo=1": "there is no setting intervention.foo",
    "intervention=uniform intervention.pattern._target_=interventions.methods.patterns.Unifrom":
        "did you mean interventions.methods.patterns.Uniform?",
    "intervention=gaussian intervention.pattern=null": "intervention.pattern is null; expected",
    "intervention=fixed_file": "'intervention.pattern.file' has no value",
    "intervention=fixed_file intervention.pattern.file={place}/t.pt": "whole safetensors file",
    "intervention=fixed_file intervention.pattern.file={place}/n.npz": "whole safetensors file",
    "intervention=fixed_file intervention.pattern.file={place}/none": "There is no file",
    "intervention=donor limit=9": "make it with `python -m solvent calibrate model=tiny bench",
    "intervention=uniform condition=text limit=9": "edited",
    "diagnostic=[overide]": "no diagnostic named 'overide', did you mean 'override'?",
    "benchmark=tsv/pop": "There is no benchmark named 'tsv/pop', did you mean 'tsv/pope'?",
    "experiment=nope": "There is no experiment named 'nope', did you mean 'noise'?",
    "tracking=wandbb": "There is no tracking named 'wandbb', did you mean 'wandb'?",
    "compat=llm": "reads generated answers and shapes ranks its options",
    "compat=vlmevalkit": "compat=vlmevalkit has no rules for the benchmark 'shapes'",
    "conditions.swap_diff.gold=nope condition=swap_diff": (
        "conditions.swap_diff.gold is 'nope'; expected any or"
    ),
    "conditions.mask_10.share=7 condition=mask_10": "mask_10: share must be in [0, 1], got 7",
    "benchmark.answer.mode=rnak": "benchmark.answer.mode is 'rnak'; expected rank or generate",
    "benchmark.answer.max_new_tokens=0": "answer.max_new_tokens is 0; expected 1 or more",
    "benchmark.source.questions=0": "shapes: its source gives no question",
    "benchmark.source.questions=many": "benchmark.source.questions is 'many'; expected a whole num",
    "benchmark.source.kinds=[nope]": "unknown kinds ['nope']; known are existence",
    "benchmark=nlvr benchmark.source.root=nowhere": "SOLVENT_DATA",
    "--config-dir={place}/conf benchmark=broken": "A configuration file is no YAML: while parsing",
    "--config-dir={place}/conf benchmark=typo": "did you mean solvent.benchmarks.reducers.Mean?",
    "--config-dir={place}/conf benchmark=lost": "named 'shaeps', did you mean 'shapes'?",
    "--config-dir={place}/nope": "there is no folder",
    "benchmark.reducers.score={{lost:1}}": "'benchmark.reducers.score' has no place for what it",
    "~benchmark.reducers.score.tags +benchmark.reducers.score.group=imag "
    "benchmark.reducers.score._target_=solvent.benchmarks.reducers.AllOf limit=9":
        "has no group 'imag'",
    **{
        f"model.checkpoint={{place}}/{name}": sentence
        for name, sentence in (
            ("no_processor", "to hold a whole processor and tokenizer, but it cannot be used"),
            ("no_tokenizer", "to hold a whole processor and tokenizer, but it cannot be used"),
            ("no_config", "has no config.json"),
            ("bad_config", "config.json to name a model family that transformers knows"),
            ("no_template", "to have a chat template (chat_template.jinja), but it has none"),
            ("bad_template", "to hold a whole chat template, but it cannot be used"),
            ("no_weights", "Expected whole safetensors weights"),
            ("torn_weights", "Expected whole safetensors weights"),
            ("adapter", "holds an adapter (adapter_config.json)"),
        )
    },
    **{
        f"{{pope}} {change}": sentence
        for change, sentence in (
            ("benchmark.source.local={place}/none", "is missing: benchmark.source.local expects"),
            ("benchmark.source.local={place}/torn", "cannot be read as json"),
            ("benchmark.source.local={place}/empty", "cannot be read as jsonl: it is empty"),
            ("benchmark.source.local={place}/other", "row 0: the row has no column 'category'"),
            ("benchmark.source.id=null", "benchmark.source.id is null; expected a text"),
            ("~benchmark.source.split", "the setting benchmark.source.split is missing"),
            ("~benchmark.chance", "the setting benchmark.chance is missing"),
            ("benchmark.chance=2", "pope: chance is 2; expected a number in [0, 1]"),
            ("benchmark.chance=half", "benchmark.chance is 'half'; expected a number or null"),
            ("benchmark.stratify=nope limit=1", "cannot stratify by 'nope'"),
            ("benchmark.source.sample.text='{{nope}}'", "the row has no column 'nope'"),
            ("benchmark.source.sample.gold.as=optoin", "did you mean 'option'?"),
            ("benchmark.parser._target_=nowhere.YesNo", "but there is no module 'nowhere'"),
            ("benchmark.parser._target_=json", "expected the dotted name of a class or function"),
            ("+benchmark.foo=1", "there is no setting benchmark.foo"),
            ("benchmark.circular=maybe", "benchmark.circular is 'maybe'; expected true or false"),
        )
    },
}  # fmt: skip
POPE = ("benchmark=pope benchmark.source.local={place}/pope benchmark.expect.rows=null "
        "benchmark.expect.gold=null")  # fmt: skip
CHECKPOINT = shutil.ignore_patterns("*.py", "__pycache__", "README.md")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints, data and configurations with one thing wrong each."""
    folder = tmp_path_factory.mktemp("wrong")
    for name, gone in (
        ("no_processor", "processor_config.json"),
        ("no_tokenizer", "tokenizer.json"),
        ("no_config", "config.json"),
        ("no_template", "chat_template.jinja"),
        ("no_weights", "model.safetensors"),
    ):
        shutil.copytree(ROOT / "solvent/models/checkpoints/tiny", folder / name, ignore=CHECKPOINT)
        (folder / name / gone).unlink()
    weights = (ROOT / "solvent/models/checkpoints/tiny/model.safetensors").read_bytes()
    for name, file, content in (
        ("bad_config", "config.json", b"{"),
        ("bad_template", "chat_template.jinja", b"{{ messages "),
        ("torn_weights", "model.safetensors", weights[:1000]),
        ("adapter", "adapter_config.json", b'{"base_model_name_or_path": "x"}'),
    ):
        shutil.copytree(ROOT / "solvent/models/checkpoints/tiny", folder / name, ignore=CHECKPOINT)
        (folder / name / file).write_bytes(content)
    (folder / "loop").symlink_to("loop")
    torch.save({"pattern": torch.ones(1, 1, 1, 64)}, folder / "t.pt")
    np.savez(folder / "n.npz", pattern=np.ones((1, 1, 1, 64)))
    row = {"image": "p.png", "question": "Is it red?", "answer": "yes",
           "category": "random", "image_source": "p"}  # fmt: skip
    two = "\n".join(json.dumps(row | {"question_id": n}) for n in "12")
    for name, lines in (("pope", two), ("torn", "{]"), ("empty", ""),
                        ("other", '{"a": 1}')):  # fmt: skip
        (folder / name).mkdir()
        (folder / name / "test.jsonl").write_text(f"{lines}\n" if lines else "")
    Image.new("RGB", (9, 9), "red").save(folder / "pope" / "p.png")
    (folder / "conf/benchmark").mkdir(parents=True)
    for name, text in (
        ("broken", "a: [1,\nb: {"),
        ("typo", "defaults: [shapes, _self_]\nname: typo\n"
                 "reducers: {score: {_target_: solvent.benchmarks.reducers.Maen}}\n"),
        ("lost", "defaults: [shaeps, _self_]\n"),
    ):  # fmt: skip
        (folder / f"conf/benchmark/{name}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("asked", SETTINGS)
def test_one_sentence_and_nothing_is_computed(
    run: Run, place: Path, tmp_path: Path, asked: str
) -> None:
    given = asked.format(place=place, pope=POPE.format(place=place)).split(" ")
    code, output, errors = run(*given)
    assert code == 2
    assert SETTINGS[asked] in last_sentence(errors)
    assert "Traceback" not in errors
    assert "score" not in output
    assert not [*tmp_path.rglob("DONE"), *tmp_path.rglob("*predictions*")]


def test_what_reads_no_file_cannot_be_calibrated(run: Run) -> None:
    code, _, errors = run("intervention=uniform", command=solvent.commands.calibrate)
    assert code == 2
    assert "those that do are caac_vtc, donor, fixed_mean, learned_prior" in last_sentence(errors)


@pytest.mark.usefixtures("undrawn")
def test_a_baseline_that_no_cell_has_is_refused_with_the_nearest(run: Run) -> None:
    code, _, errors = run("study=nowhere", command=compare)
    assert code == 2
    assert "no finished cell below" in last_sentence(errors)
    run("intervention=uniform", "limit=9")
    code, output, errors = run("baseline=lerned", command=compare)
    assert code == 2
    assert "has the intervention 'lerned', which all others are compared with; it has uniform" in (
        last_sentence(errors)
    )
    assert not output
    run("limit=9")
    code, _, errors = run("baseline=lerned", command=compare)
    assert "did you mean baseline=learned?" in last_sentence(errors)
    assert run(command=compare)[0] == 0


@pytest.mark.parametrize("setting", ["output=5", "study=null", "study=[a]", "baseline=null"])
def test_settings_of_a_comparison_are_texts(run: Run, setting: str) -> None:
    code, _, errors = run(setting, command=compare)
    assert code == 2
    assert "expected a text" in last_sentence(errors)


@pytest.mark.usefixtures("undrawn")
def test_a_failed_picture_is_named_with_its_reason(run: Run, place: Path) -> None:
    rows = [json.loads(line) for line in (place / "pope/test.jsonl").read_text().splitlines()]
    folder = place / "lacking"
    folder.mkdir()
    lacking = [rows[0] | {"question_id": "3", "image": "gone.png"}]
    text = "".join(f"{json.dumps(row)}\n" for row in rows + lacking)
    (folder / "test.jsonl").write_text(text)
    shutil.copy(place / "pope/p.png", folder / "p.png")
    asked = POPE.replace("{place}/pope", str(folder)).split(" ")
    code, output, errors = run(*asked, "max_failed=0.5")
    assert code == 0, errors
    assert "failed pope/random/3: " in output
    assert "gone.png" in output.replace("\n", "")
