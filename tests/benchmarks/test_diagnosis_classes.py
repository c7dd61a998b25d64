"""The table of classes that the diagnosis is measured by: no mutant stands outside of it."""

from benchmarks.diagnosis.classes import BY_EDIT, MERGED, RIGHT, class_of
from benchmarks.diagnosis.groups import GROUPS

from pytest_gpuemu.engine.diagnose.causes import NAMES

MUTANTS = [mutant for group in GROUPS.values() for mutant in group]


def test_every_mutant_has_a_class_with_suspicions_that_name_its_cause():
    assert {class_of(mutant) for mutant in MUTANTS} <= set(RIGHT)


def test_no_entry_of_the_tables_is_idle():
    assert set(BY_EDIT) <= {mutant.name for mutant in MUTANTS}
    assert set(MERGED) <= {BY_EDIT.get(mutant.name, mutant.bug) for mutant in MUTANTS}
    assert set(RIGHT) == {class_of(mutant) for mutant in MUTANTS}


def test_every_suspicion_of_the_tables_is_one_that_the_engine_knows():
    assert {kind for kinds in RIGHT.values() for kind in kinds} <= set(NAMES)


def test_all_mutants_of_a_kernel_are_in_one_group_of_those_written_later():
    later = {mutant.control.name for mutant in GROUPS["tuned later"]}
    held_out = {mutant.control.name for mutant in GROUPS["held out"]}

    assert not later & held_out
    assert len(held_out) * 4 > len(later)
