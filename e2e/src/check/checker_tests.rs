//! Each way to be wrong is found, and what is right is not.

use super::*;

const EXPECT: Expect = Expect { rate: 100, width: 2 };

fn faults(output: Output, lines: &[String]) -> Vec<String> {
    let mut checker = Checker::new(EXPECT);
    checker.file(output, "f", &lines.join("\n"));
    checker.faults().to_vec()
}

fn row(seq: u64) -> String {
    format!("{{\"seq\":{seq},\"k\":{}}}", seq % EXPECT.keys())
}

fn total(key: u64, n: u64, new: bool) -> String {
    let c = EXPECT.after(key, n);
    let it = format!("{{\"k\":{key},\"n\":{n},\"top\":{},\"total\":{}}}", c.top, c.total);
    if new {
        format!("{{\"before\":null,\"after\":{it},\"op\":\"c\"}}")
    } else {
        format!("{{\"before\":{it},\"after\":null,\"op\":\"d\"}}")
    }
}

fn window(key: u64, w: u64) -> String {
    let c = EXPECT.window(key, w).unwrap();
    let start = w * EXPECT.width;
    format!(
        "{{\"window_start\":\"2026-01-01 00:{:02}:{:02}.000\",\"k\":{key},\"n\":{},\"low\":{},\"top\":{},\"total\":{}}}",
        start / 60,
        start % 60,
        c.n,
        c.low.unwrap(),
        c.top,
        c.total
    )
}

#[test]
fn what_is_right_is_not_told() {
    assert_eq!(faults(Output::Rows, &(0..100).map(row).collect::<Vec<_>>()), Vec::<String>::new());
    let changes = [total(3, 1, true), total(3, 1, false), total(3, 7, true), total(4, 2, true)];
    assert_eq!(faults(Output::Totals, &changes), Vec::<String>::new());
    assert_eq!(faults(Output::Windows, &(0..40).map(|w| window(5, w)).collect::<Vec<_>>()), Vec::<String>::new());
}

#[test]
fn a_row_twice_a_row_missing_and_a_swap_are_told_once_each() {
    let check = |rows: &[u64], word: &str, times: usize| {
        let found = faults(Output::Rows, &rows.iter().map(|n| row(n * 16)).collect::<Vec<_>>());
        assert_eq!(found.iter().filter(|f| f.contains(word)).count(), times, "{found:?}");
    };
    check(&[0, 1, 1, 2], "doubled", 1);
    check(&[0, 2, 3], "missing", 1);
    check(&[0, 2, 1, 3], "out of order", 1);
    assert!(faults(Output::Rows, &["{\"seq\":1,\"k\":0}".to_owned()])[0].contains("not of this key"));
    assert!(faults(Output::Rows, &["{".to_owned()])[0].contains("rows/f"));
}

#[test]
fn a_count_that_does_not_fit_is_told() {
    let wrong = |lines: &[String], word: &str| {
        let found = faults(Output::Totals, lines);
        assert!(found.len() == 1 && found[0].contains(word), "{found:?}");
    };
    wrong(&[total(3, 2, true).replace("\"n\":2", "\"n\":3")], "wrong count");
    wrong(&[total(3, 1, true), total(3, 2, true)], "second count");
    wrong(&[total(3, 1, true), total(3, 2, false)], "takes back");
    wrong(&[total(3, 1, false)], "takes back");
    wrong(&[total(3, 5, true), total(3, 5, false), total(3, 4, true)], "goes back");
}

#[test]
fn a_window_twice_missing_or_miscounted_is_told() {
    let wrong = |lines: &[String], word: &str| {
        let found = faults(Output::Windows, lines);
        assert!(found.len() == 1 && found[0].contains(word), "{found:?}");
    };
    wrong(&[window(1, 0), window(1, 0)], "doubled");
    wrong(&[window(1, 0), window(1, 2)], "missing");
    let n = EXPECT.window(1, 0).unwrap().n;
    wrong(&[window(1, 0).replace(&format!("\"n\":{n}"), &format!("\"n\":{}", n - 1))], "wrong window");
}

#[test]
fn faults_are_kept_up_to_a_bound_and_counted() {
    let mut checker = Checker::new(EXPECT);
    checker.file(Output::Rows, "f", &"x\n".repeat(250));
    assert_eq!((checker.faults().len(), checker.more_faults(), checker.seen(Output::Rows)), (100, 150, 250));
}
