//! Builds Tongsuo with its fast 64-bit SM2 curve, or links one that is installed (`QIAO_TONGSUO_DIR`, with `lib/` inside).
use std::{env, fs, os::unix::fs::PermissionsExt, path::PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=QIAO_TONGSUO_DIR");
    println!("cargo:rerun-if-changed=build.rs");
    let lib = match env::var_os("QIAO_TONGSUO_DIR") {
        Some(folder) => PathBuf::from(folder).join("lib"),
        None => build(),
    };
    println!("cargo:rustc-link-search=native={}", lib.display());
    println!("cargo:rustc-link-lib=static=crypto");
}

/// `tongsuo-src` takes no options for `Configure`, but lets the caller name the perl that runs it: a script that adds them.
/// Without `enable-ec_sm2p_64_gcc_128` SM2 is five times slower.
fn build() -> PathBuf {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let perl = out.join("perl.sh");
    let script = "#!/bin/sh\ncase \"$1\" in\n*Configure) exec perl \"$@\" enable-ec_sm2p_64_gcc_128 no-quic no-apps ;;\n\
                  *) exec perl \"$@\" ;;\nesac\n";
    fs::write(&perl, script).expect("OUT_DIR is writable");
    fs::set_permissions(&perl, fs::Permissions::from_mode(0o755)).expect("OUT_DIR is writable");
    #[allow(
        clippy::disallowed_methods,
        reason = "the crate that builds Tongsuo can be told in no other way"
    )]
    // SAFETY: a build script has one thread here.
    unsafe {
        env::set_var("OPENSSL_SRC_PERL", &perl)
    };
    tongsuo_src::Build::new().build().lib_dir().to_path_buf()
}
