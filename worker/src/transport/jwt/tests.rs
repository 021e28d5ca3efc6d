//! A cluster of one key pair, and what passes and what does not.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

struct Cluster {
    random: SystemRandom,
    pair: EcdsaKeyPair,
}

impl Cluster {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { random, pair }
    }

    fn keys(&self) -> String {
        let point = self.pair.public_key().as_ref();
        let at = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.encode(&point[range]);
        json!({"keys": [
            {"kty": "OKP", "kid": "other", "crv": "Ed25519", "x": "AA"},
            {"kty": "EC", "kid": "k1", "crv": "P-256", "use": "sig", "x": at(1..33), "y": at(33..65)},
        ]})
        .to_string()
    }

    fn token(&self, head: &Value, claims: &Value) -> String {
        let text = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let signed = format!("{}.{}", text(head), text(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn verifier() -> Verifier {
    Verifier {
        keys: PathBuf::new(),
        audience: "watershed".into(),
        subjects: vec!["system:serviceaccount:shop:clicks".into()],
        read: Mutex::new(None),
    }
}

fn claims() -> Value {
    json!({"sub": "system:serviceaccount:shop:clicks", "aud": ["watershed"], "exp": NOW + 600, "nbf": NOW - 10, "iss": "https://x"})
}

#[test]
fn only_a_token_of_this_cluster_for_us_of_one_of_ours_that_is_still_good_passes() {
    let (cluster, head) = (Cluster::new(), json!({"alg": "ES256", "kid": "k1"}));
    let keys = keys_of(&cluster.keys()).unwrap();
    let check = |token: &str| verifier().check_at(token, &keys, NOW);
    check(&cluster.token(&head, &claims())).unwrap();
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        cluster.token(&head, &claims)
    };
    check(&with("aud", json!("watershed"))).unwrap();
    for (token, part) in [
        (with("aud", json!(["https://kubernetes.default.svc"])), "not for `watershed`"),
        (with("aud", Value::Null), "not for `watershed`"),
        (with("sub", json!("system:serviceaccount:shop:stranger")), "stranger"),
        (with("exp", json!(NOW - LEEWAY - 1)), "run out"),
        (with("exp", Value::Null), "run out"),
        (with("nbf", json!(NOW + LEEWAY + 1)), "not good yet"),
        (Cluster::new().token(&head, &claims()), "not signed by this cluster"),
        (cluster.token(&json!({"alg": "none", "kid": "k1"}), &claims()), "not signed"),
        (cluster.token(&json!({"alg": "RS256", "kid": "k1"}), &claims()), "not signed"),
        (cluster.token(&json!({"alg": "ES256", "kid": "k2"}), &claims()), "not signed"),
        ("a.b".into(), "none of a service account"),
        (String::new(), "none of a service account"),
    ] {
        let why = check(&token).unwrap_err();
        assert!(why.contains(part), "{why}: {part}");
    }
}

#[test]
fn a_token_that_was_changed_is_not_signed() {
    let cluster = Cluster::new();
    let keys = keys_of(&cluster.keys()).unwrap();
    let token = cluster.token(&json!({"alg": "ES256", "kid": "k1"}), &claims());
    let (head, rest) = token.split_once('.').unwrap();
    let forged = URL_SAFE_NO_PAD.encode(claims().to_string().replace("shop", "mine"));
    let forged = format!("{head}.{forged}.{}", rest.split_once('.').unwrap().1);
    assert!(verifier().check_at(&forged, &keys, NOW).is_err());
}

#[test]
fn keys_are_read_again_when_their_file_changes_and_a_broken_file_leaves_the_last() {
    let (one, two) = (Cluster::new(), Cluster::new());
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(Verifier::new(file.path().to_owned(), "a", Vec::new()).is_err(), "an empty file has no keys");
    std::fs::write(file.path(), one.keys()).unwrap();
    let verifier = Verifier::new(file.path().to_owned(), "a", Vec::new()).unwrap();
    let first = verifier.current().unwrap();
    std::fs::write(file.path(), format!("{} ", two.keys())).unwrap();
    let second = verifier.current().unwrap();
    assert_ne!(first, second);
    std::fs::write(file.path(), "{").unwrap();
    assert_eq!(verifier.current().unwrap(), second);
}
