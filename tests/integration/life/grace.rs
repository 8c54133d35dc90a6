//! Requests that meet a rotation under grace, in every order that their statements can take. They
//! share a manager, as the grace is one process's own.

use std::time::Duration;

use sqlbypass::{
    AnyStore, Commit, CookieChange, Insert, Json, Maintenance as _, ManagerOptions, Outcome, Save,
    Scan, Session, SessionId, SessionManager, Store as _,
};
use tokio::task::JoinHandle;

use super::everywhere;
use super::gate::{Event, Gate, Gated, WAY, Ways};
use super::place::Place;

everywhere! {
    a_logout_is_never_lost_to_a_rotation
    a_reset_is_never_lost_to_a_rotation
    of_two_rotations_one_wins_and_its_grace_stays
}

/// What a request does to its session.
#[derive(Clone, Copy, Debug)]
enum Does {
    Rotates,
    /// It has read the session before.
    Resets,
    SignsOut,
    ReadsAndSignsOut,
}

/// One order after another, as an odometer counts.
#[derive(Default)]
struct Order {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Order {
    /// Which of so many comes next.
    fn pick(&mut self, of: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, of));
        }
        self.at += 1;
        self.taken[self.at - 1].0
    }

    /// Whether there is an order that was not taken yet.
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, of)) = self.taken.pop() {
            if choice + 1 < of {
                self.taken.push((choice + 1, of));
                return true;
            }
        }
        false
    }
}

struct Request {
    gate: Gate,
    task: JoinHandle<Commit>,
}

type Manager = SessionManager<Ways<AnyStore>>;

impl Request {
    /// A request that waits for its first statement.
    async fn start(manager: &Manager, id: &SessionId, does: Does) -> Self {
        let (way, mut gate) = Gated::new(());
        let session = manager.session(Some(id.clone()));
        let task = tokio::spawn(WAY.scope(way.clone(), async move {
            let commit = does.run(&session).await;
            way.tell(Event::Ended(commit.clone()));
            commit
        }));
        assert!(matches!(gate.next().await, Event::Waits));
        Self { gate, task }
    }

    /// Lets one statement through; says whether that was the last.
    async fn turn(&mut self) -> bool {
        self.gate.open();
        loop {
            match self.gate.next().await {
                Event::Waits => return false,
                Event::Ended(_) => return true,
                _ => {}
            }
        }
    }
}

impl Does {
    async fn run(self, session: &Session) -> Commit {
        match self {
            Self::Rotates => session.rotate().unwrap(),
            Self::Resets => {
                session.get::<i64>("n").await.unwrap();
                session.reset().unwrap();
                session.insert("n", 2).unwrap();
            }
            Self::SignsOut => session.destroy().unwrap(),
            Self::ReadsAndSignsOut => {
                session.get::<i64>("n").await.unwrap();
                session.destroy().unwrap();
            }
        }
        session.commit().await.unwrap()
    }
}

/// A session, what has become of the requests that bore its id, and the rows that are left.
struct Met {
    manager: Manager,
    id: SessionId,
    commits: Vec<Commit>,
    rows: Vec<(String, String)>,
}

/// Lets the requests meet in every order. `lives`: under the first id the session is there to be
/// read all the time.
async fn meet(place: &Place, requests: &[Does], lives: bool, check: impl AsyncFn(Met)) {
    let store = place.open().await;
    let mut order = Order::default();
    let mut orders = 0;
    loop {
        let options = ManagerOptions {
            rotation_grace: Some(Duration::from_secs(60)),
            ..ManagerOptions::default()
        };
        let manager = SessionManager::with_options(Ways(store.clone()), Json, options);
        let id = SessionId::generate().unwrap();
        let data = r#"{"value":{"n":1}}"#;
        let insert = Insert::new(id.private(), data);
        store.clear().await.unwrap();
        store.save(&Save::Insert(insert)).await.unwrap();
        let mut running = Vec::new();
        for (at, does) in requests.iter().enumerate() {
            running.push((at, Request::start(&manager, &id, *does).await));
        }
        let mut commits: Vec<Option<Commit>> = requests.iter().map(|_| None).collect();
        while !running.is_empty() {
            let next = order.pick(running.len());
            if running[next].1.turn().await {
                let (at, request) = running.swap_remove(next);
                commits[at] = Some(request.task.await.unwrap());
            }
            if lives {
                let reader = manager.session(Some(id.clone()));
                assert_eq!(reader.get("n").await.unwrap(), Some(1), "it was gone for a moment");
            }
        }
        let scan = Scan { with_data: true, ..Scan::new(10) };
        let rows = store.scan(&scan).await.unwrap().into_iter();
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        let rows = rows.map(|row| (row.stored_id.into(), text(&row.data.unwrap()))).collect();
        let commits = commits.into_iter().flatten().collect();
        check(Met { manager, id, commits, rows }).await;
        orders += 1;
        if !order.advance() {
            break;
        }
    }
    println!("{requests:?}: {orders} orders");
    assert!(orders > 2, "they did not meet");
}

async fn a_logout_is_never_lost_to_a_rotation(place: &Place) {
    for logout in [Does::SignsOut, Does::ReadsAndSignsOut] {
        for requests in [&[Does::Rotates, logout][..], &[Does::Rotates, Does::Rotates, logout]] {
            meet(place, requests, false, async |met| {
                let last = met.commits.last().unwrap();
                assert_eq!(last.outcome, Outcome::Destroyed);
                assert_eq!(last.cookie, CookieChange::Clear);
                assert_eq!(met.rows.len(), 0, "the session lives on");
                let session = met.manager.session(Some(met.id));
                assert!(session.id().await.unwrap().is_none());
            })
            .await;
        }
    }
}

async fn a_reset_is_never_lost_to_a_rotation(place: &Place) {
    for requests in
        [&[Does::Rotates, Does::Resets][..], &[Does::Rotates, Does::Rotates, Does::Resets]]
    {
        meet(place, requests, false, async |met| {
            let CookieChange::Set(id) = &met.commits.last().unwrap().cookie else {
                panic!("a login has a cookie")
            };
            let expected = (id.private().as_str().to_owned(), r#"{"value":{"n":2}}"#.to_owned());
            assert!(met.rows == [expected], "{} rows", met.rows.len());
            let session = met.manager.session(Some(met.id));
            assert!(session.id().await.unwrap().is_none());
        })
        .await;
    }
}

async fn of_two_rotations_one_wins_and_its_grace_stays(place: &Place) {
    meet(place, &[Does::Rotates, Does::Rotates], true, async |met| {
        let new: Vec<&SessionId> = met
            .commits
            .iter()
            .filter_map(|commit| match &commit.cookie {
                CookieChange::Set(id) => Some(id),
                _ => None,
            })
            .collect();
        let [new] = new[..] else { panic!("{} of two rotations won", new.len()) };
        assert!(met.rows.len() == 1 && met.rows[0].0 == new.private().as_str());
        let parallel = met.manager.session(Some(met.id.clone()));
        assert!(parallel.is_snapshot().await.unwrap());
        assert_eq!(parallel.get("n").await.unwrap(), Some(1));
    })
    .await;
}
