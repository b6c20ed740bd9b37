//! docker-compose, of either generation, and what it is told: the files in `docker/`, and one more that makes a
//! cluster's nodes fit to be hurt.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{FLAGS, Shape};
use crate::Failure;

/// The project: what containers are named after.
pub(super) const PROJECT: &str = "annulus-chaos";
/// What the files leave open, besides the number of replicas. Hosts' ports are others than a user's, and so are addresses.
const SETTINGS: [(&str, &str); 5] = [
    ("ANNULUS_NAME", PROJECT),
    ("ANNULUS_NET", "172.29.77"),
    ("ANNULUS_KV_PORTS", "2700"),
    ("ANNULUS_SQL_PORTS", "2720"),
    ("ANNULUS_HTTP_PORTS", "2710"),
];

/// How one cluster is described to docker-compose.
pub(super) struct Compose {
    /// The files, the stronger one last.
    files: [PathBuf; 2],
    replicas: String,
}

impl Compose {
    /// A cluster that has its nodes' disks, and its description, in `dir`.
    pub fn new(shape: Shape, dir: &Path) -> Result<Self, Failure> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docker/compose-{}.yml", shape.nodes));
        if !file.is_file() {
            return Err(Failure::Unsupported(format!("there is no {}", file.display())));
        }
        Ok(Self { files: [file, dir.join("override.yml")], replicas: shape.replicas.to_string() })
    }

    /// Lets nodes have these images from when their containers are made anew.
    pub fn set_images(&self, images: &[String]) -> Result<(), Failure> {
        let [_, file] = &self.files;
        let dir = file.parent().unwrap_or(file);
        fs::write(file, overrides(dir, images)).map_err(Failure::at(file))
    }

    /// Runs a command of docker-compose.
    pub fn run(&self, arguments: &[&str]) -> Result<(), Failure> {
        let is_plugin = Command::new("docker").args(["compose", "version"]).output();
        let is_plugin = is_plugin.is_ok_and(|output| output.status.success());
        let mut command = if is_plugin { Command::new("docker") } else { Command::new("docker-compose") };
        command.args(is_plugin.then_some("compose")).args(["--project-name", PROJECT]);
        for file in &self.files {
            command.arg("--file").arg(file);
        }
        command.args(arguments).envs(SETTINGS).env("ANNULUS_REPLICATION_FACTOR", &self.replicas);
        let line = format!("{command:?}");
        let failed = |how: String, output: String| Failure::Command { command: line, how, output };
        match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(failed(output.status.to_string(), String::from_utf8_lossy(&output.stderr).into_owned())),
            Err(error) => Err(failed("it cannot be started".to_owned(), error.to_string())),
        }
    }
}

/// What nodes have otherwise than in the files: their images, test hooks, and data where the suite can get at it.
fn overrides(dir: &Path, images: &[String]) -> String {
    let flags = FLAGS.map(|flag| format!(", {flag:?}")).concat();
    let services = images.iter().zip(1..).map(|(image, number)| {
        let disk = dir.join(format!("n{number}"));
        let disk = disk.display();
        format!(
            "  n{number}:
    image: {image:?}
    command: [\"start\", \"--test-hooks=/hooks\"{flags}]
    volumes: [\"{disk}/data:/data\", \"{disk}/hooks:/hooks:ro\"]
"
        )
    });
    format!("services:\n{}", services.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_its_image_and_its_own_disk() {
        let images = ["annulus", "annulus:next"].map(str::to_owned);
        let text = overrides(Path::new("/tmp/x"), &images);
        let expected = r#"services:
  n1:
    image: "annulus"
    command: ["start", "--test-hooks=/hooks", "--log-segment-size=4MiB", "--cache-size=32MiB", "--request-timeout=2s"]
    volumes: ["/tmp/x/n1/data:/data", "/tmp/x/n1/hooks:/hooks:ro"]
  n2:
    image: "annulus:next"
    command: ["start", "--test-hooks=/hooks", "--log-segment-size=4MiB", "--cache-size=32MiB", "--request-timeout=2s"]
    volumes: ["/tmp/x/n2/data:/data", "/tmp/x/n2/hooks:/hooks:ro"]
"#;
        assert_eq!(text, expected);
    }
}
