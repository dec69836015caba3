"""Property strings of datastores."""

from __future__ import annotations

import pytest

from lastgood.tools.pbs.properties import backend, maintenance, properties


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, None),
        ("", None),
        ("offline", ("offline", None)),
        ("type=offline", ("offline", None)),
        ('type=offline,message="replacing disk 3"', ("offline", "replacing disk 3")),
        ('type=read-only,message="a, b and \\"c\\""', ("read-only", 'a, b and "c"')),
        ("message=later,type=delete", ("delete", "later")),
        ("type=a-mode-of-tomorrow", ("a-mode-of-tomorrow", None)),
        ("message=alone", ("unknown", "alone")),
    ],
)
def test_maintenance_is_told_in_two_forms(text: str | None, wanted: tuple[str, str | None] | None) -> None:
    assert maintenance(text) == wanted


def test_a_backend_is_a_file_system_unless_it_says_something_else() -> None:
    assert backend(None) == backend("") == "filesystem"
    assert backend("type=s3,client=eu,bucket=pbs-offsite") == "s3"
    assert properties("type=s3,client=eu,bucket=b", "type") == {"type": "s3", "client": "eu", "bucket": "b"}


@pytest.mark.parametrize("text", ['type="open', ",,,", '"', "=", "a=b=c", "\\", 'x="a"b', "ü=ö"])
def test_a_broken_text_is_read_as_far_as_it_goes_and_raises_nothing(text: str) -> None:
    assert isinstance(properties(text, "type"), dict)
