//! A job's processes as monitors see them over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use crate::check;
use crate::party::Party;

/// The page of the newest process of this name, as it has said.
fn page_of(party: &Party, who: &str) -> String {
    let said = party.said();
    let lines = said.lines().filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
    let mut mine = lines.filter(|l| l["event"] == "http" && l["job"] == who);
    let newest = mine.next_back();
    newest.and_then(|l| l["address"].as_str().map(str::to_owned)).unwrap_or_else(|| panic!("{who} serves nothing: {said}"))
}

/// The answer to a GET, with its head; nothing if nobody is there.
fn get(address: &str, path: &str) -> String {
    let mut said = String::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        let asked = write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n");
        let _gone = asked.and_then(|()| stream.read_to_string(&mut said));
    }
    said
}

pub(crate) fn monitors_see_who_is_ready_and_what_each_process_does(dir: &Path) {
    let mut party = Party::start_with(dir, 2, Some(("WATERSHED_HTTP", "127.0.0.1:0")));
    party.until_workers_own(2);
    let coordinator = page_of(&party, "numbered");
    for who in [&coordinator, &page_of(&party, "numbered worker-0"), &page_of(&party, "numbered worker-1")] {
        assert!(get(who, "/healthz").starts_with("HTTP/1.1 200 "), "{}", party.said());
        assert!(get(who, "/readyz").starts_with("HTTP/1.1 200 "), "{}", party.said());
    }
    let page = get(&coordinator, "/metrics");
    for sample in ["watershed_workers_connected{job=\"numbered\"} 2\n", "watershed_phase{job=\"numbered\",phase=\"running\"} 1\n"]
    {
        assert!(page.contains(sample), "{sample} in {page}");
    }
    let page = get(&page_of(&party, "numbered worker-1"), "/metrics");
    for sample in ["watershed_worker_slots{job=\"numbered\"} 1\n", "watershed_node_rows_in_total{job=\"numbered\",node=\"rows\""]
    {
        assert!(page.contains(sample), "{sample} in {page}");
    }
    assert!(!page.contains("watershed_uploaded_bytes_total{job=\"numbered\"} 0\n"), "{page}");
    party.worker(1).signal("KILL");
    party.until("a worker that is lost, and counted", |_| {
        get(&coordinator, "/metrics").contains("watershed_workers_lost_total{job=\"numbered\"} 1\n")
    });
    party.until_workers_own(2);
    // A worker without a coordinator goes on, and is not ready.
    let worker = page_of(&party, "numbered worker-0");
    let frozen = party.coordinator();
    frozen.signal("STOP");
    party.until("a worker without a session", |_| get(&worker, "/readyz").contains("no session with the coordinator for "));
    assert!(get(&worker, "/healthz").starts_with("HTTP/1.1 200 "), "{}", party.said());
    frozen.signal("CONT");
    party.until("a worker with a session again", |_| get(&worker, "/readyz").starts_with("HTTP/1.1 200 "));
    party.until_workers_own(2);
    check(dir, party.until_all_is_out());
}
