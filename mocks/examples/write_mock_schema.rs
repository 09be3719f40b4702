//! Writes the JSON Schemas of mock partners' files to `docs/schema/`, for whoever changed a type of theirs.
use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    for (name, schema) in qiao_mocks::schemas() {
        let file = folder.join(format!("{name}.schema.json"));
        fs::write(&file, format!("{schema:#}\n"))?;
        println!("{}", file.display());
    }
    Ok(())
}
