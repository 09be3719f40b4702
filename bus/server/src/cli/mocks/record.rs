//! `qiao mocks record --target URL`: a proxy in front of a live partner, and a draft mock partner made of what it has heard.
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use qiao_mappings::units;
use qiao_mocks::record::{RecordSettings, Recorded, Recorder, vacant};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Failed, out::say};

/// Answers at hand when it ends have this long.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Record {
    /// Origin of the live partner, http or https; nothing else is called
    #[arg(long, value_name = "URL")]
    target: String,
    /// With https: PEM file with the authorities to believe [default: the machine's]
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// Folder of mock partners that gets the draft as a new subfolder
    #[arg(long, value_name = "DIR", default_value = "mocks")]
    out: PathBuf,
    /// Where callers reach the recording, on loopback
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Id of the draft
    #[arg(long, value_name = "ID", default_value = "recorded")]
    partner: String,
    /// Title of the draft [default: its id]
    #[arg(long)]
    title: Option<String>,
    /// JSONPath of the dispatch key [default: found in the messages]
    #[arg(long, value_name = "JSONPATH")]
    select: Option<String>,
    /// Start of the pseudonyms, for the same ones again; keep it secret [default: drawn and forgotten]
    #[arg(long)]
    seed: Option<u64>,
    /// How long to record [default: until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION")]
    lasting: Option<units::Duration>,
    /// Exchanges to keep; more are passed on and counted
    #[arg(long, value_name = "N", default_value_t = qiao_mocks::record::MAX_EXCHANGES)]
    max: usize,
}

pub async fn run(arguments: Record) -> Result<(), Failed> {
    // Told before anything is recorded, not when it is lost.
    vacant(&arguments.out, &arguments.partner).map_err(Failed)?;
    let mut settings = RecordSettings::new(arguments.target, arguments.partner);
    settings.roots = arguments.roots;
    settings.listen = arguments.listen;
    settings.title = arguments.title;
    settings.select = arguments.select;
    settings.seed = arguments.seed;
    settings.max = arguments.max;
    let recorder = Recorder::start(settings).await.map_err(Failed)?;
    say!("recording http://{} -> {}", recorder.address(), recorder.settings().target);
    say!("Send requests there; Ctrl-C ends it and writes the draft.");
    wait(arguments.lasting).await?;
    recorder.stop(DRAIN).await;
    let counts = recorder.counts();
    say!("heard     {} requests, {} exchanges kept", counts.forwarded, counts.kept);
    for (count, what) in [
        (counts.beyond, "beyond the bounds: passed on, not kept"),
        (counts.too_large, "with a body above 1 MiB: passed on, not kept"),
        (counts.failed, "not answered wholly"),
    ] {
        if count > 0 {
            say!("left out  {count} {what}");
        }
    }
    // Nothing else is to be done meanwhile.
    let recorded = tokio::task::spawn_blocking(move || recorder.finish()).await?.map_err(Failed)?;
    write(&recorded, &arguments.out)
}

/// Until the time is over or a signal comes.
async fn wait(lasting: Option<units::Duration>) -> Result<(), Failed> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let over = async {
        match lasting {
            Some(lasting) => tokio::time::sleep(lasting.0).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = over => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn write(recorded: &Recorded, out: &Path) -> Result<(), Failed> {
    let home = recorded.write(out).map_err(Failed)?;
    let replay = &recorded.replay;
    say!(
        "replayed  {} exchanges: {} the same, {} but for generated values, {} differently",
        replay.exchanges,
        replay.same,
        replay.generated,
        replay.different
    );
    say!("drafted   {}; replay.txt there tells what it answers differently", home.display());
    Ok(())
}
