//! The API server's public keys: what coordinators and workers check tokens with.
//!
//! The operator reads them (`/openid/v1/jwks`, which every service account may) and puts them into a job's ConfigMap. So a job's pods need
//! no access to the API server at all. They are read again every few minutes, since the API server may change them.

use std::sync::PoisonError;
use std::time::Duration;

use kube::Client;

use crate::context::Context;
use crate::log::Level;
use crate::reconcile::Keys;

/// How often they are read again.
const AGAIN: Duration = Duration::from_secs(120);

async fn read(client: &Client) -> Result<Keys, String> {
    let request = http_get("/openid/v1/jwks")?;
    let text = client.request_text(request).await.map_err(|e| crate::error_text(&e))?;
    Keys::of(&text)
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>, String> {
    http::Request::get(path)
        .header("accept", "application/jwk-set+json, application/json")
        .body(Vec::new())
        .map_err(|e| e.to_string())
}

/// Reads them, however long it takes: a job without them would ask nobody for a token.
pub(crate) async fn first(context: &Context) {
    loop {
        match read(&context.client).await {
            Ok(keys) => return put(context, keys),
            Err(why) => {
                let help = "service accounts need the ClusterRole system:service-account-issuer-discovery";
                context.log.say(Level::Error, "no keys", &[("error", &why), ("help", help)]);
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

fn put(context: &Context, keys: Keys) {
    *context.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys);
}

/// Reads them again and again.
pub(crate) async fn keep(context: std::sync::Arc<Context>) {
    loop {
        tokio::time::sleep(AGAIN).await;
        match read(&context.client).await {
            Ok(keys) => put(&context, keys),
            // The last ones stay good.
            Err(why) => context.log.say(Level::Warning, "no keys", &[("error", &why)]),
        }
    }
}
