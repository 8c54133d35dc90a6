//! Answers that do not come, and connections that are shared out.

use super::late::Op;
use super::*;

/// Sends batches and hears no more of them; a single operation is answered at once.
struct Mute<const WRITES: bool>;

impl<const WRITES: bool> Work for Mute<WRITES> {
    type Ask = Op;
    type Answer = u64;
    type Ready = ();
    const WRITES: bool = WRITES;

    fn doing(_: &Op) -> &'static str {
        "testing"
    }

    async fn one(&self, op: &Op, _: Instant) -> Result<u64> {
        Ok(op.0)
    }

    async fn ready(&self, _: Instant) -> Result<()> {
        Ok(())
    }

    async fn many(&self, (): (), _: &[Op], _: Instant) -> Result<Vec<Option<u64>>, Failed> {
        std::future::pending().await
    }
}

const DEADLINE: Duration = Duration::from_secs(1);

/// What two operations are told that went out in one batch, and after how long.
async fn batch<const WRITES: bool>() -> [(Error, Duration); 2] {
    let one = Permits { count: 1, callers: 1 };
    let settings =
        Settings { permits: one, alone: one, queue: 8, count: 8, bytes: 8, deadline: DEADLINE };
    let lane = Lane::new(Mute::<WRITES>, settings);
    let call = |op: u64| {
        let lane = lane.clone();
        async move {
            let begun = Instant::now();
            let one = || async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(op)
            };
            let answer = lane.run(Way::Together, || Op(op).keys(), || Op(op), one).await;
            (answer, begun.elapsed())
        }
    };
    let (holder, first, second) = tokio::join!(call(0), call(1), call(2));
    assert_eq!(holder.0.unwrap(), 0);
    [first, second].map(|(answer, took)| (answer.unwrap_err(), took))
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_has_an_unknown_outcome_a_last_word_later() {
    for (error, took) in batch::<true>().await {
        assert!(error.is_unknown_outcome(), "{error}");
        let (least, most) = (DEADLINE + LAST_WORD, DEADLINE + 2 * LAST_WORD);
        assert!(took >= least && took < most, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_without_an_answer_is_late_at_the_deadline() {
    for (error, took) in batch::<false>().await {
        assert!(error.is_timeout() && !error.is_unknown_outcome(), "{error}");
        assert!(took >= DEADLINE && took < DEADLINE + LAST_WORD, "{took:?}");
    }
}

#[test]
fn callers_leave_a_connection_wherever_there_are_two() {
    let counts = |permits: [Permits; 2]| permits.map(|permits| (permits.count, permits.callers));
    assert_eq!(counts(share(8, [2, 3])), [(2, 2), (3, 3)]);
    assert_eq!(counts(share(5, [4, 4])), [(4, 4), (4, 0)]);
    assert_eq!(counts(share(4, [2, 2])), [(2, 2), (2, 1)]);
    assert_eq!(counts(share(2, [0, 0])), [(1, 1), (1, 0)]);
    // Of one there is none to leave.
    assert_eq!(counts(share(1, [3, 0])), [(3, 1), (1, 1)]);
}
