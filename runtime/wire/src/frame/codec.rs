//! The codec of the `Data` service: frames straight into and out of gRPC's own buffers.

use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::{Frame, MAX_FRAME};

/// Room of a send buffer, and when it is passed on: one full frame of rows at a time.
const SEND_BUFFER: usize = 320 << 10;
const SEND_AT: usize = 256 << 10;

/// Makes encoders and decoders of frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameCodec;

/// Writes frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameEncoder;

/// Reads frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameDecoder;

impl Codec for FrameCodec {
    type Encode = Frame;
    type Decode = Frame;
    type Encoder = FrameEncoder;
    type Decoder = FrameDecoder;

    fn encoder(&mut self) -> FrameEncoder {
        FrameEncoder
    }

    fn decoder(&mut self) -> FrameDecoder {
        FrameDecoder
    }
}

impl Encoder for FrameEncoder {
    type Item = Frame;
    type Error = Status;

    fn encode(&mut self, frame: Frame, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let len = frame.encoded_len();
        if len > MAX_FRAME {
            return Err(Status::out_of_range(format!("a frame of {len} bytes: {MAX_FRAME} are the most")));
        }
        out.reserve(len);
        frame.encode(out);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(SEND_BUFFER, SEND_AT)
    }
}

impl Decoder for FrameDecoder {
    type Item = Frame;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Frame>, Status> {
        Frame::decode(from).map(Some).map_err(|e| Status::invalid_argument(e.to_string()))
    }
}
