//! Bad worlds around a running job: a clear refusal for the process that is wrong, and no harm for the job.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::check;
use crate::party::{Party, itself};

pub(crate) fn a_worker_of_another_dataflow_is_refused_by_name(dir: &Path) {
    let party = Party::start(dir, 1);
    let said = party.refused_worker();
    assert!(said.contains("only the coordinator's job has [") && said.contains("other"), "{said}");
    check(dir, party.until_all_is_out());
}

/// Starts a coordinator that has to refuse: its exit code, and what it said.
fn refused_coordinator(dir: &Path, variable: &str, words: &[&str]) -> (Option<i32>, String) {
    let said = itself("coordinator", dir)
        .args(["--listen", "127.0.0.1:0", "--storage", "state", "--replicas", "1"])
        .args(words)
        .env(variable, "1")
        .output()
        .expect("a coordinator can be started");
    (said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned())
}

pub(crate) fn another_job_on_the_same_storage_is_refused_by_name(dir: &Path) {
    let party = Party::start(dir, 1);
    let (code, said) = refused_coordinator(dir, "OTHER_JOB", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("belongs to the job `numbered`, not to `others`"), "{said}");
    check(dir, party.until_all_is_out());
}

pub(crate) fn storage_that_something_else_wrote_is_refused_and_left_alone(dir: &Path) {
    let theirs = [("job.json", "{\"name\": \"somebody's\"}"), ("notes/plan.txt", "nobody else's"), ("state.db", "theirs")];
    for (name, text) in theirs {
        let path = dir.join("state").join(name);
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("the folder can be made");
        std::fs::write(path, text).expect("the file can be written");
    }
    let (code, said) = refused_coordinator(dir, "NOTHING", &[]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("job.json") && said.contains("choose other storage"), "{said}");
    for (name, text) in theirs {
        assert_eq!(std::fs::read_to_string(dir.join("state").join(name)).expect("it is still there"), text);
    }
}

pub(crate) fn no_workers_and_more_slots_than_key_groups_are_refused_by_name(dir: &Path) {
    let party = Party::start(dir, 1);
    let mut client = party.client();
    let none = client.scale(0).expect_err("a job without workers is refused").to_string();
    assert!(none.contains("at least one worker"), "{none}");
    let many = client.scale(5000).expect_err("a slot without a key group is refused").to_string();
    assert!(many.contains("4096 key groups"), "{many}");
    check(dir, party.until_all_is_out());
}

pub(crate) fn garbage_to_live_ports_harms_nobody(dir: &Path) {
    let mut party = Party::start(dir, 2);
    party.until_workers_own(2);
    let status = party.client().status().expect("the coordinator answers");
    let workers = status.workers.into_iter().map(|w| w.data_address);
    for address in workers.chain([party.address().trim().to_owned()]) {
        // Nothing of HTTP; a preface of HTTP/2 and then nothing of it; and somebody who connects and says nothing.
        for bytes in [&[0xaa; 4096][..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            let mut stranger = TcpStream::connect(&address).expect("the port is open");
            stranger.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out can be set");
            stranger.write_all(bytes).expect("it takes some bytes");
            // Closed or reset, but not kept: a read that times out is an error of another kind.
            let end = stranger.read_to_end(&mut Vec::new());
            let kept = end.is_err_and(|e| matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
            assert!(!kept, "{address} keeps a stranger");
        }
        let _silent = TcpStream::connect(&address).expect("the port is open");
        party.manifests(1);
    }
    let said = party.said();
    assert!(!said.contains("panicked") && !said.contains("has ended with code"), "{said}");
    check(dir, party.until_all_is_out());
}

pub(crate) fn who_takes_the_storage_over_fences_who_had_it(dir: &Path) {
    let mut party = Party::start(dir, 2);
    party.until_workers_own(2);
    assert_eq!(party.taken_over(2), Some(4), "{}", party.said());
    party.until_workers_own(2);
    party.manifests(4);
    check(dir, party.until_all_is_out());
}

pub(crate) fn workers_without_room_wait_and_say_so_until_somebody_has_room(dir: &Path) {
    let mut party = Party::start_with(dir, 2, Some(("WATERSHED_MEMORY_BYTES", "1")));
    party.manifests(4);
    // A job without state fits; what there is now does not fit into two bytes. A run that goes on is not asked.
    party.worker(1).signal("KILL");
    party.until_it_waits_for("2 workers have room for 1 MiB");
    // Nor does another coordinator find room, and it waits as well.
    party.coordinator().signal("KILL");
    party.until_it_waits_for("2 workers have room for 1 MiB");
    let mut third = itself("worker", dir)
        .args(["--name", "worker-2", "--coordinator", party.address().trim()])
        .spawn()
        .expect("a worker can be started");
    party.manifests(4);
    check(dir, party.until_all_is_out());
    assert!(third.wait().expect("it is a child of this process").success());
}

pub(crate) fn who_asks_how_a_job_is_hears_that_it_waits_for_the_storage(dir: &Path) {
    let mut party = Party::start(dir, 1);
    party.until_workers_own(1);
    // A worker that sleeps aligns no barrier: nothing more is published, and nobody writes where the log's end is said to be.
    party.worker(0).signal("STOP");
    party.until_nothing_is_published();
    let hint = dir.join("state/LATEST");
    std::fs::remove_file(&hint).expect("the hint is there");
    assert!(Command::new("mkfifo").arg(&hint).status().expect("mkfifo can be started").success());
    // The next run begins with reading that, which takes as long as this test likes.
    party.worker(0).signal("KILL");
    party.until_it_waits_for("for the storage: the end of the log is read");
    let said = std::fs::OpenOptions::new().write(true).open(&hint).expect("somebody reads it");
    drop(said);
    party.until_workers_own(1);
    party.manifests(4);
    check(dir, party.until_all_is_out());
}

pub(crate) fn of_two_processes_with_one_name_the_later_one_stays(dir: &Path) {
    let mut party = Party::start(dir, 2);
    party.until_workers_own(2);
    let (term, _) = party.era();
    // As a pod that was deleted by force, and goes on beside its successor.
    let mut second = itself("worker", dir)
        .args(["--name", "worker-1", "--coordinator", party.address().trim()])
        .spawn()
        .expect("a worker can be started");
    // The second replaces the first, which ends; the supervisor starts that one again, which then is the later one.
    let mut ended = None;
    party.until("the end of who was replaced", |_| {
        ended = second.try_wait().expect("it is a child of this process");
        ended.is_some()
    });
    assert_eq!(ended.and_then(|e| e.code()), Some(4), "{}", party.said());
    assert!(party.said().contains("worker 1 has ended with code 4"), "{}", party.said());
    party.until_workers_own(2);
    // Each replacement ends a run, and nothing else does.
    let (now, _) = party.era();
    assert!(now <= term + 4, "the term went from {term} to {now}: {}", party.said());
    who_is_looked_after_stays_when_it_was_replaced(dir, &mut party);
    party.manifests(4);
    check(dir, party.until_all_is_out());
}

/// A kubelet would start it again, and so make it the later one.
fn who_is_looked_after_stays_when_it_was_replaced(dir: &Path, party: &mut Party) {
    let said = dir.join("replaced");
    let stderr = std::fs::File::create(&said).expect("a file can be made");
    let mut pod = itself("worker", dir)
        .args(["--name", "worker-1", "--supervised", "--http", "127.0.0.1:0", "--coordinator", party.address().trim()])
        .stderr(stderr)
        .spawn()
        .expect("a worker can be started");
    let says = || std::fs::read_to_string(&said).unwrap_or_default();
    party.until("the word that it was replaced", |_| says().contains("this one has been replaced"));
    party.until_workers_own(2);
    assert!(pod.try_wait().expect("it is a child of this process").is_none(), "{}", says());
    let text = says();
    let page = text.split("http://").nth(1).and_then(|t| t.split('/').next()).expect("it says where it is looked at");
    let mut probe = TcpStream::connect(page).expect("it is there");
    let mut heard = String::new();
    write!(probe, "GET /healthz HTTP/1.1\r\n\r\n").and_then(|()| probe.read_to_string(&mut heard)).expect("it answers");
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    let told = Command::new("kill").arg(pod.id().to_string()).status().expect("kill can be started");
    assert!(told.success());
    assert_eq!(pod.wait().expect("it ends").code(), Some(0), "{}", says());
}
