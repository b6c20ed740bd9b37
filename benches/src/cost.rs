//! What processes cost, from `/proc`.

use std::fs;

use rustix::param::clock_ticks_per_second;

/// What processes and their descendants have used since they began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Processor time in seconds, user and system, children that have ended included.
    pub cpu: f64,
    /// How often their threads were switched off a processor.
    pub switches: u64,
}

impl Cost {
    /// What was used since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        // Threads that ended took their count of switches with them.
        Self { cpu: self.cpu - earlier.cpu, switches: self.switches.saturating_sub(earlier.switches) }
    }
}

/// The cost of these processes and all their descendants. Processes that are gone count nothing.
pub fn of_trees(roots: &[u32]) -> Cost {
    let mut open = roots.to_vec();
    let mut cost = Cost::default();
    while let Some(process) = open.pop() {
        cost.cpu += seconds(&format!("/proc/{process}/stat"));
        for thread in threads(process) {
            cost.switches += fs::read_to_string(format!("{thread}/status")).map_or(0, |text| switches(&text));
            let children = fs::read_to_string(format!("{thread}/children")).unwrap_or_default();
            open.extend(children.split_ascii_whitespace().filter_map(|word| word.parse::<u32>().ok()));
        }
    }
    cost
}

/// Processor time that this process has used, in seconds.
pub fn of_this_process() -> f64 {
    seconds("/proc/self/stat")
}

/// Processor time that the whole machine has used, in seconds.
pub fn of_machine() -> f64 {
    fs::read_to_string("/proc/stat").map_or(0.0, |text| busy_ticks(&text) as f64 / ticks_per_second())
}

/// Memory of one process.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now, bytes.
    pub resident: u64,
    /// The most that was ever resident, bytes.
    pub peak: u64,
}

/// The memory of a process, nothing if it is gone.
pub fn memory(process: u32) -> Memory {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    Memory { resident: 1024 * field(&text, "VmRSS:"), peak: 1024 * field(&text, "VmHWM:") }
}

fn threads(process: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

fn ticks_per_second() -> f64 {
    clock_ticks_per_second() as f64
}

fn seconds(stat: &str) -> f64 {
    fs::read_to_string(stat).map_or(0.0, |text| process_ticks(&text) as f64 / ticks_per_second())
}

/// User and system time, and those of children that were waited for: fields 14 to 17 (proc_pid_stat(5)).
fn process_ticks(stat: &str) -> u64 {
    // The second field is the program's name, which may hold anything.
    let after_name = stat.rfind(')').map_or("", |end| &stat[end + 1..]);
    after_name.split_ascii_whitespace().skip(11).take(4).filter_map(|word| word.parse::<u64>().ok()).sum()
}

/// All of the first line of `/proc/stat` but idle, waiting for disks, and what guests (counted as user) used.
fn busy_ticks(stat: &str) -> u64 {
    let words = stat.lines().next().unwrap_or("").split_ascii_whitespace().skip(1).take(8);
    let numbers = words.map(|word| word.parse::<u64>().unwrap_or(0)).enumerate();
    numbers.filter(|(place, _)| !matches!(place, 3 | 4)).map(|(_, ticks)| ticks).sum()
}

fn switches(status: &str) -> u64 {
    field(status, "voluntary_ctxt_switches:") + field(status, "nonvoluntary_ctxt_switches:")
}

/// The first number of the line that starts with a name, 0 if there is none.
fn field(text: &str, name: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
    rest.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_an_odd_program_name() {
        let stat = "42 (a) R 1 (b) S 1 42 42 0 -1 4194560 9 8 7 6 100 20 3 4 20 0 1 0 5";
        assert_eq!(process_ticks(stat), 127);
        assert_eq!(process_ticks("nonsense"), 0);
    }

    #[test]
    fn idle_time_is_not_busy() {
        assert_eq!(busy_ticks("cpu  1 2 4 1000 1000 8 16 32 64 128\ncpu0 7"), 63);
        assert_eq!(busy_ticks(""), 0);
    }

    #[test]
    fn both_kinds_of_switches_count() {
        assert_eq!(switches("Name:\tx\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n"), 12);
    }

    #[test]
    fn work_of_this_process_is_seen() {
        let this = std::process::id();
        let before = of_trees(&[this]);
        let machine = of_machine();
        while of_trees(&[this]).since(before).cpu < 0.05 {
            std::hint::black_box(fs::read_to_string("/proc/self/maps").unwrap());
        }
        assert!(of_this_process() >= 0.05 && of_machine() > machine);
        assert!(memory(this).resident > 0 && memory(this).peak >= memory(this).resident);
    }
}
