//! DataFusion over Parquet files, from its package for Python: the engine that ours runs queries with, without all the rest.
//!
//! The package is installed on first use, so that nothing has to be compiled for it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use super::report::Outcome;
use super::tables::{TABLES, Table};
use crate::failure::Failure;
use crate::options::TpchOptions;
use crate::server::{bound_to_us, find_program, run};

/// Its DataFusion is 55.2, as ours is.
const PACKAGE: &str = "datafusion==55.0.0";
const SCRIPT: &str = include_str!("datafusion.py");
/// Where they differ from DataFusion's defaults, by which a query runs on as many threads as there are processors.
const SETTINGS: [&str; 2] = [
    // SQL's meaning of 0.06 + 0.01, on which query 6 depends.
    "SET datafusion.sql_parser.parse_float_as_decimal = true",
    // Otherwise the largest table would be one group at scale 0.1, and be read by one thread.
    "SET datafusion.execution.parquet.max_row_group_size = 131072",
];

/// A process that runs statements one after the other.
pub struct DataFusion {
    /// Killed when dropped.
    process: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    timeout: Duration,
}

impl DataFusion {
    /// Installs it where that has not been done, and makes the Parquet files in a folder.
    ///
    /// # Errors
    /// If Python or the package cannot be had, or if the files cannot be made.
    pub async fn start(dir: &Path, options: &TpchOptions) -> Result<Self, Failure> {
        let mut database = Self::launch(installed().await?, options.timeout)?;
        let dir = dir.join("datafusion");
        fs::create_dir_all(&dir)?;
        let begun = Instant::now();
        for statement in SETTINGS {
            database.must_run(statement).await?;
        }
        for table in &TABLES {
            database.load(&dir, table, options.scale).await?;
        }
        eprintln!("DataFusion: loaded in {:.1} s", begun.elapsed().as_secs_f64());
        Ok(database)
    }

    fn launch(mut python: Command, timeout: Duration) -> Result<Self, Failure> {
        // Ctrl-C is for the benchmark, as with servers.
        python.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut process = tokio::process::Command::from(python).kill_on_drop(true).spawn()?;
        let ends = process.stdin.take().zip(process.stdout.take());
        let (requests, answers) = ends.ok_or_else(|| io::Error::other("no pipes to a new process"))?;
        Ok(Self { process, requests, answers: BufReader::new(answers).lines(), timeout })
    }

    /// Writes a table's rows as text, which DataFusion then makes a Parquet file of.
    async fn load(&mut self, dir: &Path, table: &Table, scale: f64) -> Result<(), Failure> {
        let Table { name, columns, .. } = table;
        let [text, parquet] = ["csv", "parquet"].map(|kind| dir.join(format!("{name}.{kind}")));
        write_rows(&text, table, scale)?;
        let (text, parquet) = (text.display(), parquet.display());
        for statement in [
            format!(
                "CREATE EXTERNAL TABLE {name}_text ({columns}) STORED AS CSV LOCATION '{text}' \
                 OPTIONS ('format.delimiter' '|', 'format.has_header' 'false')"
            ),
            format!("COPY {name}_text TO '{parquet}'"),
            format!("CREATE EXTERNAL TABLE {name} STORED AS PARQUET LOCATION '{parquet}'"),
        ] {
            self.must_run(&statement).await?;
        }
        Ok(())
    }

    /// Runs a statement and takes its rows, which are timed in the process that runs it.
    ///
    /// One that takes too long ends the process, and so all later ones.
    pub async fn run(&mut self, statement: &str) -> Outcome {
        let begun = Instant::now();
        let told = match tokio::time::timeout(self.timeout, self.ask(statement)).await {
            Ok(Ok(outcome)) => return outcome,
            Ok(Err(error)) => format!("DataFusion's process failed: {error}"),
            Err(_) => {
                // It may just have ended by itself.
                let _ = self.process.start_kill();
                format!("took longer than {:?}", self.timeout)
            }
        };
        Outcome { rows: Err(told), seconds: begun.elapsed().as_secs_f64() }
    }

    async fn ask(&mut self, statement: &str) -> io::Result<Outcome> {
        let request = serde_json::to_string(statement)? + "\n";
        self.requests.write_all(request.as_bytes()).await?;
        let answer = self.answers.next_line().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(serde_json::from_str(&answer)?)
    }

    async fn must_run(&mut self, statement: &str) -> Result<(), Failure> {
        let how = "refused".to_owned();
        let failed = |output| Failure::Helper { program: statement.to_owned(), how, output };
        self.ask(statement).await?.rows.map(drop).map_err(failed)
    }
}

/// Python with the package, which is kept in the folder of this program: that of Cargo's output.
async fn installed() -> Result<Command, Failure> {
    let remedy = "apt-get install python3 python3-pip";
    let missing = || Failure::Missing { program: "python3".to_owned(), remedy };
    let python = find_program("python3").ok_or_else(missing)?;
    let packages = std::env::current_exe()?.with_file_name("python-packages");
    let python = || {
        let mut command = bound_to_us(&python);
        command.env("PYTHONPATH", &packages);
        command
    };
    if import(python()).await.is_err() {
        eprintln!("installing {PACKAGE} for Python (300 MB) into {}", packages.display());
        let mut pip = python();
        pip.args(["-m", "pip", "install", "--quiet", "--upgrade", "--only-binary=:all:", PACKAGE]);
        pip.arg("--target").arg(&packages);
        run("pip", pip).await?;
        import(python()).await?;
    }
    Ok(python())
}

/// Fails if Python does not find the package.
async fn import(mut python: Command) -> Result<(), Failure> {
    python.args(["-c", "import datafusion"]);
    run("import datafusion", python).await
}

fn write_rows(path: &Path, table: &Table, scale: f64) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for row in (table.rows)(scale) {
        writeln!(file, "{}", row.trim_end_matches('|'))?;
    }
    file.flush()
}
