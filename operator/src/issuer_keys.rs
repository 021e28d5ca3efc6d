//! The public keys of the API server as an issuer of tokens: coordinators and workers check tokens with them.
//!
//! The operator reads the keys (`/openid/v1/jwks`, which every service account may) and puts them into a job's ConfigMap. So a job's pods
//! need no access to the API server at all. The keys are read again every few minutes, since the API server may change them.

use std::sync::PoisonError;
use std::time::Duration;

use kube::Client;

use crate::context::Context;
use crate::error::error_text;
use crate::log::Level;
use crate::reconcile::KeySet;

/// The interval at which the keys are read again.
const AGAIN: Duration = Duration::from_secs(120);

async fn read(client: &Client) -> Result<KeySet, String> {
    let request = http_get("/openid/v1/jwks")?;
    let text = client.request_text(request).await.map_err(|e| error_text(&e))?;
    KeySet::parse(&text)
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>, String> {
    http::Request::get(path)
        .header("accept", "application/jwk-set+json, application/json")
        .body(Vec::new())
        .map_err(|e| e.to_string())
}

/// Reads the keys, however long it takes: a job without keys would ask no client for a token.
pub(crate) async fn first(context: &Context) {
    loop {
        match read(&context.client).await {
            Ok(keys) => return put(context, keys),
            Err(why) => {
                let help = "service accounts need the ClusterRole system:service-account-issuer-discovery";
                context.log.event(Level::Error, "no keys", &[("error", &why), ("help", help)]);
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

fn put(context: &Context, keys: KeySet) {
    *context.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys);
}

/// Reads the keys again at each interval.
pub(crate) async fn keep(context: std::sync::Arc<Context>) {
    loop {
        tokio::time::sleep(AGAIN).await;
        match read(&context.client).await {
            Ok(keys) => put(&context, keys),
            // The last keys stay valid.
            Err(why) => context.log.event(Level::Warning, "no keys", &[("error", &why)]),
        }
    }
}
