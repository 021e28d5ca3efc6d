//! Machines that are not there: a network namespace for each process, on one bridge, and ways to cut them apart.
//!
//! ```text
//!   coordinator   spare   storage   worker-0 … worker-5        each a namespace with one `eth0`
//!        └──────────┴────────┴──────────┴──── bridge ──── this process (.1)
//! ```
//!
//! A cut between two is silent, as in life: both get a wrong hardware address for each other, so packets leave and arrive nowhere;
//! no connection is reset and no error comes back. A machine that is taken off the net has its end of the bridge put down. Everything is
//! called after this process's number, so that several can run at once and what a killed one left behind is swept away by the next.
//!
//! Machines without namespaces (no root, no `ip`) run everything on loopback, and nothing can be cut.

use std::process::Command;

/// Hardware address that nobody has.
const NOWHERE: &str = "02:00:00:00:00:01";
/// The most workers.
pub(crate) const WORKERS: u32 = 6;

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Machine {
    /// The coordinator's first machine.
    Coordinator,
    /// The machine to which the coordinator can move.
    Spare,
    Storage,
    Worker(u32),
}

impl Machine {
    fn all() -> Vec<Self> {
        [Self::Coordinator, Self::Spare, Self::Storage].into_iter().chain((0..WORKERS).map(Self::Worker)).collect()
    }

    fn short(self) -> String {
        match self {
            Self::Coordinator => "c".into(),
            Self::Spare => "d".into(),
            Self::Storage => "s".into(),
            Self::Worker(n) => format!("w{n}"),
        }
    }

    fn octet(self) -> u32 {
        match self {
            Self::Coordinator => 10,
            Self::Spare => 11,
            Self::Storage => 20,
            Self::Worker(n) => 30 + n,
        }
    }
}

/// All machines.
#[derive(Debug)]
pub(crate) struct Net {
    tag: String,
    /// The first three numbers of every address.
    base: String,
    namespaces: bool,
    /// The machine that holds the coordinator's address.
    pub(crate) holder: Machine,
    pdeathsig: bool,
}

/// Runs `ip` or `tc`.
fn run(program: &str, words: &str) -> Result<(), String> {
    let said = Command::new(program).args(words.split_whitespace()).output().map_err(|e| format!("{program}: {e}"))?;
    if said.status.success() {
        return Ok(());
    }
    Err(format!("{program} {words}: {}", String::from_utf8_lossy(&said.stderr).trim()))
}

impl Net {
    /// Makes them; on loopback, with the reason, where that is not possible or not wanted.
    pub(crate) fn new(wanted: bool) -> (Self, Option<String>) {
        sweep();
        let pid = std::process::id();
        let base = format!("10.{}.{}", 100 + (pid >> 8) % 100, pid % 256);
        let pdeathsig = Command::new("setpriv").arg("--version").output().is_ok_and(|o| o.status.success());
        let mut net = Self { tag: format!("wsx{pid}"), base, namespaces: wanted, holder: Machine::Coordinator, pdeathsig };
        let why = if wanted { net.make().err() } else { Some("namespaces were not wanted".to_owned()) };
        if why.is_some() {
            net.take_down();
            net.namespaces = false;
        }
        (net, why)
    }

    /// True if machines can be cut apart.
    pub(crate) fn can_cut(&self) -> bool {
        self.namespaces
    }

    fn make(&self) -> Result<(), String> {
        let Self { tag, base, .. } = self;
        let bridge = format!("{tag}b");
        run("ip", &format!("link add {bridge} type bridge"))?;
        run("ip", &format!("addr add {base}.1/24 dev {bridge}"))?;
        run("ip", &format!("link set {bridge} up"))?;
        for machine in Machine::all() {
            let (ns, port) = (self.ns(machine), self.port(machine));
            run("ip", &format!("netns add {ns}"))?;
            run("ip", &format!("link add {port} type veth peer name eth0 netns {ns}"))?;
            run("ip", &format!("link set {port} master {bridge} up"))?;
            run("ip", &format!("-n {ns} addr add {}/24 dev eth0", self.own(machine)))?;
            run("ip", &format!("-n {ns} link set eth0 up"))?;
            run("ip", &format!("-n {ns} link set lo up"))?;
        }
        run("ip", &format!("-n {} addr add {base}.9/24 dev eth0", self.ns(Machine::Coordinator)))
    }

    fn take_down(&self) {
        for machine in Machine::all() {
            let _gone = run("ip", &format!("netns del {}", self.ns(machine)));
            let _gone = run("ip", &format!("link del {}", self.port(machine)));
        }
        let _gone = run("ip", &format!("link del {}b", self.tag));
    }

    fn ns(&self, machine: Machine) -> String {
        format!("{}-{}", self.tag, machine.short())
    }

    /// The machine's end at the bridge.
    fn port(&self, machine: Machine) -> String {
        format!("{}{}", self.tag, machine.short())
    }

    fn own(&self, machine: Machine) -> String {
        format!("{}.{}", self.base, machine.octet())
    }

    /// The address of a machine; that of the coordinator wherever it runs.
    pub(crate) fn address(&self, machine: Machine) -> String {
        match (self.namespaces, machine) {
            (false, _) => "127.0.0.1".into(),
            (true, Machine::Coordinator | Machine::Spare) => format!("{}.9", self.base),
            (true, Machine::Storage | Machine::Worker(_)) => self.own(machine),
        }
    }

    /// A program on a machine, which dies with this process.
    pub(crate) fn on(&self, machine: Machine, program: &std::path::Path) -> Command {
        let mut words: Vec<std::ffi::OsString> = Vec::new();
        if self.namespaces {
            words.extend(["nsenter".into(), format!("--net=/run/netns/{}", self.ns(machine)).into()]);
        }
        if self.pdeathsig {
            words.extend(["setpriv", "--pdeathsig", "KILL"].map(Into::into));
        }
        words.push(program.into());
        let first = words.remove(0);
        let mut command = Command::new(first);
        command.args(words);
        command
    }

    /// The addresses a machine has.
    fn addresses(&self, machine: Machine) -> Vec<String> {
        let moving = (machine == self.holder).then(|| format!("{}.9", self.base));
        std::iter::once(self.own(machine)).chain(moving).collect()
    }

    /// Two machines do not hear of each other any more.
    pub(crate) fn cut(&self, a: Machine, b: Machine) -> Result<(), String> {
        for (here, there) in [(a, b), (b, a)] {
            for address in self.addresses(there) {
                let ns = self.ns(here);
                run("ip", &format!("-n {ns} neigh replace {address} lladdr {NOWHERE} dev eth0 nud permanent"))?;
            }
        }
        Ok(())
    }

    /// Two machines reach each other again.
    pub(crate) fn join(&self, a: Machine, b: Machine) -> Result<(), String> {
        for (here, there) in [(a, b), (b, a)] {
            for address in self.addresses(there) {
                run("ip", &format!("-n {} neigh del {address} dev eth0", self.ns(here)))?;
            }
        }
        Ok(())
    }

    /// A machine is off the net, or on it again.
    pub(crate) fn plug(&self, machine: Machine, on: bool) -> Result<(), String> {
        run("ip", &format!("link set {} {}", self.port(machine), if on { "up" } else { "down" }))
    }

    /// Packets of a machine are late and sometimes lost; where the kernel cannot do that (netem), they get through at 2 Mbit/s only.
    pub(crate) fn slow(&self, machine: Machine) -> Result<(), String> {
        let ns = self.ns(machine);
        let add = |what: &str| run("tc", &format!("-n {ns} qdisc add dev eth0 root {what}"));
        add("netem delay 40ms 20ms loss 1%").or_else(|_| add("tbf rate 2000kbit burst 16kb latency 300ms"))
    }

    /// At full speed again.
    pub(crate) fn quick(&self, machine: Machine) -> Result<(), String> {
        run("tc", &format!("-n {} qdisc del dev eth0 root", self.ns(machine)))
    }

    /// The coordinator's address moves to the other machine: who ran on the first does not hear of it.
    pub(crate) fn move_coordinator(&mut self) -> Result<(), String> {
        let to = if self.holder == Machine::Coordinator { Machine::Spare } else { Machine::Coordinator };
        let moving = format!("{}.9", self.base);
        run("ip", &format!("-n {} addr del {moving}/24 dev eth0", self.ns(self.holder)))?;
        run("ip", &format!("-n {} addr add {moving}/24 dev eth0", self.ns(to)))?;
        self.holder = to;
        for worker in 0..WORKERS {
            // A machine that has not asked yet has nothing to forget.
            let _none = run("ip", &format!("-n {} neigh flush to {moving}", self.ns(Machine::Worker(worker))));
        }
        let _none = run("ip", &format!("neigh flush to {moving}"));
        Ok(())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if self.namespaces {
            self.take_down();
        }
    }
}

/// True if the process that made a name is gone.
fn left_behind(name: &str) -> bool {
    let digits: String = name.strip_prefix("wsx").unwrap_or("").chars().take_while(char::is_ascii_digit).collect();
    !digits.is_empty() && !std::path::Path::new("/proc").join(digits).exists()
}

/// Removes what killed predecessors left.
fn sweep() {
    let text = |words: &[&str]| {
        let said = Command::new("ip").args(words).output();
        said.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
    };
    for line in text(&["netns", "list"]).lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if left_behind(name) {
            let _gone = run("ip", &format!("netns del {name}"));
        }
    }
    for line in text(&["-br", "link"]).lines() {
        let name = line.split([' ', '@']).next().unwrap_or_default();
        if left_behind(name) {
            let _gone = run("ip", &format!("link del {name}"));
        }
    }
}
