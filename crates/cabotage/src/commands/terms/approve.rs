//! `cabotage terms approve`: a second person signs a pack's content. Also makes his key.

use super::library::{Choice, PackText};
use crate::clock::SystemClock;
use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use domain::Clock as _;
use placement::{
    Problems, Terms,
    terms::{
        TermsInput,
        approval::{self, Draft, SigningKey},
    },
};
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// A second person signs a pack's content.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// The pack: its file, or its id with --dir or -c
    #[arg(value_name = "PACK", required_unless_present = "new_key")]
    pack: Option<String>,
    /// Who approves, by the name in `[[terms.approver]]`
    #[arg(long, value_name = "NAME", required_unless_present = "new_key")]
    by: Option<String>,
    /// Whose pack it is: not the one who approves. Default: the `author` in the pack
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// The approver's secret key
    #[arg(long, value_name = "FILE", required_unless_present = "new_key")]
    key: Option<PathBuf>,
    /// Make a new key, write its secret half here and print its public half
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pack", "by", "of", "key"])]
    new_key: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

/// Signs, or makes a key.
pub(super) fn run(arguments: &Approve) -> anyhow::Result<ExitCode> {
    if let Some(file) = &arguments.new_key {
        return new_key(file);
    }
    let (Some(word), Some(by), Some(key)) = (&arguments.pack, &arguments.by, &arguments.key) else {
        bail!("name the pack, --by and --key");
    };
    let pack = arguments.choice.pack(word)?;
    let Some(folder) = &pack.folder else {
        bail!("`{}` ships with the program; copy it to your folder of packs to approve it", pack.id);
    };
    let read = check(&pack)?;
    let of = arguments.of.as_deref().or(read.author.as_deref()).ok_or_else(|| {
        anyhow!(
            "nobody is named as the author of `{}`: add `author = …` to its [pack], or say --of NAME",
            pack.id
        )
    })?;
    if let Some(author) = read.author.as_deref()
        && author != of
    {
        bail!("`{}` says that its author is {author}, not {of}", pack.id);
    }
    let text = fs::read_to_string(key).with_context(|| format!("{} cannot be read", key.display()))?;
    let key = SigningKey::parse(&text).map_err(|why| anyhow!("{}: {why}", key.display()))?;
    let hash = pack.hash();
    let draft = Draft { pack: &read.id, hash: &hash, by, of, at: SystemClock::real().now() };
    let signed = approval::sign(&draft, &key).map_err(|why| anyhow!(why))?;
    let file = folder.join("approvals.toml");
    append(&file, &signed.to_toml())?;
    println!("{} is approved by {by}, as it is now: {hash}", read.id);
    println!("signed in {}; any change of the pack makes it a draft again", file.display());
    println!("the gateway believes it where the configuration lists the approver:");
    println!("  [[terms.approver]]\n  name = {by:?}\n  key = \"{}\"", key.public());
    Ok(ExitCode::SUCCESS)
}

/// Who wrote a pack, as it is read.
struct Read {
    id: String,
    author: Option<String>,
}

/// Nobody signs what the gateway would refuse to load.
fn check(pack: &PackText) -> anyhow::Result<Read> {
    let choice = placement::PackChoice { file: &pack.sheet.file, text: &pack.sheet.text, mode: None };
    let cedar: Vec<_> = pack
        .cedar
        .iter()
        .map(|own| placement::terms::CedarFile { pack: &pack.id, file: &own.file, text: &own.text })
        .collect();
    let terms: Result<Terms, Problems> =
        Terms::compile_all(&TermsInput { packs: &[choice], cedar: &cedar, ..TermsInput::default() });
    let terms = terms?;
    let read = terms.packs().first().context("the file holds no pack")?;
    Ok(Read { id: read.id.to_string(), author: read.author.as_ref().map(ToString::to_string) })
}

/// Adds a row to the file; what stands in it must be right, and stays byte by byte.
fn append(file: &Path, row: &str) -> anyhow::Result<()> {
    let mut text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "# Approvals of packs, each signed. Made by `cabotage terms approve`; do not edit.\n".to_owned()
        }
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", file.display())),
    };
    let (_, problems) = approval::read(&file.display().to_string(), &text);
    problems.into_result()?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text.push('\n');
    text.push_str(row);
    // Whole or not at all: a gateway may read the folder at any moment.
    let beside = file.with_extension("toml.new");
    let wrote = fs::write(&beside, text).and_then(|()| fs::rename(&beside, file));
    wrote.with_context(|| format!("{} cannot be written", file.display()))
}

/// Makes a key that only this user can read. Never overwrites one.
fn new_key(file: &Path) -> anyhow::Result<ExitCode> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow!("the system gave no random bytes: {error}"))?;
    let key = SigningKey::from_seed(seed);
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(
        |error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                anyhow!("{} is there already; a key is never overwritten: name another file", file.display())
            }
            _ => anyhow::Error::new(error).context(format!("{} cannot be made", file.display())),
        },
    )?;
    out.write_all(key.to_text().as_bytes())
        .with_context(|| format!("{} cannot be written", file.display()))?;
    println!("the secret key is in {}; keep it, and never put it into the configuration", file.display());
    println!("public key: {}", key.public());
    Ok(ExitCode::SUCCESS)
}
