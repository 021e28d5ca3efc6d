//! Laws of the frame's layout.

use proptest::prelude::*;

use super::*;

fn body() -> impl Strategy<Value = Body> {
    let hello = (any::<bool>(), any::<u32>(), ".{0,20}", ".{0,20}", ".{0,20}", ".{0,20}").prop_map(
        |(bulk, worker, job, name, incarnation, build)| {
            let lane = if bulk { Lane::Bulk } else { Lane::Data };
            Body::Hello(Hello { lane, worker, job, name, incarnation, build })
        },
    );
    let item = (any::<(u32, u16, u16, u64)>(), prop::collection::vec(any::<Vec<u8>>(), 0..4)).prop_map(
        |((edge, from, to, sequence), chunks)| {
            let chunks: Vec<Bytes> = chunks.into_iter().map(Bytes::from).collect();
            Body::Item { channel: Channel { edge, from, to }, sequence, payload: Payload::from(chunks) }
        },
    );
    prop_oneof![
        hello,
        item,
        any::<u64>().prop_map(Body::Ack),
        any::<u64>().prop_map(Body::Resume),
        ".{0,40}".prop_map(Body::Refuse),
    ]
}

proptest! {
    #[test]
    fn a_frame_survives_the_round_trip(term: u64, generation: u64, body in body()) {
        let frame = Frame { era: Era { term, generation }, body };
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), frame.encoded_len());
        prop_assert_eq!(Frame::decode(&mut bytes.as_slice()), Ok(frame));
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes: Vec<u8>, kind in 0u8..7) {
        fuzz_frame(&bytes);
        let mut near = vec![VERSION, kind];
        near.extend(&bytes);
        fuzz_frame(&near);
    }

    #[test]
    fn what_is_cut_off_is_not_taken_for_a_whole(cut in 0usize..34) {
        let frame = Frame { era: Era::default(), body: Body::Item { channel: Channel::default(), sequence: 1, payload: Payload::default() } };
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        prop_assert_eq!(bytes.len(), ITEM_HEAD);
        bytes.truncate(cut);
        prop_assert!(Frame::decode(&mut bytes.as_slice()).is_err());
    }
}

#[test]
fn a_payload_in_one_piece_is_not_copied() {
    let bytes = Bytes::from(vec![1u8; 100]);
    let mut encoded = Vec::new();
    Frame {
        era: Era::default(),
        body: Body::Item { channel: Channel::default(), sequence: 0, payload: Payload::from(bytes.clone()) },
    }
    .encode(&mut encoded);
    let whole = Bytes::from(encoded);
    let at = whole.as_ptr() as usize + ITEM_HEAD;
    let Body::Item { payload, .. } = Frame::decode(&mut whole.clone()).unwrap().body else { panic!("an item") };
    assert_eq!(payload.whole().as_ptr() as usize, at);
    assert_eq!(payload.whole(), bytes);
}
