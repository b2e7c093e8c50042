//! What the process says at its end. 0: done; 1: it did not work; 2: the command line is wrong (clap's own);
//! further codes belong to the command that documents them.

use std::process::ExitCode;

/// It did not work, and the command has already said why.
pub(crate) const FAILED: u8 = 1;

/// Prints an error with its causes, each on a line.
pub(crate) fn report(result: anyhow::Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::from(FAILED)
        }
    }
}

/// A reader that has seen enough (`| head`) closes the pipe: then the program ends without a word, as a filter does,
/// by the code that a shell shows for SIGPIPE.
pub(crate) fn when_the_reader_is_gone() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let gone = panic.payload().downcast_ref::<String>().is_some_and(|said| {
            said.starts_with("failed printing to stdout") && said.contains("Broken pipe")
        });
        if gone {
            std::process::exit(141);
        }
        usual(panic);
    }));
}
