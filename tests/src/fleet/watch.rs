//! Starting again what ended without being asked to.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{Fleet, Role};

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(200);
/// A process that lived for so long may be started again at once.
const HEALTHY: Duration = Duration::from_secs(30);
/// The longest wait before a process that ends again and again is started once more.
const LONGEST: Duration = Duration::from_secs(30);

/// When a process was started, and how long to wait should it end soon.
struct Life {
    since: Instant,
    pause: Duration,
}

impl Fleet {
    /// Tells of each process that ends, and starts it again: at once the first time, then after a
    /// pause that doubles while it does not stay. Returns only with an error.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub async fn watch(&mut self, tell: impl Fn(&str)) -> Result<()> {
        let new = || Life { since: Instant::now(), pause: Duration::ZERO };
        let mut lives: BTreeMap<Role, Life> = Role::ALL.map(|role| (role, new())).into();
        let mut due: BTreeMap<Role, Instant> = BTreeMap::new();
        loop {
            for (role, life) in &mut lives {
                if let Some(at) = due.get(role) {
                    if Instant::now() >= *at {
                        due.remove(role);
                        life.since = Instant::now();
                        self.restart(*role, None)?;
                        tell(&format!("{} runs again ({})", role.binary(), self.place(*role)?));
                    }
                } else if let Some(end) = self.end_of(*role)? {
                    if life.since.elapsed() >= HEALTHY {
                        life.pause = Duration::ZERO;
                    }
                    due.insert(*role, Instant::now() + life.pause);
                    let when = match life.pause.as_secs() {
                        0 => "now".to_owned(),
                        seconds => format!("in {seconds} s"),
                    };
                    tell(&format!("{end}; it is started again {when}"));
                    life.pause = (life.pause * 2).clamp(Duration::from_secs(1), LONGEST);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How the first of the processes that ended did so, if one has.
    pub(super) fn first_end(&mut self) -> Result<Option<String>> {
        for role in Role::ALL {
            if let Some(end) = self.end_of(role)? {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }

    fn end_of(&mut self, role: Role) -> Result<Option<String>> {
        let process = self.process(role)?;
        let place = process.place();
        let end = process.ended()?;
        Ok(end.map(|status| format!("{} ended with {status} ({place})", role.binary())))
    }

    fn place(&mut self, role: Role) -> Result<String> {
        Ok(self.process(role)?.place())
    }
}
