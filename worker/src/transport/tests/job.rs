//! The service that command line and operator call, behind the token.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tonic::{Code, Request, Response, Status};
use watershed_wire::tonic;
use watershed_wire::v1::job_client::JobClient;
use watershed_wire::v1::job_server::Job;
use watershed_wire::v1::*;

use super::super::{Auth, Listener, Network, Services, Token, dial};
use super::support::runtime;

/// A job that says yes to everything.
struct Yes;

#[tonic::async_trait]
impl Job for Yes {
    type WatchStream = stream::BoxStream<'static, Result<StatusReply, Status>>;

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(StatusReply { job: "words".into(), ..StatusReply::default() }))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let status = |epoch| Ok(StatusReply { epoch, ..StatusReply::default() });
        Ok(Response::new(stream::iter((1..4).map(status)).boxed()))
    }

    async fn scale(&self, request: Request<ScaleRequest>) -> Result<Response<ScaleReply>, Status> {
        let replicas_before = request.into_inner().replicas + 1;
        Ok(Response::new(ScaleReply { accepted: true, reason: String::new(), replicas_before }))
    }

    async fn snapshot(&self, _: Request<SnapshotRequest>) -> Result<Response<SnapshotReply>, Status> {
        Ok(Response::new(SnapshotReply::default()))
    }

    async fn stop(&self, _: Request<StopRequest>) -> Result<Response<StopReply>, Status> {
        Ok(Response::new(StopReply::default()))
    }

    async fn releasable(&self, _: Request<ReleasableRequest>) -> Result<Response<ReleasableReply>, Status> {
        Ok(Response::new(ReleasableReply::default()))
    }

    async fn file(&self, _: Request<FileRequest>) -> Result<Response<FileReply>, Status> {
        Ok(Response::new(FileReply::default()))
    }
}

fn with(token: Option<&str>) -> Network {
    let auth = token.map(|t| Arc::new(Auth::new(Token::Value(t.to_owned())).unwrap()));
    Network { auth, ..Network::default() }
}

#[test]
fn whoever_shows_the_token_may_ask_and_nobody_else() {
    let runtime = runtime();
    let services = Services::default().job(Yes);
    let listener = Listener::start(runtime.handle(), "127.0.0.1:0", &with(Some("right")), services).unwrap();
    let address = listener.address().to_string();
    runtime.block_on(async {
        for token in [None, Some("wrong")] {
            let network = with(token);
            let mut job = JobClient::new(dial(&network, &address).await.unwrap());
            let refused = job.status(network.request(StatusRequest {}).unwrap()).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unauthenticated);
            assert!(refused.message().contains("token"), "{refused}");
        }
        let network = with(Some("right"));
        let channel = dial(&network, &address).await.unwrap();
        let mut job = JobClient::new(channel.clone());
        assert_eq!(job.status(network.request(StatusRequest {}).unwrap()).await.unwrap().into_inner().job, "words");
        let scale = network.request(ScaleRequest { replicas: 3 }).unwrap();
        assert_eq!(job.scale(scale).await.unwrap().into_inner().replicas_before, 4);
        let watch = job.watch(network.request(WatchRequest::default()).unwrap()).await.unwrap().into_inner();
        let epochs: Vec<u64> = watch.map(|s| s.unwrap().epoch).collect().await;
        assert_eq!(epochs, [1, 2, 3]);
        let mut other = data_client::DataClient::new(channel);
        let frames = stream::empty::<watershed_wire::frame::Frame>();
        let refused = other.link(network.request(frames).unwrap()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented, "a coordinator has no data service");
    });
}
