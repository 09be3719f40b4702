//! Writes every JSON Schema to `docs/schema/`, for whoever changed a definition, mock partner or settings type.
use std::{error::Error, fs, path::Path};

use qiao::schema;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    fs::create_dir_all(&folder)?;
    for (name, all) in schema::all() {
        let file = folder.join(format!("{name}.schema.json"));
        fs::write(&file, schema::text(&all))?;
        println!("{}", file.display());
    }
    Ok(())
}
