"""The ``lastgood_*`` and ``process_*`` families: how the hub itself is doing.

Takes ``OwnFacts``; every replica tells its own. The one rule: a number that this process does not have is an absent
row. ``process_*`` are the standard names of the Prometheus client libraries.
"""

from __future__ import annotations

from collections.abc import Callable

from lastgood.metrics.entities import ANSWER, ANSWERS, CHANNEL, COLLECTOR, HUB, epoch
from lastgood.metrics.family import Family, Type, Value
from lastgood.metrics.own_facts import (
    NO_ANSWERS,
    AnswerFacts,
    AuditFacts,
    ChannelFacts,
    HeartbeatFacts,
    IngestFacts,
    OwnFacts,
    ProcessFacts,
    ScrapeFacts,
    StoreFacts,
)
from lastgood.metrics.vocabulary import Vocabulary


def _of_hub(name: str, help_: str, value: Callable[[OwnFacts], Value]) -> Family[OwnFacts]:
    return Family(
        name=name,
        help=help_,
        type=Type.COUNTER if name.endswith("_total") else Type.GAUGE,
        entity=HUB,
        value=lambda facts, _id: value(facts),
    )


def _of_scrape(name: str, help_: str, value: Callable[[ScrapeFacts], Value]) -> Family[OwnFacts]:
    return _of_hub(name, help_, lambda facts: None if facts.scrape is None else value(facts.scrape))


def _of_answer(name: str, help_: str, value: Callable[[AnswerFacts], Value]) -> Family[OwnFacts]:
    def told(facts: OwnFacts, answer: str) -> Value:
        return None if facts.scrape is None else value(facts.scrape.answers.get(ANSWERS[answer], NO_ANSWERS))

    return Family(
        name=name,
        help=help_,
        type=Type.COUNTER,
        entity=ANSWER,
        label_names=("format", "encoding"),
        labels=lambda _facts, answer: ANSWERS[answer],
        value=told,
    )


def _of_ingest(name: str, help_: str, value: Callable[[IngestFacts], Value]) -> Family[OwnFacts]:
    return _of_hub(name, help_, lambda facts: None if facts.ingest is None else value(facts.ingest))


def _of_store(name: str, help_: str, value: Callable[[StoreFacts], Value]) -> Family[OwnFacts]:
    return _of_hub(name, help_, lambda facts: None if facts.store is None else value(facts.store))


def _of_heartbeat(name: str, help_: str, value: Callable[[HeartbeatFacts], Value]) -> Family[OwnFacts]:
    return _of_hub(name, help_, lambda facts: None if facts.heartbeat is None else value(facts.heartbeat))


def _of_audit(name: str, help_: str, value: Callable[[AuditFacts], Value]) -> Family[OwnFacts]:
    return _of_hub(name, help_, lambda facts: None if facts.audit is None else value(facts.audit))


def _of_process(name: str, help_: str, value: Callable[[ProcessFacts], Value]) -> Family[OwnFacts]:
    return _of_hub(name, help_, lambda facts: None if facts.process is None else value(facts.process))


def _of_collector(name: str, help_: str, value: Callable[[OwnFacts, str], Value]) -> Family[OwnFacts]:
    return Family(
        name=name,
        help=help_,
        entity=COLLECTOR,
        type=Type.COUNTER if name.endswith("_total") else Type.GAUGE,
        label_names=("collector", "probe"),
        labels=lambda _facts, probe: collector_and_probe(probe),
        value=value,
    )


def collector_and_probe(name: str) -> tuple[str, str]:
    """``pbs/NAME/fast`` is the probe fast of the collector ``pbs/NAME``."""
    collector, _, probe = name.rpartition("/")
    return (collector, probe) if collector else (name, "")


def _of_channel(name: str, help_: str, value: Callable[[ChannelFacts], Value]) -> Family[OwnFacts]:
    return Family(
        name=name,
        help=help_,
        type=Type.COUNTER if name.endswith("_total") else Type.GAUGE,
        entity=CHANNEL,
        label_names=("channel",),
        labels=lambda _facts, channel: (channel,),
        value=lambda facts, channel: value(facts.channels[channel]),
    )


BUILD_INFO: Family[OwnFacts] = Family(
    name="lastgood_build_info",
    help="Always 1; the labels say which build answers, and by which library it compresses.",
    entity=HUB,
    label_names=("version", "commit", "python", "compression"),
    labels=lambda facts, _id: (
        facts.build.version,
        facts.build.commit,
        facts.build.python,
        facts.build.compression,
    ),
    value=lambda _facts, _id: 1,
)

FAMILIES: tuple[Family[OwnFacts], ...] = (
    _of_hub("lastgood_agents_connected", "Agents connected to this process.", lambda facts: facts.agents_connected),
    _of_hub(
        "lastgood_last_evaluation_timestamp_seconds",
        "Unix time of the moment for which all states on this page hold.",
        lambda facts: epoch(facts.evaluated_at),
    ),
    _of_hub(
        "lastgood_metrics_public",
        "1 if anybody who reaches the port may scrape, 0 if a token or a network is asked for.",
        lambda facts: facts.metrics_public,
    ),
    _of_hub(
        "lastgood_quarantine_facts",
        "Facts set aside because they could not be learned; each has its reason in the database.",
        lambda facts: facts.quarantine_rows,
    ),
    _of_collector(
        "lastgood_collector_success",
        "1 if the newest round of this probe of a collector succeeded, 0 otherwise.",
        lambda facts, name: facts.collectors[name].success,
    ),
    _of_collector(
        "lastgood_collector_duration_seconds",
        "How long the newest round of this probe took.",
        lambda facts, name: facts.collectors[name].duration_seconds,
    ),
    _of_collector(
        "lastgood_collector_last_success_timestamp_seconds",
        "Unix time at which this probe last succeeded; what it told keeps that age.",
        lambda facts, name: epoch(facts.collectors[name].last_success_at),
    ),
    _of_collector(
        "lastgood_collector_failures_total",
        "Rounds of this probe that failed.",
        lambda facts, name: facts.collectors[name].failures,
    ),
    _of_channel(
        "lastgood_notices_undelivered",
        "Notices of this channel that failed and wait to be sent again, or were given up in the last 24 hours.",
        lambda channel: channel.undelivered,
    ),
    _of_channel(
        "lastgood_notices_delivered_total",
        "Notices that this channel took.",
        lambda channel: channel.delivered,
    ),
    _of_channel(
        "lastgood_notices_failures_total",
        "Attempts at which a notice of this channel was not taken.",
        lambda channel: channel.failures,
    ),
    _of_channel(
        "lastgood_notices_given_up_total",
        "Notices of this channel that were given up, since they were refused for good or too old.",
        lambda channel: channel.given_up,
    ),
    _of_answer(
        "lastgood_scrape_requests_total",
        "Requests for this page that were let in, this one included.",
        lambda answer: answer.requests,
    ),
    _of_answer(
        "lastgood_scrape_bytes_total",
        "Bytes of the pages that were sent, compressed if they were.",
        lambda answer: answer.bytes,
    ),
    _of_answer(
        "lastgood_scrape_wait_seconds_total",
        "Time that requests waited until their page was ready to be sent.",
        lambda answer: answer.wait_seconds,
    ),
    _of_answer(
        "lastgood_scrape_parts_rendered_total",
        "Parts of pages that had to be made while a request waited.",
        lambda answer: answer.parts_rendered,
    ),
    _of_answer(
        "lastgood_scrape_parts_reused_total",
        "Parts of pages that were there when a request came.",
        lambda answer: answer.parts_reused,
    ),
    _of_scrape(
        "lastgood_scrape_parts_ahead_total",
        "Parts of pages that were made anew soon after a change, before a request came.",
        lambda scrape: scrape.parts_ahead,
    ),
    _of_scrape(
        "lastgood_scrape_refused_total",
        "Requests for this page that the gate refused.",
        lambda scrape: scrape.refused,
    ),
    _of_scrape(
        "lastgood_scrape_overloaded_total",
        "Requests for this page that were sent away because too many came at once.",
        lambda scrape: scrape.overloaded,
    ),
    _of_scrape(
        "lastgood_scrape_failures_total",
        "Requests for this page that failed for a reason of our own.",
        lambda scrape: scrape.failures,
    ),
    _of_scrape(
        "lastgood_scrape_duration_seconds",
        "How long the newest page took until it was ready to be sent.",
        lambda scrape: scrape.duration_seconds,
    ),
    _of_scrape(
        "lastgood_scrape_size_bytes",
        "Size of the newest finished body as it was sent, compressed if it was.",
        lambda scrape: scrape.size_bytes,
    ),
    _of_ingest("lastgood_ingest_facts_total", "Facts committed and learned.", lambda ingest: ingest.facts),
    _of_ingest(
        "lastgood_ingest_duplicates_total",
        "Facts that came again and were recognised.",
        lambda ingest: ingest.duplicates,
    ),
    _of_ingest(
        "lastgood_ingest_quarantined_total",
        "Facts that were committed but could not be learned.",
        lambda ingest: ingest.quarantined,
    ),
    _of_store("lastgood_store_commits_total", "Transactions committed.", lambda store: store.commits),
    _of_store(
        "lastgood_store_commit_seconds_total",
        "Time spent in transactions, until each was on disk.",
        lambda store: store.commit_seconds,
    ),
    _of_store(
        "lastgood_store_failures_total",
        "Transactions that the database refused; nothing of them was acknowledged.",
        lambda store: store.failures,
    ),
    _of_store(
        "lastgood_store_queue_depth",
        "Writes that wait for the database now.",
        lambda store: store.queue_depth,
    ),
    _of_hub(
        "lastgood_hub_backup_timestamp_seconds",
        "Unix time of the newest backup of the hub itself.",
        lambda facts: epoch(facts.hub_backup_at),
    ),
    _of_audit(
        "lastgood_audit_head_seq",
        "Number of the newest row of the audit log.",
        lambda audit: audit.seq,
    ),
    _of_audit(
        "lastgood_audit_head_timestamp_seconds",
        "Unix time of the newest row of the audit log.",
        lambda audit: epoch(audit.at),
    ),
    _of_audit(
        "lastgood_audit_failures_total",
        "Rows that could not be written into the audit log; what people asked for meanwhile was refused.",
        lambda audit: audit.failures,
    ),
    _of_audit(
        "lastgood_audit_head_sent_timestamp_seconds",
        "Unix time at which somebody else last took a signed head of the audit log.",
        lambda audit: epoch(audit.sent_at),
    ),
    _of_audit(
        "lastgood_audit_head_send_failures_total",
        "Signed heads of the audit log that nobody took; the log says why.",
        lambda audit: audit.send_failures,
    ),
    _of_heartbeat(
        "lastgood_heartbeat_last_success_timestamp_seconds",
        "Unix time at which the outward heartbeat was last taken.",
        lambda heartbeat: epoch(heartbeat.success_at),
    ),
    _of_heartbeat("lastgood_heartbeat_sent_total", "Heartbeats that were taken.", lambda heartbeat: heartbeat.sent),
    _of_heartbeat(
        "lastgood_heartbeat_failures_total",
        "Heartbeats that nobody took; the log says why.",
        lambda heartbeat: heartbeat.failures,
    ),
    _of_process(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        lambda process: process.cpu_seconds,
    ),
    _of_process("process_open_fds", "Number of open file descriptors.", lambda process: process.open_files),
    _of_process("process_max_fds", "Maximum number of open file descriptors.", lambda process: process.most_files),
    _of_process(
        "process_virtual_memory_bytes",
        "Virtual memory size in bytes.",
        lambda process: process.virtual_bytes,
    ),
    _of_process(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        lambda process: process.resident_bytes,
    ),
    _of_process(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        lambda process: process.started_seconds,
    ),
)

VOCABULARY = Vocabulary(
    name="own",
    purpose="How lastgood itself is doing: collectors, database, scrapes and the process.",
    own=FAMILIES,
    fixed=(BUILD_INFO,),
)
