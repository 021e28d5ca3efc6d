//! An example of each message, every field set to something that is not its default.

use bytes::Bytes;
use watershed_wire::frame::{self, Body, Channel, Frame, Hello, Lane, Payload};
use watershed_wire::v1::*;

use super::{Example, encoded, example, frame_again};

pub(crate) fn all() -> Vec<Example> {
    let mut all = control();
    all.extend(job());
    all.extend(frames());
    all
}

fn era() -> Option<Era> {
    Some(Era { term: 7, generation: 300 })
}

fn identity() -> Identity {
    Identity { name: "words-worker-0".into(), incarnation: "0f1e".into() }
}

fn item() -> Item {
    Item { sequence: 9, era: era(), kind: 2, version: 1, slot: Some(3), payload: Bytes::from_static(b"\x01\x02") }
}

fn control() -> Vec<Example> {
    use {to_coordinator::Message as Up, to_worker::Message as Down};
    let up = |m: Up| ToCoordinator { message: Some(m) };
    let down = |m: Down| ToWorker { message: Some(m) };
    let register = Register {
        identity: Some(identity()),
        data_address: "10.0.0.3:7101".into(),
        slots: 2,
        memory_bytes: 1 << 33,
        fingerprint: 0x0123_4567_89ab_cdef,
        shape: "source lines\nwindow count".into(),
        build: "0.1.0 317980c".into(),
        protocol: 1,
        job: "words".into(),
        session: 5,
    };
    let registered = Registered { era: era(), worker: 4, session: 6, heartbeat_millis: 500, build: "0.1.0 317980c".into() };
    let refused = Refused { reason: RefusalReason::Replaced.into(), detail: "worker-0 is registered by a newer process".into() };
    let load = SlotLoad {
        slot: 1,
        rows_in: 1000,
        rows_out: 900,
        late: 3,
        state_bytes: 1 << 20,
        entries: 77,
        back_pressure_millis: 250,
        watermark_micros: Some(-5),
        queued: 12,
        moves: None,
    };
    let moved = SlotLoad { moves: Some(moves()), ..load };
    let load = Load { at_micros: 123_456, slots: vec![load], waiting: vec!["for rows".into()], memory_used_bytes: 1 << 30 };
    vec![
        example("ToCoordinator.register", &up(Up::Register(register))),
        example("ToCoordinator.item", &up(Up::Item(item()))),
        example("ToCoordinator.ack", &up(Up::Ack(Ack { next: 10 }))),
        example("ToCoordinator.resume", &up(Up::Resume(Resume { next: 11 }))),
        example("ToCoordinator.load", &up(Up::Load(load))),
        example("SlotLoad.moves", &moved),
        example("WorkerStatus.moves", &WorkerStatus { moves: Some(moves()), late: 3, entries: 78, ..worker() }),
        example("WorkerStatus.leaving", &WorkerStatus { leaving: true, ..worker() }),
        example("ToWorker.registered", &down(Down::Registered(registered))),
        example("ToWorker.refused", &down(Down::Refused(refused))),
        example("ToWorker.item", &down(Down::Item(item()))),
        example("ToWorker.ack", &down(Down::Ack(Ack { next: 12 }))),
        example("ToWorker.resume", &down(Down::Resume(Resume { next: 13 }))),
    ]
}

fn worker() -> WorkerStatus {
    WorkerStatus {
        worker: 4,
        identity: Some(identity()),
        data_address: "10.0.0.3:7101".into(),
        slots: vec![6, 7],
        connected: true,
        heard_millis_ago: 20,
        rows_in_per_second: 1.5,
        rows_out_per_second: 2.5,
        back_pressure: 0.25,
        watermark_micros: Some(1_700_000_000_000_000),
        lag_millis: Some(40),
        state_bytes: 1 << 31,
        memory_bytes: 1 << 33,
        key_groups: 1024,
        waiting: vec!["for worker-2".into()],
        moves: None,
        late: 0,
        entries: 0,
        leaving: false,
    }
}

fn moves() -> Moves {
    Moves { batches_in: 2, batches_out: 1, gates: vec![0, 1, 1], longest_gate_micros: 4321 }
}

fn status() -> StatusReply {
    let current =
        BatchStatus { batch: 3, step: BatchStep::Cutting.into(), source: 1, target: 5, groups: 64, bytes_sent: 4096, millis: 12 };
    let node = NodeStatus {
        id: 0xfeed,
        name: "count".into(),
        rows_in: 10,
        rows_out: 9,
        late: 1,
        state_bytes: 100,
        watermark_micros: Some(8),
    };
    StatusReply {
        job: "words".into(),
        phase: Phase::Rescaling.into(),
        era: era(),
        epoch: 41,
        epoch_age_millis: Some(950),
        version: 17,
        key_groups: 4096,
        ranges: vec![KeyRange { first: 1024, groups: 512, slot: 6, worker: 4 }],
        workers: vec![worker()],
        wanted: 4,
        rescale: Some(RescaleStatus {
            from: 2,
            to: 4,
            groups_to_move: 2048,
            groups_moved: 128,
            batches_done: 2,
            batches: 32,
            current: Some(current),
        }),
        epochs: vec![EpochProgress { epoch: 42, aligned: 3, uploaded: 1, slots: 8 }],
        waiting: vec!["for worker words-worker-3 to register".into()],
        failure: "none".into(),
        nodes: vec![node],
        build: "0.1.0 317980c".into(),
    }
}

fn job() -> Vec<Example> {
    let releasable = Releasable { worker: 3, name: "words-worker-3".into(), releasable: true, reason: "it owns nothing".into() };
    vec![
        example("StatusRequest", &StatusRequest {}),
        example("WatchRequest", &WatchRequest { interval_millis: 250 }),
        example("StatusReply", &status()),
        example("ScaleRequest", &ScaleRequest { replicas: 6 }),
        example("ScaleReply", &ScaleReply { accepted: true, reason: "from 2 to 6".into(), replicas_before: 2 }),
        example("SnapshotRequest", &SnapshotRequest { wait: true, name: "before-upgrade".into() }),
        example("SnapshotReply", &SnapshotReply { accepted: true, reason: "published".into(), epoch: 42 }),
        example("StopRequest", &StopRequest { drain: true }),
        example("StopReply", &StopReply { accepted: true, reason: "draining".into() }),
        example("FileRequest", &FileRequest {}),
        example("FileReply", &FileReply { job: "words".into(), name: "words.yaml".into(), text: "kind: StreamJob".into() }),
        example("ReleasableRequest", &ReleasableRequest {}),
        example("ReleasableReply", &ReleasableReply { workers: vec![releasable] }),
    ]
}

fn frames() -> Vec<Example> {
    let one = |name, body| {
        let frame = Frame { era: frame::Era { term: 7, generation: 300 }, body };
        (name, encoded(&frame), frame_again as fn(&[u8]) -> Vec<u8>)
    };
    let hello = Hello {
        lane: Lane::Bulk,
        worker: 4,
        job: "words".into(),
        name: "words-worker-4".into(),
        incarnation: "0f1e".into(),
        build: "0.1.0".into(),
    };
    let item = Body::Item {
        channel: Channel { edge: 5, from: 6, to: 7 },
        sequence: 8,
        payload: Payload::from(Bytes::from_static(b"rows")),
    };
    vec![
        one("Frame.hello", Body::Hello(hello)),
        one("Frame.item", item),
        one("Frame.ack", Body::Ack(9)),
        one("Frame.resume", Body::Resume(10)),
        one("Frame.refuse", Body::Refuse("term 6 is over".into())),
    ]
}
