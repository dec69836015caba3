"""What is told to Prometheus: vocabularies of families over a frozen moment, and the text they become."""

from __future__ import annotations

from lastgood.metrics import backup, dockmesh, own, pbs, rm
from lastgood.metrics.family import refuse_clashes
from lastgood.metrics.vocabulary import Vocabulary


def vocabularies(*, partial_is_success: bool = False) -> tuple[Vocabulary, ...]:
    """Every vocabulary under these settings, in the order of the documentation."""
    return (
        rm.vocabulary(partial_is_success=partial_is_success),
        backup.VOCABULARY,
        dockmesh.VOCABULARY,
        pbs.VOCABULARY,
        own.VOCABULARY,
    )


VOCABULARIES = vocabularies()

refuse_clashes(family for vocabulary in VOCABULARIES for family in vocabulary.families)
