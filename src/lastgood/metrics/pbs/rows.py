"""How families with a row for each server, or for something that a server has few of, are put together.

Takes what differs from family to family. The one rule: every one of them carries ``server`` last, and leaves it out
for the unnamed server.
"""

from __future__ import annotations

from collections.abc import Callable

from lastgood.metrics.family import Entity, Family, Type, Value
from lastgood.metrics.pbs.view import BETWEEN, SERVER, PbsView, server_of
from lastgood.model.pbs import Node, PbsPicture

SERVER_LABEL = ("server",)


def of_server(
    name: str,
    help_: str,
    value: Callable[[PbsPicture], Value],
    *,
    label_names: tuple[str, ...] = (),
    labels: Callable[[PbsPicture], tuple[str, ...]] = lambda _picture: (),
) -> Family[PbsView]:
    """A family with one row for each server."""

    def told(view: PbsView, server: str) -> Value:
        picture = view.servers[server]
        return None if picture is None else value(picture)

    def texts(view: PbsView, server: str) -> tuple[str, ...]:
        picture = view.servers[server]
        return (*(labels(picture) if picture is not None else [""] * len(label_names)), server)

    return Family(
        name=name,
        help=help_,
        type=Type.COUNTER if name.endswith("_total") else Type.GAUGE,
        entity=SERVER,
        label_names=(*label_names, *SERVER_LABEL),
        labels=texts,
        optional=SERVER_LABEL,
        value=told,
    )


def of_node(name: str, help_: str, value: Callable[[Node], Value]) -> Family[PbsView]:
    return of_server(name, help_, lambda picture: None if picture.node is None else value(picture.node))


def of_part(
    name: str,
    help_: str,
    entity: Entity[PbsView],
    label_names: tuple[str, ...],
    value: Callable[[PbsPicture, tuple[str, ...]], Value],
) -> Family[PbsView]:
    """A family whose labels are the parts of the id, such as the name of a probe."""
    parts = len(label_names)

    def told(view: PbsView, thing_id: str) -> Value:
        picture = view.picture(thing_id)
        return None if picture is None else value(picture, tuple(thing_id.split(BETWEEN, parts)[1:]))

    return Family(
        name=name,
        help=help_,
        type=Type.COUNTER if name.endswith("_total") else Type.GAUGE,
        entity=entity,
        label_names=(*label_names, *SERVER_LABEL),
        labels=lambda _view, thing_id: (*thing_id.split(BETWEEN, parts)[1:], server_of(thing_id)),
        optional=SERVER_LABEL,
        value=told,
    )
