//! What the tests need on a bare Debian 12, installed when missing.

use std::path::Path;

use crate::program::{Failure, Line};

/// A line that succeeds where a Debian package is installed, and that package.
const DEBIAN: &[(&str, &str)] = &[
    ("cc --version", "build-essential"),
    ("make --version", "make"),
    // What OpenSSL's configuration loads; Debian's perl-base has a perl without it.
    ("perl -MFindBin -MIPC::Cmd -MFile::Compare -e1", "perl"),
    // The other side of the age format.
    ("age --version", "age"),
    // Mounts vaults for those who are not root.
    ("fusermount3 --version", "fuse3"),
    // Shows the page of `take --page`.
    ("chromium --version", "chromium"),
];

/// A cargo subcommand, its crate and the version that this project is checked with.
pub(crate) struct CargoTool {
    command: &'static str,
    package: &'static str,
    version: &'static str,
}

const NEXTEST: CargoTool = CargoTool {
    command: "nextest",
    package: "cargo-nextest",
    version: "0.9.143",
};
const DENY: CargoTool = CargoTool {
    command: "deny",
    package: "cargo-deny",
    version: "0.20.2",
};
pub(crate) const FUZZ: CargoTool = CargoTool {
    command: "fuzz",
    package: "cargo-fuzz",
    version: "0.13.2",
};

/// Installs what is missing and says so; asks nothing.
///
/// Errors: something is missing and neither root, sudo nor the network can bring it.
pub(crate) fn install(root: &Path) -> Result<(), Failure> {
    debian_packages(root, DEBIAN)?;
    for (command, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !Line::new(&["cargo", command, "--version"]).succeeds(root) {
            announce(component);
            Line::new(&["rustup", "component", "add", component]).run(root)?;
        }
    }
    cargo_tool(root, &NEXTEST)?;
    cargo_tool(root, &DENY)
}

/// Installs a cargo subcommand when it is missing.
pub(crate) fn cargo_tool(root: &Path, tool: &CargoTool) -> Result<(), Failure> {
    if Line::new(&["cargo", tool.command, "--version"]).succeeds(root) {
        return Ok(());
    }
    announce(tool.package);
    Line::new(&["cargo", "install", tool.package, "--locked"])
        .with("--version")
        .with(tool.version)
        .run(root)
}

/// Installs Debian packages: a line that succeeds where one is installed, and its name.
pub(crate) fn debian_packages(root: &Path, wanted: &[(&str, &str)]) -> Result<(), Failure> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|(probe, _)| !Line::parse(probe).succeeds(root))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    let install = format!("apt-get install -y --no-install-recommends {names}");
    let by_hand = || {
        Failure::new(
            format!("missing: {names}"),
            format!("as root: apt-get update && {install}"),
        )
    };
    if !Line::parse("apt-get --version").succeeds(root) {
        return Err(by_hand());
    }
    let sudo = if Line::parse("test -w /var/lib/dpkg").succeeds(root) {
        ""
    } else if Line::parse("sudo -n true").succeeds(root) {
        "sudo -n "
    } else {
        return Err(by_hand());
    };
    announce(&names);
    let quiet = "env DEBIAN_FRONTEND=noninteractive";
    Line::parse(&format!("{sudo}{quiet} apt-get update -q")).run(root)?;
    Line::parse(&format!("{sudo}{quiet} {install}")).run(root)
}

fn announce(names: &str) {
    println!("installing {names}");
}
