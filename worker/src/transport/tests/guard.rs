//! The guard at the door: certificates, tokens, and what becomes of garbage.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use watershed_runtime::key::SlotId;
use watershed_wire::tonic;

use super::super::*;
use super::support::*;

/// A certificate of a new authority for each folder.
fn certify(folders: &[&Path]) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    for folder in folders {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["watershed".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.join("ca.pem"), &ca).unwrap();
        std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    }
}

fn network(folder: &Path) -> Network {
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|f| folder.join(f));
    let tls = Tls::new(TlsFiles { ca, cert, key, name: Some("watershed".into()) }).unwrap();
    Network { tls: Some(Arc::new(tls)), ..Network::default() }
}

#[test]
fn certificates_of_one_authority_talk_and_new_ones_are_taken_up_without_a_restart() {
    let (runtime, one, two) = (runtime(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certify(&[one.path(), two.path()]);
    let (a, b, proxy) = pair(&runtime, [&network(one.path()), &network(two.path())]);
    let (edge, outlet) = (graph().1, b.peers.outlet(0, era(1)).unwrap());
    let _ = outlet.send(SlotId(0), rows(edge, 1, [1], 100));
    assert_eq!(keys(a.event().2), [1]);
    // Another authority on one side only: no connection any more, and the reason is said.
    certify(&[two.path()]);
    proxy.cut();
    let refused = b.notice("a refusal", |n| matches!(n, Notice::Unreachable(why) if why.contains("certificate")));
    assert!(matches!(refused, Notice::Unreachable(_)));
    let _ = outlet.send(SlotId(0), rows(edge, 1, [2], 100));
    certify(&[one.path(), two.path()]);
    assert_eq!(keys(a.event().2), [2]);
}

#[test]
fn whoever_has_no_certificate_is_not_let_in() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    certify(&[folder.path()]);
    let (a, b, _proxy) = pair(&runtime, [&network(folder.path()), &Network::default()]);
    let _ = b.peers.outlet(0, era(1)).unwrap().send(SlotId(0), rows(graph().1, 1, [1], 100));
    b.notice("failed attempt", |n| matches!(n, Notice::Unreachable(_)));
    assert!(a.silent());
}

#[test]
fn files_that_do_not_fit_together_are_refused_by_name() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certify(&[one.path(), two.path()]);
    std::fs::write(one.path().join("cert.pem"), "nothing").unwrap();
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|f| one.path().join(f));
    let error = Tls::new(TlsFiles { ca, cert, key, name: None }).unwrap_err();
    assert!(error.to_string().contains("cert.pem"), "{error}");
}

#[test]
fn a_wrong_token_is_refused_and_the_right_one_let_in_as_soon_as_it_is_there() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let with = |name: &str, token: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, token).unwrap();
        Network { auth: Some(Arc::new(Auth::new(Token::File(path)).unwrap())), ..Network::default() }
    };
    let (a, b, _proxy) = pair(&runtime, [&with("a", "right"), &with("b", "wrong")]);
    let _ = b.peers.outlet(0, era(1)).unwrap().send(SlotId(0), rows(graph().1, 1, [1], 100));
    b.notice("refusal", |n| matches!(n, Notice::Unreachable(why) if why.contains("token")));
    assert!(a.silent());
    std::fs::write(folder.path().join("b"), "right\n").unwrap();
    assert_eq!(keys(a.event().2), [1]);
}

#[test]
fn bytes_that_are_no_http_close_their_connection_and_harm_nobody() {
    let runtime = runtime();
    let (a, b, _proxy) = pair(&runtime, [&Network::default(), &Network::default()]);
    let mut stranger = TcpStream::connect(a.listener.address()).unwrap();
    stranger.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stranger.write_all(&[0xaa; 4096]).unwrap();
    let mut answer = Vec::new();
    // Closed or reset, but not kept.
    let _end = stranger.read_to_end(&mut answer);
    let _ = b.peers.outlet(0, era(1)).unwrap().send(SlotId(0), rows(graph().1, 1, [1], 100));
    assert_eq!(keys(a.event().2), [1]);
}

/// Raw bytes as messages of gRPC.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;
    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = tonic::Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Calls the data service with these messages; how it ended.
fn call(runtime: &tokio::runtime::Runtime, address: &str, messages: Vec<Bytes>) -> String {
    runtime.block_on(async {
        let channel = dial(&Network::default(), address).await.unwrap();
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/watershed.v1.Data/Link");
        let request = tonic::Request::new(futures_util::stream::iter(messages));
        match client.streaming(request, path, Raw).await {
            Err(status) => status.message().to_owned(),
            Ok(answer) => {
                let mut stream = answer.into_inner();
                loop {
                    match stream.message().await {
                        Ok(Some(_)) => {}
                        Ok(None) => return "closed".to_owned(),
                        Err(status) => return status.message().to_owned(),
                    }
                }
            }
        }
    })
}

#[test]
fn frames_that_are_garbage_are_answered_with_what_is_wrong() {
    let runtime = runtime();
    let a = Side::new(&runtime, 0, &Network::default());
    let b = Side::new(&runtime, 1, &Network::default());
    let address = a.listener.address().to_string();
    assert!(call(&runtime, &address, vec![Bytes::from_static(b"\x09garbage")]).contains("malformed frame: version: 9"));
    assert!(call(&runtime, &address, vec![Bytes::from_static(b"\x01\x02")]).contains("malformed frame: term"));
    let ack = wire::frame::Frame { era: era(1), body: wire::frame::Body::Ack(7) };
    let mut bytes = Vec::new();
    ack.encode(&mut bytes);
    assert!(call(&runtime, &address, vec![bytes.clone().into()]).contains("begins with a hello"));
    // A peer that is known, and then acknowledges what nobody said: its link is broken, and said to be.
    a.peers.set(vec![b.as_peer(b.listener.address())]);
    let hello = wire::frame::Hello {
        lane: Lane::Data,
        worker: 1,
        job: "words".into(),
        name: "worker-1".into(),
        incarnation: "i1".into(),
        build: String::new(),
    };
    let mut first = Vec::new();
    wire::frame::Frame { era: era(1), body: wire::frame::Body::Hello(hello) }.encode(&mut first);
    assert_eq!(call(&runtime, &address, vec![first.into(), bytes.into()]), "closed");
    let notice = a.notice("word of the broken link", |n| matches!(n, Notice::Broken(_)));
    assert!(matches!(&notice, Notice::Broken(e) if e.to_string().contains("only 0 were ever given")), "{notice:?}");
}
