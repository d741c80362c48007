//! `letterlock completions`

use clap::Args;

/// Print a script that completes commands in a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  letterlock completions bash > ~/.local/share/bash-completion/completions/letterlock"
)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}
