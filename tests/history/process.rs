//! A store in a process of its own, which can be stopped and killed.
//!
//! The process is these tests once more, with one test that serves a store: a question a line on its
//! standard input, an answer a line on its standard output, each JSON.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlbypass::{
    Error, Guard, Insert, Lookup, PrivateId, Record, Result, Save, Saved, Store, StoredId,
    Timeouts, Update,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

/// Names the file that the test `serves` is to open.
pub(crate) const FILE: &str = "SQLBYPASS_TEST_HISTORY_FILE";

#[derive(Serialize, Deserialize)]
struct Question {
    number: u64,
    id: String,
    idle: Option<Duration>,
    work: Work,
}

#[derive(Serialize, Deserialize)]
enum Work {
    Find,
    Destroy,
    Touch,
    Insert { data: String },
    Update { data: Option<String>, guard: Option<String>, new_id: Option<String>, restart: bool },
}

#[derive(Serialize, Deserialize)]
struct Reply {
    number: u64,
    answer: Answer,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Found(Option<String>),
    Was(bool),
    Applied,
    Gone,
    Conflict,
    Duplicate,
    Timeout,
    Unavailable,
    Overloaded,
    Unknown,
    Broken(String),
}

/// The other process, as this one sees it.
#[derive(Clone)]
pub(crate) struct Process(Arc<Inner>);

struct Inner {
    /// What is to be run.
    test: String,
    file: std::path::PathBuf,
    numbers: AtomicU64,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    questions: mpsc::UnboundedSender<String>,
    waiting: Waiting,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>;

impl Process {
    /// Starts the process, whose test of this name serves a store on the file.
    pub(crate) fn start(test: &str, file: &Path) -> Self {
        let (test, file) = (test.to_owned(), file.to_owned());
        let (numbers, running) = (AtomicU64::new(0), Mutex::new(None));
        let process = Self(Arc::new(Inner { test, file, numbers, running }));
        process.restart();
        process
    }

    /// It ends with the thread that calls this.
    pub(crate) fn restart(&self) {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(std::env::current_exe().unwrap());
        command.args(["--exact", &self.0.test, "--nocapture"]).env(FILE, &self.0.file);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (questions, asked) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        tokio::spawn(write(child.stdin.take().unwrap(), asked));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        tokio::spawn(read(lines, Arc::clone(&waiting)));
        *self.0.running.lock().unwrap() = Some(Running { child, questions, waiting });
    }

    /// Nobody knows what becomes of what it was about.
    pub(crate) async fn kill(&self) {
        let running = self.0.running.lock().unwrap().take();
        running.expect("a process").child.kill().await.unwrap();
    }

    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.0.running.lock().unwrap().as_ref().and_then(|running| running.child.id());
        let mut kill = Command::new("kill");
        kill.args([format!("-{name}"), pid.expect("a process").to_string()]);
        assert!(kill.status().await.unwrap().success());
    }

    async fn ask(&self, id: &str, idle: Option<Duration>, work: Work) -> Result<Answer> {
        const DOING: &str = "asking another process";
        let number = self.0.numbers.fetch_add(1, Ordering::Relaxed);
        let question = Question { number, id: id.to_owned(), idle, work };
        let answer = {
            let running = self.0.running.lock().unwrap();
            let Some(running) = &*running else {
                return Err(Error::unavailable(DOING, "it is not there"));
            };
            let (answers, answer) = oneshot::channel();
            running.waiting.lock().unwrap().insert(number, answers);
            // Where it cannot be sent any more the answer does not come.
            let _ = running.questions.send(serde_json::to_string(&question).unwrap());
            answer
        };
        match answer.await.unwrap_or(Answer::Unknown) {
            Answer::Timeout => Err(Error::timeout(DOING, "it says so")),
            Answer::Unavailable => Err(Error::unavailable(DOING, "it says so")),
            Answer::Overloaded => Err(Error::overloaded(DOING, "it says so")),
            Answer::Unknown => Err(Error::unknown_outcome(DOING, "it does not know, or has died")),
            Answer::Broken(problem) => Err(Error::database(DOING, problem)),
            answer => Ok(answer),
        }
    }
}

async fn write(mut input: ChildStdin, mut asked: mpsc::UnboundedReceiver<String>) {
    while let Some(question) = asked.recv().await {
        if input.write_all(format!("{question}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Hands out the answers; when the process ends those who wait are told that there will be none.
async fn read(mut lines: Lines<BufReader<ChildStdout>>, waiting: Waiting) {
    while let Ok(Some(line)) = lines.next_line().await {
        // The test's own words are no answers.
        let Ok(reply) = serde_json::from_str::<Reply>(&line) else { continue };
        let asker = waiting.lock().unwrap().remove(&reply.number);
        let _ = asker.map(|asker| asker.send(reply.answer));
    }
    waiting.lock().unwrap().clear();
}

impl Store for Process {
    async fn find(&self, lookup: &Lookup) -> Result<Option<Record>> {
        match self.ask(lookup.private.as_str(), lookup.timeouts.idle, Work::Find).await? {
            Answer::Found(found) => {
                Ok(found.map(|data| Record::new(lookup.private.into(), Some(data.into()))))
            }
            _ => panic!("no answer to a find"),
        }
    }

    async fn save(&self, save: &Save) -> Result<Saved> {
        let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
        let (id, idle, work) = match save {
            Save::Insert(insert) => {
                (insert.id.as_str(), None, Work::Insert { data: text(&insert.data) })
            }
            Save::Update(update) => {
                let guard = match &update.guard {
                    Guard::Off => None,
                    Guard::Data(data) => Some(text(data.as_ref().unwrap())),
                };
                let data = update.data.as_deref().map(text);
                let new_id = update.new_id.map(|id| id.as_str().to_owned());
                let work = Work::Update { data, guard, new_id, restart: update.restart };
                (update.id.as_str(), update.timeouts.idle, work)
            }
        };
        match self.ask(id, idle, work).await? {
            Answer::Applied => Ok(Saved::Applied),
            Answer::Gone => Ok(Saved::Gone),
            Answer::Conflict => Ok(Saved::Conflict),
            Answer::Duplicate => Ok(Saved::Duplicate),
            _ => panic!("no answer to a save"),
        }
    }

    async fn destroy(&self, lookup: &Lookup) -> Result<bool> {
        self.ask(lookup.private.as_str(), None, Work::Destroy).await.map(was)
    }

    async fn touch(&self, id: &StoredId, timeouts: Timeouts) -> Result<bool> {
        self.ask(id.as_str(), timeouts.idle, Work::Touch).await.map(was)
    }
}

fn was(answer: Answer) -> bool {
    let Answer::Was(was) = answer else { panic!("no answer to a destroy or a touch") };
    was
}

/// In the other process: answers what is asked until nobody asks any more.
pub(crate) async fn serve<S: Store + Clone>(store: S) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let store = store.clone();
        tokio::spawn(async move {
            let question: Question = serde_json::from_str(&line).unwrap();
            let number = question.number;
            let answer = answer(&store, question).await.unwrap_or_else(|error| told(&error));
            // A line of its own, whatever was written before.
            println!("\n{}", serde_json::to_string(&Reply { number, answer }).unwrap());
        });
    }
}

async fn answer(store: &impl Store, question: Question) -> Result<Answer> {
    let private = PrivateId::parse(&question.id).unwrap();
    let timeouts = Timeouts { idle: question.idle, lifetime: None };
    let lookup = Lookup { private, legacy: None, timeouts };
    let save = match question.work {
        Work::Find => {
            let found = store.find(&lookup).await?;
            let text = |record: Record| String::from_utf8(record.data.unwrap().to_vec()).unwrap();
            return Ok(Answer::Found(found.map(text)));
        }
        Work::Destroy => return store.destroy(&lookup).await.map(Answer::Was),
        Work::Touch => return store.touch(&private.into(), timeouts).await.map(Answer::Was),
        Work::Insert { data } => Save::Insert(Insert::new(private, data)),
        Work::Update { data, guard, new_id, restart } => Save::Update(Update {
            data: data.map(Into::into),
            guard: guard.map_or(Guard::Off, |data| Guard::Data(Some(data.into()))),
            new_id: new_id.map(|id| PrivateId::parse(id).unwrap()),
            restart,
            timeouts,
            ..Update::new(private.into())
        }),
    };
    Ok(match store.save(&save).await? {
        Saved::Applied => Answer::Applied,
        Saved::Gone => Answer::Gone,
        Saved::Conflict => Answer::Conflict,
        Saved::Duplicate => Answer::Duplicate,
    })
}

fn told(error: &Error) -> Answer {
    match error {
        error if error.is_unknown_outcome() => Answer::Unknown,
        error if error.is_timeout() => Answer::Timeout,
        error if error.is_unavailable() => Answer::Unavailable,
        error if error.is_overloaded() => Answer::Overloaded,
        error => Answer::Broken(error.to_string()),
    }
}
