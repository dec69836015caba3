"""Families about tape: drives, and tapes by pool. Takes a ``PbsView``; nothing is told without Tape.Audit."""

from __future__ import annotations

from lastgood.metrics.family import Family, Value
from lastgood.metrics.pbs.rows import SERVER_LABEL, of_part, of_server
from lastgood.metrics.pbs.view import BETWEEN, DRIVE, MEDIA, PbsView, server_of
from lastgood.model.pbs import Media, PbsPicture, TapeDrive


def _identified(picture: PbsPicture) -> Value:
    return None if picture.drives is None else sum(drive.is_identified for drive in picture.drives)


def _drive(view: PbsView, thing_id: str) -> TapeDrive:
    picture = view.picture(thing_id)
    assert picture is not None
    name = thing_id.partition(BETWEEN)[2]
    return next(drive for drive in picture.drives or () if drive.name == name)


def _drive_labels(view: PbsView, thing_id: str) -> tuple[str, ...]:
    drive = _drive(view, thing_id)
    return drive.name, drive.vendor or "", drive.model or "", drive.serial or "", server_of(thing_id)


def _media(picture: PbsPicture, parts: tuple[str, ...]) -> Media:
    return next(media for media in picture.media or () if (media.pool, media.status, media.location) == parts)


_MEDIA_LABELS = ("pool", "status", "location")

FAMILIES: tuple[Family[PbsView], ...] = (
    Family(
        name="pbs_tape_drive_info",
        help="1 for each configured drive; vendor, model and serial are empty where the host sees no device.",
        entity=DRIVE,
        label_names=("name", "vendor", "model", "serial", *SERVER_LABEL),
        labels=_drive_labels,
        optional=SERVER_LABEL,
        value=lambda _view, _id: 1,
    ),
    of_server(
        "pbs_tape_drive_available",
        "Tape drives that the host sees; no row without Tape.Audit.",
        _identified,
    ),
    of_part(
        "pbs_tape_drive_in_use",
        "1 while somebody holds the drive.",
        DRIVE,
        ("name",),
        lambda picture, parts: next(drive.in_use for drive in picture.drives or () if drive.name == parts[0]),
    ),
    of_part(
        "pbs_tape_media",
        "Tapes by pool, status and location.",
        MEDIA,
        _MEDIA_LABELS,
        lambda picture, parts: _media(picture, parts).tapes,
    ),
    of_part(
        "pbs_tape_media_used_bytes",
        "Bytes on these tapes.",
        MEDIA,
        _MEDIA_LABELS,
        lambda picture, parts: _media(picture, parts).bytes_used,
    ),
)
