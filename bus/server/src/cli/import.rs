//! `qiao import wiremock|openapi|wsdl FILE`: a draft mock partner made of what others have written down.
use std::path::PathBuf;

use qiao_mocks::import::{Format, draft::slug, import, read};

use super::{Failed, out::say};

#[derive(clap::Args)]
pub struct Arguments {
    /// What FILE holds
    #[arg(value_enum)]
    format: From,
    /// File, or folder with several; of WireMock the folder that holds `mappings` and `__files`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Id of the partner [default: made of the file's name]
    #[arg(long, value_name = "ID")]
    partner: Option<String>,
    /// Folder of mock partners that gets the draft as a new subfolder
    #[arg(long, value_name = "DIR", default_value = "mocks")]
    out: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum From {
    Wiremock,
    Openapi,
    Wsdl,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    let format = match arguments.format {
        From::Wiremock => Format::Wiremock,
        From::Openapi => Format::Openapi,
        From::Wsdl => Format::Wsdl,
    };
    let stem = arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let partner = arguments.partner.unwrap_or_else(|| slug(&stem).chars().take(40).collect());
    let files = read(format, &arguments.file).map_err(Failed)?;
    let draft = import(format, &files, &partner).map_err(Failed)?;
    let stubs: usize = draft.report.imported.iter().map(|taken| taken.stubs.len()).sum();
    for refused in &draft.report.refused {
        say!("refused   {} {}: {}", refused.file, refused.pointer, refused.reason);
    }
    for note in &draft.report.notes {
        say!("note      {note}");
    }
    if stubs == 0 && draft.report.imported.is_empty() {
        return Err(Failed("nothing was imported".into()));
    }
    let folder = arguments.out.join(&partner);
    draft.write(&arguments.out).map_err(|error| Failed(format!("{}: {error}", folder.display())))?;
    say!("imported  {stubs} stubs of {} files into {}", draft.report.imported.len(), folder.display());
    match draft.report.refused.len() {
        0 => Ok(()),
        refused => Err(Failed(format!("{refused} files were refused; the rest is in {}", folder.display()))),
    }
}
